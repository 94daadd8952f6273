// The books of one kind of block: who owns which (block_pool.h), which prefix it holds
// (prefix_index.h), and which must be zeroed before somebody else writes to it. The planner has
// one for the layers that see everything and one for those with a window, if there are any.
//
// Pure and single-threaded, like both.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "scheduler/block_pool.h"
#include "scheduler/prefix_index.h"

namespace mill::scheduler {

class KvBooks {
 public:
  KvBooks(int32_t blocks, const HashKey& key);

  const BlockPool& pool() const { return pool_; }
  const PrefixIndex& index() const { return index_; }
  int32_t free() const { return pool_.free(); }

  // A free block, with one owner; it leaves the index. One that must be zeroed first is appended to
  // `scrub`.  Requires: free() > 0.
  BlockId take(std::vector<BlockId>& scrub);
  void share(BlockId block) { pool_.share(block); }
  void release(BlockId block) { pool_.release(block); }
  void release(std::span<const BlockId> blocks) { pool_.release(blocks); }

  // Enters a full block under its name, unless another has that name already.
  // Requires: no transaction is open, as for all below but undo.
  void publish(const Hash128& name, BlockId block);
  void unpublish(BlockId block);
  void touch(BlockId block) { pool_.touch(block); }

  // The block is zeroed before it has another first owner; whoever finds its prefix still may.
  void scrub_later(BlockId block) { tainted_[static_cast<size_t>(block)] = true; }
  void scrubbed(std::span<const BlockId> blocks);
  bool tainted(BlockId block) const { return tainted_[static_cast<size_t>(block)]; }

  // A transaction: what take, share and release do after open() is undone by undo(), or stays.
  void open();
  void keep() { pool_.keep(); }
  void undo();

  // Whether the pool, the index and these counts of owners ([blocks]) agree. Fails with kInternal
  // and what is wrong. O(blocks).
  Status audit(std::span<const int32_t> owners) const;

 private:
  BlockPool pool_;
  PrefixIndex index_;
  std::vector<bool> tainted_;                         // [blocks]
  std::vector<std::pair<BlockId, Hash128>> evicted_;  // since open()
};

}  // namespace mill::scheduler
