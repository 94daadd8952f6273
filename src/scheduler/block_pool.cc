#include "scheduler/block_pool.h"

#include <algorithm>

#include "base/check.h"

namespace mill::scheduler {

BlockPool::BlockPool(int32_t blocks) {
  MILL_CHECK(blocks >= 0);
  books_.resize(static_cast<size_t>(blocks) + kEnds);
  for (const BlockId ring : {plain_ring(), cached_ring()}) {
    book(ring).before = book(ring).after = ring;
  }
  for (BlockId block = 0; block < blocks; ++block) {
    link_behind(block, book(plain_ring()).before);
    ++plain_;
  }
}

void BlockPool::unlink(BlockId block) {
  const Book& b = book(block);
  book(b.before).after = b.after;
  book(b.after).before = b.before;
}

void BlockPool::link_behind(BlockId block, BlockId neighbour) {
  Book& b = book(block);
  b.before = neighbour;
  b.after = book(neighbour).after;
  relink(block);
}

void BlockPool::relink(BlockId block) {
  const Book& b = book(block);
  book(b.before).after = block;
  book(b.after).before = block;
}

void BlockPool::link(BlockId block) {
  const bool cached = book(block).cached;
  link_behind(block, cached ? book(cached_ring()).before : plain_ring());
  ++count_of(cached);
}

void BlockPool::note(Move::Kind kind, BlockId block) {
  if (open_) moves_.push_back({kind, block, book(block)});
}

BlockPool::Taken BlockPool::take() {
  MILL_CHECK(free() > 0);
  const bool cached = plain_ == 0;
  const BlockId block = book(cached ? cached_ring() : plain_ring()).after;
  note(Move::Kind::kTake, block);
  unlink(block);
  --count_of(cached);
  book(block).owners = 1;
  book(block).cached = false;
  return {block, cached};
}

void BlockPool::share(BlockId block) {
  MILL_CHECK(block >= 0 && block < total());
  Book& b = book(block);
  if (b.owners == 0) {
    note(Move::Kind::kShareFree, block);
    unlink(block);
    --count_of(b.cached);
  } else {
    note(Move::Kind::kShare, block);
  }
  ++b.owners;
}

void BlockPool::release(BlockId block) {
  MILL_CHECK(block >= 0 && block < total());
  Book& b = book(block);
  MILL_CHECK(b.owners > 0);
  note(b.owners == 1 ? Move::Kind::kReleaseToFree : Move::Kind::kRelease, block);
  if (--b.owners == 0) link(block);
}

void BlockPool::release(std::span<const BlockId> blocks) {
  for (size_t i = blocks.size(); i-- > 0;) {
    if (blocks[i] != kNoBlock) release(blocks[i]);
  }
}

void BlockPool::hold_prefix(BlockId block, bool holds) {
  MILL_CHECK(!open_ && block >= 0 && block < total());
  Book& b = book(block);
  if (b.cached == holds) return;
  if (b.owners == 0) {
    unlink(block);
    --count_of(b.cached);
  }
  b.cached = holds;
  if (b.owners == 0) link(block);
}

void BlockPool::touch(BlockId block) {
  MILL_CHECK(!open_ && block >= 0 && block < total());
  const Book& b = book(block);
  if (b.owners > 0 || !b.cached) return;
  unlink(block);
  link_behind(block, book(cached_ring()).before);
}

void BlockPool::open() {
  MILL_CHECK(!open_);
  open_ = true;
  moves_.clear();
}

void BlockPool::keep() {
  MILL_CHECK(open_);
  open_ = false;
}

// Backwards through the moves. What was unlinked goes back between the neighbours that it had: at
// that point of the past they stand as they stood then.
void BlockPool::undo() {
  MILL_CHECK(open_);
  for (size_t i = moves_.size(); i-- > 0;) {
    const Move& move = moves_[i];
    Book& b = book(move.block);
    switch (move.kind) {
      case Move::Kind::kTake:
      case Move::Kind::kShareFree:
        b = move.was;
        relink(move.block);
        ++count_of(b.cached);
        break;
      case Move::Kind::kReleaseToFree:
        unlink(move.block);
        --count_of(b.cached);
        b.owners = 1;
        break;
      case Move::Kind::kShare:
      case Move::Kind::kRelease:
        b.owners = move.was.owners;
        break;
    }
  }
  open_ = false;
}

std::vector<BlockId> BlockPool::line() const {
  std::vector<BlockId> line;
  for (const BlockId ring : {plain_ring(), cached_ring()}) {
    for (BlockId block = book(ring).after; block != ring; block = book(block).after) {
      line.push_back(block);
    }
  }
  return line;
}

bool BlockPool::consistent() const {
  std::vector<bool> listed(books_.size(), false);
  for (const bool cached : {false, true}) {
    const BlockId ring = cached ? cached_ring() : plain_ring();
    int32_t count = 0;
    for (BlockId block = book(ring).after; block != ring; block = book(block).after) {
      if (block < 0 || block >= total() || listed[static_cast<size_t>(block)]) return false;
      if (book(block).owners != 0 || book(block).cached != cached) return false;
      if (book(book(block).after).before != block) return false;
      listed[static_cast<size_t>(block)] = true;
      ++count;
    }
    if (count != (cached ? cached_ : plain_)) return false;
  }
  const auto unowned = std::count_if(books_.begin(), books_.end() - kEnds,
                                     [](const Book& b) { return b.owners == 0; });
  return unowned == free();
}

}  // namespace mill::scheduler
