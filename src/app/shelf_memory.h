// How the models on one machine share its memory. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace mill::app {

// What one model has of the memory, or is to have.
struct MemoryClaim {
  double share = 1;
  int64_t kv_wish = 0;  // its own kv_memory; 0: a share of what is for all
  int64_t kv_held = 0;  // by a model that is loaded
};

// The bytes for keys and values of the model `which`, which is not loaded. `kv_total` (0: half of
// what is free or held for that already) without the wishes of others, is divided by the shares.
// kOverloaded when what a set total has left is less than kLeastKv. `free`: bytes that can be had
// once the weights are loaded.
inline constexpr int64_t kLeastKv = int64_t{1} << 20;
Result<int64_t> kv_bytes_of(std::span<const MemoryClaim> claims, size_t which, int64_t kv_total,
                            int64_t free);

// Bytes that must be free before a model is loaded: its file, which is packed piece by piece, what
// the load takes beside it, and the keys and values that were asked for by size.
int64_t bytes_to_load(int64_t file_bytes, int64_t kv_wish);

// One that could make room.
struct Evictable {
  bool may_go = false;  // loaded, without requests, and not to stay for ever
  Instant last_used{};
};
// Which is to go first: the one that was not used for the longest time. Nothing when none may go.
std::optional<size_t> first_to_go(std::span<const Evictable> models);

}  // namespace mill::app
