#include "text/pieces/byte_matcher.h"

#include <bit>

namespace mill::text {
namespace {

uint64_t spread(uint64_t key) {
  key *= 0x9E3779B97F4A7C15ull;
  return key ^ key >> 32;
}

}  // namespace

ByteMatcher::ByteMatcher(std::span<const std::string> strings) : nodes_(1) {
  size_t bytes = 0;
  for (const std::string& string : strings) bytes += string.size();
  edges_.resize(std::bit_ceil(bytes * 2 + 2));
  mask_ = edges_.size() - 1;
  for (size_t i = 0; i < strings.size(); ++i) {
    State state = kStart;
    for (const char c : strings[i]) {
      const auto byte = static_cast<unsigned char>(c);
      State next = child(state, byte);
      if (next == kNone) {
        next = static_cast<State>(nodes_.size());
        nodes_.push_back({.depth = nodes_[state].depth + 1});
        add_child(state, byte, next);
      }
      state = next;
    }
    if (state != kStart) nodes_[state].string = static_cast<int32_t>(i);
  }
  link();
}

ByteMatcher::State ByteMatcher::child(State state, unsigned char byte) const {
  if (state == kStart) return first_[byte] == kStart ? kNone : first_[byte];
  const uint64_t key = static_cast<uint64_t>(state) << 8 | byte;
  for (uint64_t place = spread(key) & mask_;; place = (place + 1) & mask_) {
    if (edges_[place].key == key) return edges_[place].child;
    if (edges_[place].key == 0) return kNone;
  }
}

void ByteMatcher::add_child(State state, unsigned char byte, State child) {
  if (state == kStart) {
    first_[byte] = child;
    return;
  }
  const uint64_t key = static_cast<uint64_t>(state) << 8 | byte;
  uint64_t place = spread(key) & mask_;
  while (edges_[place].key != 0) place = (place + 1) & mask_;
  edges_[place] = {key, child};
}

void ByteMatcher::link() {
  // By depth, so that the links of all shorter nodes are there: counted once, not sorted.
  struct Entry {
    State parent;
    unsigned char byte;
    State node;
  };
  std::vector<Entry> entries;
  for (int byte = 0; byte < 256; ++byte)
    if (first_[byte] != kStart)
      entries.push_back({kStart, static_cast<unsigned char>(byte), first_[byte]});
  for (const Edge& edge : edges_)
    if (edge.key != 0)
      entries.push_back({static_cast<State>(edge.key >> 8),
                         static_cast<unsigned char>(edge.key & 0xFF), edge.child});
  int32_t deepest = 0;
  for (const Node& node : nodes_) deepest = std::max(deepest, node.depth);
  std::vector<size_t> begin(deepest + 2);
  for (const Entry& entry : entries) ++begin[nodes_[entry.node].depth + 1];
  for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
  std::vector<Entry> ordered(entries.size());
  for (const Entry& entry : entries) ordered[begin[nodes_[entry.node].depth]++] = entry;

  for (const Entry& entry : ordered) {
    Node& node = nodes_[entry.node];
    if (entry.parent != kStart) node.fail = step(nodes_[entry.parent].fail, entry.byte);
    node.shorter = longest_here(node.fail);
  }
}

ByteMatcher::State ByteMatcher::step(State state, unsigned char byte) const {
  while (state != kStart) {
    const State next = child(state, byte);
    if (next != kNone) return next;
    state = nodes_[state].fail;
  }
  return first_[byte];
}

}  // namespace mill::text
