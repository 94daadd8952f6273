// The merge loop that byte-pair and SentencePiece vocabularies share: while some neighbours can be
// merged, merge those of the lowest priority number, the leftmost of equals. For n symbols O(n)
// where few of them are different, else O(n log n).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "text/pieces/ordered_queue.h"

namespace mill::text {

inline constexpr uint32_t kNoMerge = UINT32_MAX;

// Memory of merge_all, kept by the caller from word to word.
struct MergeMemory {
  struct Node {
    uint32_t before, after;  // neighbours
    uint32_t count;          // first symbols in it; 0: merged into its left neighbour
  };
  std::vector<uint32_t> priorities;
  // Of a node and the one after it, with the count of first symbols in both, which tells whether
  // one of them has changed since.
  using Candidates = OrderedQueue<uint32_t, uint32_t>;
  Candidates queue;
  std::vector<Node> nodes;
};

namespace merge_detail {

// n² with small factors: for words.
template <class Rule, class Symbol>
void merge_short(const Rule& rule, std::vector<Symbol>& symbols, MergeMemory& memory) {
  std::vector<uint32_t>& priorities = memory.priorities;  // [i] of symbols i and i + 1
  priorities.resize(symbols.size() - 1);
  for (size_t i = 0; i < priorities.size(); ++i)
    priorities[i] = rule.priority(symbols[i], symbols[i + 1]);
  while (!priorities.empty()) {
    const auto best = std::min_element(priorities.begin(), priorities.end());
    if (*best == kNoMerge) return;
    const size_t i = static_cast<size_t>(best - priorities.begin());
    symbols[i] = rule.join(symbols[i], symbols[i + 1], *best);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    priorities.erase(best);
    if (i > 0) priorities[i - 1] = rule.priority(symbols[i - 1], symbols[i]);
    if (i < priorities.size()) priorities[i] = rule.priority(symbols[i], symbols[i + 1]);
  }
}

template <class Rule, class Symbol>
void merge_long(const Rule& rule, std::vector<Symbol>& symbols, MergeMemory& memory) {
  constexpr uint32_t kEnd = UINT32_MAX;
  const auto size = static_cast<uint32_t>(symbols.size());
  auto& nodes = memory.nodes;
  auto& queue = memory.queue;
  nodes.resize(size);
  queue.clear();
  queue.reserve(size);
  for (uint32_t i = 0; i < size; ++i) nodes[i] = {i - 1, i + 1 < size ? i + 1 : kEnd, 1};
  for (uint32_t i = 0; i + 1 < size; ++i)
    if (const uint32_t priority = rule.priority(symbols[i], symbols[i + 1]); priority != kNoMerge)
      queue.push({priority, i, 2});
  const auto push = [&](uint32_t left, uint32_t right) {
    const uint32_t priority = rule.priority(symbols[left], symbols[right]);
    if (priority != kNoMerge) queue.push({priority, left, nodes[left].count + nodes[right].count});
  };
  MergeMemory::Candidates::Item best;
  while (queue.pop(best)) {
    auto& left = nodes[best.place];
    if (left.count == 0 || left.after == kEnd) continue;
    auto& right = nodes[left.after];
    if (left.count + right.count != best.more) continue;
    symbols[best.place] = rule.join(symbols[best.place], symbols[left.after], best.rank);
    left.count += right.count;
    left.after = right.after;
    right.count = 0;
    if (left.after != kEnd) nodes[left.after].before = best.place;
    if (best.place != 0) push(left.before, best.place);
    if (left.after != kEnd) push(best.place, left.after);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i < size; ++i)
    if (nodes[i].count != 0) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

}  // namespace merge_detail

// Merges `symbols` in place. A Rule has `uint32_t priority(Symbol left, Symbol right)`, kNoMerge
// for two that can't be merged, and `Symbol join(Symbol left, Symbol right, uint32_t priority)` for
// two that can. Requires: fewer than 2³² symbols.
template <class Rule, class Symbol>
void merge_all(const Rule& rule, std::vector<Symbol>& symbols, MergeMemory& memory) {
  constexpr size_t kShort = 40;
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShort)
    merge_detail::merge_short(rule, symbols, memory);
  else
    merge_detail::merge_long(rule, symbols, memory);
}

}  // namespace mill::text
