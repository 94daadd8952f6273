#include "sim/prefix_memory.h"

namespace mill::sim {

std::vector<uint64_t> block_names(std::span<const TokenId> prompt, work::CacheSalt salt) {
  std::vector<uint64_t> names;
  const size_t blocks = prompt.size() / kBlockTokens;
  names.reserve(blocks);
  uint64_t name = salt.high * 0x9E3779B97F4A7C15 ^ salt.low;
  for (size_t block = 0; block < blocks; ++block) {
    for (const TokenId token : prompt.subspan(block * kBlockTokens, kBlockTokens)) {
      name = (name ^ static_cast<uint32_t>(token)) * 0xD6E8FEB86659FD93 + 1;
      name ^= name >> 32;
    }
    names.push_back(name);
  }
  return names;
}

int64_t PrefixMemory::find(std::span<const uint64_t> names) {
  int64_t known = 0;
  for (const uint64_t name : names) {
    const Index index = find(name);
    if (index == kNone) break;
    use(index);
    ++known;
  }
  return known;
}

// Backwards, so that the beginning of a prompt is forgotten after its end.
void PrefixMemory::add(std::span<const uint64_t> names) {
  if (capacity_ == 0) return;
  for (size_t i = names.size(); i-- > 0;) {
    if (const Index known = find(names[i]); known != kNone) {
      use(known);
    } else if (size() == capacity_) {
      const Index index = oldest_;
      rename(index, names[i]);
      use(index);
    } else {
      if (nodes_.size() == buckets_.size()) grow();
      const auto index = static_cast<Index>(nodes_.size());
      nodes_.push_back({.name = names[i], .newer = kNone, .older = kNone, .next = kNone});
      put_into_bucket(index);
      attach(index);
    }
  }
}

PrefixMemory::Index PrefixMemory::find(uint64_t name) const {
  if (buckets_.empty()) return kNone;
  Index index = buckets_[name & (buckets_.size() - 1)];
  while (index != kNone && nodes_[index].name != name) index = nodes_[index].next;
  return index;
}

void PrefixMemory::use(Index index) {
  if (index == newest_) return;
  detach(index);
  attach(index);
}

void PrefixMemory::detach(Index index) {
  const Node& node = nodes_[index];
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
}

void PrefixMemory::attach(Index index) {
  Node& node = nodes_[index];
  node.newer = kNone;
  node.older = newest_;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = index;
  newest_ = index;
}

void PrefixMemory::rename(Index index, uint64_t name) {
  Index* place = &bucket_of(nodes_[index].name);
  while (*place != index) place = &nodes_[*place].next;
  *place = nodes_[index].next;
  nodes_[index].name = name;
  put_into_bucket(index);
}

void PrefixMemory::put_into_bucket(Index index) {
  Index& bucket = bucket_of(nodes_[index].name);
  nodes_[index].next = bucket;
  bucket = index;
}

void PrefixMemory::grow() {
  buckets_.assign(buckets_.empty() ? 1024 : buckets_.size() * 2, kNone);
  for (Index index = 0; index < nodes_.size(); ++index) put_into_bucket(index);
}

}  // namespace mill::sim
