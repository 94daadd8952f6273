// The KV cache as a parking lot: fixed blocks, counted owners, nothing moves.
//
// A block holds the keys and values of a fixed number of consecutive tokens for all layers. This
// class only keeps the books; the bytes live in engine/kv_store.h. Pure and single-threaded: the
// engine's step loop owns it in production, the simulator's virtual clock in planning.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/sequence.h"

namespace mill::scheduler {

class BlockPool {
 public:
  explicit BlockPool(int32_t blocks);  // Requires: blocks >= 0

  int32_t total() const { return static_cast<int32_t>(owners_.size()); }
  int32_t free() const { return static_cast<int32_t>(free_.size()); }

  // Appends `count` blocks to `into`, each with one owner. The lowest ids come first in a fresh
  // pool, later those that were released last, so that memory which was never touched stays so as
  // long as possible.  Requires: 0 <= count <= free().
  void acquire(int32_t count, std::vector<BlockId>& into);

  // Drops the owner of each block; a block with no owner is free.  Requires: every block is owned.
  void release(std::span<const BlockId> blocks);

  int32_t owners(BlockId block) const { return owners_[static_cast<size_t>(block)]; }

  // Whether the free list holds exactly the blocks without an owner, each once. O(total).
  bool consistent() const;

 private:
  std::vector<int32_t> owners_;  // [total], 0 means free
  std::vector<BlockId> free_;    // a stack
};

}  // namespace mill::scheduler
