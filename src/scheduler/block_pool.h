// The KV cache as a parking lot: fixed blocks, counted owners, nothing moves.
//
// A block holds the keys and values of a fixed number of consecutive tokens for all layers of its
// kind. Several sequences may own one block (a shared prefix). A block without an owner is free; it
// may still hold a prefix that somebody may ask for again (it is then *cached*), so free blocks
// stand in one line: those that hold nothing first, the last released in front; then the cached
// ones, the least recently used in front. Every operation is O(1): the line is doubly linked
// through arrays.
//
// This class only keeps the books; the bytes live in engine/kv_store.h, and which prefix a block
// holds is written in prefix_index.h. Pure and single-threaded: the engine's step loop owns it in
// production, the simulator's virtual clock in planning.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/sequence.h"

namespace mill::scheduler {

class BlockPool {
 public:
  explicit BlockPool(int32_t blocks);  // Requires: blocks >= 0

  int32_t total() const { return static_cast<int32_t>(books_.size()) - kEnds; }
  int32_t free() const { return plain_ + cached_; }
  int32_t cached() const { return cached_; }  // of the free ones, those that hold a prefix
  int32_t owners(BlockId block) const { return book(block).owners; }
  bool holds_prefix(BlockId block) const { return book(block).cached; }

  // The first of the free line, with one owner and without its prefix. A fresh pool gives the
  // lowest ids first, so that memory which was never touched stays so as long as possible.
  // Requires: free() > 0.
  struct Taken {
    BlockId block = kNoBlock;
    bool held_prefix = false;  // the caller takes it out of the prefix index
  };
  Taken take();

  // One more owner; a free block leaves the line.
  void share(BlockId block);

  // One owner less. A block with no owner is free: the last of the line when it is cached, else the
  // first.  Requires: the block is owned.
  void release(BlockId block);
  // All of a sequence's, the last first: the beginning of a prefix outlives its end. Passes over
  // kNoBlock.
  void release(std::span<const BlockId> blocks);

  // Says whether a block holds a prefix.  Requires: no transaction is open.
  void hold_prefix(BlockId block, bool holds);

  // A cached free block counts as used just now; any other stays as it is.
  // Requires: no transaction is open.
  void touch(BlockId block);

  // A transaction: what take, share and release do after open() is undone, to the last link of the
  // line, by undo(), or stays with keep().
  void open();
  void keep();
  void undo();

  // Whether the line holds exactly the blocks without an owner, each once and in its part.
  // O(total).
  bool consistent() const;
  // The free blocks in the order in which they will be taken. O(free).
  std::vector<BlockId> line() const;

 private:
  static constexpr int32_t kEnds = 2;  // two rings, each closed by an entry that is no block
  struct Book {
    BlockId before = 0, after = 0;  // the neighbours in the ring
    int32_t owners = 0;
    bool cached = false;
  };
  struct Move {
    enum class Kind : uint8_t { kTake, kShare, kShareFree, kRelease, kReleaseToFree } kind;
    BlockId block;
    Book was;  // before the move
  };

  Book& book(BlockId block) { return books_[static_cast<size_t>(block)]; }
  const Book& book(BlockId block) const { return books_[static_cast<size_t>(block)]; }
  BlockId plain_ring() const { return total(); }
  BlockId cached_ring() const { return total() + 1; }
  int32_t& count_of(bool cached) { return cached ? cached_ : plain_; }
  void unlink(BlockId block);
  void link_behind(BlockId block, BlockId neighbour);
  void link(BlockId block);    // where a block that became free belongs
  void relink(BlockId block);  // between the neighbours it has noted; the reverse of unlink
  void note(Move::Kind kind, BlockId block);

  std::vector<Book> books_;  // [total + kEnds]
  int32_t plain_ = 0;        // free and not cached
  int32_t cached_ = 0;       // free and cached
  bool open_ = false;
  std::vector<Move> moves_;  // since open()
};

}  // namespace mill::scheduler
