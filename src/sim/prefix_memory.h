// Which beginnings of prompts were seen lately: the prefix cache of a model that computes nothing.
//
// Blocks of kBlockTokens consecutive tokens are named by all that comes before them and by the
// tenant's salt; the least recently used names are forgotten. Not synchronised.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "work/order.h"

namespace mill::sim {

inline constexpr int64_t kBlockTokens = 32;

// The names of a prompt's whole blocks, in order.
std::vector<uint64_t> block_names(std::span<const TokenId> prompt, work::CacheSalt salt);

class PrefixMemory {
 public:
  explicit PrefixMemory(int64_t blocks) : capacity_(blocks) {}

  // How many leading blocks are known; they count as used just now.
  int64_t find(std::span<const uint64_t> names);
  void add(std::span<const uint64_t> names);
  int64_t size() const { return static_cast<int64_t>(places_.size()); }

 private:
  using Uses = std::list<uint64_t>;  // the most recent first

  const int64_t capacity_;
  Uses uses_;
  std::unordered_map<uint64_t, Uses::iterator> places_;
};

}  // namespace mill::sim
