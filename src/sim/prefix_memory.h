// Which beginnings of prompts were seen lately: the prefix cache of a model that computes nothing.
//
// Blocks of kBlockTokens consecutive tokens are named by all that comes before them and by the
// tenant's salt; the least recently used names are forgotten. Not synchronised. One node and one
// place in a table for each name, in two blocks of memory: a prompt of 100,000 tokens has 3,000
// names.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "work/order.h"

namespace mill::sim {

inline constexpr int64_t kBlockTokens = 32;

// The names of a prompt's whole blocks, in order.
std::vector<uint64_t> block_names(std::span<const TokenId> prompt, work::CacheSalt salt);

class PrefixMemory {
 public:
  // Requires: 0 <= blocks < 2³¹.
  explicit PrefixMemory(int64_t blocks) : capacity_(blocks) {}

  // How many leading blocks are known; they count as used just now.
  int64_t find(std::span<const uint64_t> names);
  void add(std::span<const uint64_t> names);
  int64_t size() const { return static_cast<int64_t>(nodes_.size()); }

 private:
  using Index = uint32_t;
  static constexpr Index kNone = UINT32_MAX;
  struct Node {
    uint64_t name;
    Index newer, older;  // by use
    Index next;          // of the same bucket
  };

  Index find(uint64_t name) const;
  void use(Index index);     // makes it the newest
  void detach(Index index);  // from the order of use
  void attach(Index index);
  void rename(Index index, uint64_t name);  // what it was is forgotten
  void put_into_bucket(Index index);
  void grow();
  Index& bucket_of(uint64_t name) { return buckets_[name & (buckets_.size() - 1)]; }

  const int64_t capacity_;
  std::vector<Node> nodes_;     // [names]
  std::vector<Index> buckets_;  // a power of two
  Index newest_ = kNone, oldest_ = kNone;
};

}  // namespace mill::sim
