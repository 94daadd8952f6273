// Finds many strings in a text in one pass (Aho and Corasick, "Efficient string matching", CACM
// 18(6), 1975).
//
// The reader feeds bytes and keeps the state, so a text may arrive in parts. Time is linear in the
// text; memory in the strings.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mill::text {

class ByteMatcher {
 public:
  using State = int32_t;
  static constexpr State kStart = 0;
  static constexpr int32_t kNone = -1;

  // Empty strings are never found; of equal ones the last is.
  explicit ByteMatcher(std::span<const std::string> strings);
  ByteMatcher() : ByteMatcher(std::span<const std::string>{}) {}

  State step(State state, unsigned char byte) const;

  // How many of the last bytes are the beginning of one of the strings (the longest such run).
  int32_t depth(State state) const { return nodes_[state].depth; }
  // The state of the longest string that ends here, kNone when none does; then the next shorter
  // one, by passing what it returned.
  State longest_here(State state) const {
    return nodes_[state].string != kNone ? state : nodes_[state].shorter;
  }
  State next_shorter(State found) const { return nodes_[found].shorter; }
  // Index of the string that a state of longest_here or next_shorter stands for.
  int32_t string_of(State found) const { return nodes_[found].string; }

  // True for bytes that begin some string: from kStart, any other byte leads to kStart.
  bool can_begin(unsigned char byte) const { return first_[byte] != kStart; }
  bool empty() const { return nodes_.size() == 1; }

 private:
  struct Node {
    int32_t string = kNone;  // that ends at this node
    State fail = kStart;     // the longest proper suffix that is a node
    State shorter = kNone;   // the longest proper suffix that is a whole string
    int32_t depth = 0;
  };

  State child(State state, unsigned char byte) const;
  void add_child(State state, unsigned char byte, State child);
  void link();

  std::vector<Node> nodes_;
  std::array<State, 256> first_{};  // children of kStart
  // Children of all other nodes: an open hash table of (state, byte) -> child.
  struct Edge {
    uint64_t key = 0;  // state << 8 | byte; 0 marks a free place (state 0 has its own table)
    State child = 0;
  };
  std::vector<Edge> edges_;
  uint64_t mask_ = 0;
};

}  // namespace mill::text
