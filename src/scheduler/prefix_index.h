// Which block holds which beginning of a prompt.
//
// A full block is named by a hash of 128 bits over the name of the block before it and its own
// tokens, so that one name stands for all tokens from the start. The first block builds on a root
// made of the model's and the tenant's identity (work::CacheSalt): a tenant never meets another's
// names, and so can neither find nor time another's prefix.
//
// What is found is not compared with the tokens again. The hash is SipHash-2-4-128 under a key that
// is drawn at random for each engine and leaves it nowhere (the planner takes it as an argument):
// without the key nobody, whatever he sends, makes two beginnings share a name but by chance, and
// chance is 2^-88 for a million blocks.
//
// Pure and single-threaded, like the pool. All O(1); no allocation after construction but for
// consistent().
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "scheduler/sequence.h"
#include "scheduler/siphash.h"
#include "work/order.h"

namespace mill::scheduler {

class PrefixIndex {
 public:
  PrefixIndex(int32_t blocks, const HashKey& key);

  // What the first block of a prompt builds on.
  Hash128 root(std::string_view model, const work::CacheSalt& salt) const;
  // The name of the block with these tokens behind the block (or root) called `parent`.
  Hash128 next(const Hash128& parent, std::span<const TokenId> tokens) const;
  // In place of `parent`, for a block of which all tokens but the first so many are an answer's.
  Hash128 answer_behind(const Hash128& parent, int64_t prompt_tokens) const;

  // The block with that name; kNoBlock when there is none.
  BlockId find(const Hash128& name) const;

  // Enters a block. False, and nothing changes, when another block has the name already.
  // Requires: the block is not entered.
  bool insert(const Hash128& name, BlockId block);
  // Requires: the block is entered.
  void forget(BlockId block);

  bool holds(BlockId block) const { return entered_[static_cast<size_t>(block)]; }
  const Hash128& name_of(BlockId block) const { return names_[static_cast<size_t>(block)]; }
  int32_t size() const { return size_; }

  // Whether every entered block is found under its name, and nothing else is. O(blocks).
  bool consistent() const;

 private:
  size_t home(const Hash128& name) const { return static_cast<size_t>(name.first) & mask_; }
  size_t slot_of(const Hash128& name) const;  // its own, or the empty one it would take

  const HashKey key_;
  size_t mask_;                 // slots - 1, a power of two less one
  std::vector<BlockId> slots_;  // open addressing, linear; at most half full
  std::vector<Hash128> names_;  // [blocks]
  std::vector<bool> entered_;   // [blocks]
  int32_t size_ = 0;
  mutable std::vector<std::byte> text_;  // what is hashed, kept for its memory
};

}  // namespace mill::scheduler
