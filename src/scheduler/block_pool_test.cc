#include "scheduler/block_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace mill::scheduler {
namespace {

std::vector<BlockId> take(BlockPool& pool, int count) {
  std::vector<BlockId> blocks;
  while (count-- > 0) blocks.push_back(pool.take().block);
  return blocks;
}

using Blocks = std::vector<BlockId>;

TEST(BlockPool, GivesEveryBlockOnceTheLowestFirst) {
  BlockPool pool(4);
  EXPECT_EQ(take(pool, 3), (Blocks{0, 1, 2}));
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.take().block, 3);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_TRUE(pool.consistent());
}

TEST(BlockPool, AReleasedBlockIsTheNextToBeGiven) {
  BlockPool pool(8);
  take(pool, 5);
  pool.release(2);
  EXPECT_EQ(pool.owners(2), 0);
  EXPECT_EQ(pool.take().block, 2);
  EXPECT_EQ(pool.owners(2), 1);
  EXPECT_TRUE(pool.consistent());
}

TEST(BlockPool, ASharedBlockIsFreeWhenItsLastOwnerLeaves) {
  BlockPool pool(2);
  take(pool, 1);
  pool.share(0);
  EXPECT_EQ(pool.owners(0), 2);
  pool.release(0);
  EXPECT_EQ(pool.free(), 1);
  pool.release(0);
  EXPECT_EQ(pool.free(), 2);
  EXPECT_TRUE(pool.consistent());
}

TEST(BlockPool, BlocksWithoutAPrefixGoFirstThenTheLeastRecentlyUsed) {
  BlockPool pool(6);
  const Blocks mine = take(pool, 4);  // 0 .. 3, and 4, 5 stay free
  for (const BlockId block : {0, 1, 2}) pool.hold_prefix(block, true);
  pool.release(mine);  // from the end: 3, 2, 1, 0
  EXPECT_EQ(pool.cached(), 3);
  EXPECT_EQ(pool.line(), (Blocks{3, 4, 5, 2, 1, 0})) << "the end of a prefix goes before its start";
  pool.touch(2);
  EXPECT_EQ(pool.line(), (Blocks{3, 4, 5, 1, 0, 2}));
  pool.share(1);
  pool.release(1);
  EXPECT_EQ(pool.line(), (Blocks{3, 4, 5, 0, 2, 1})) << "to be owned is to be used";
  take(pool, 3);
  const BlockPool::Taken taken = pool.take();
  EXPECT_EQ(taken.block, 0);
  EXPECT_TRUE(taken.held_prefix);
  EXPECT_FALSE(pool.holds_prefix(0));
  pool.hold_prefix(2, false);
  EXPECT_EQ(pool.line(), (Blocks{2, 1})) << "without its prefix it is as good as any";
  EXPECT_TRUE(pool.consistent());
}

// Random moves inside a transaction; undo brings back the same line and the same owners.
TEST(BlockPool, UndoLeavesNoTrace) {
  std::mt19937_64 random(7);
  BlockPool pool(12);
  Blocks owned;  // one entry for each owner
  for (int round = 0; round < 20000; ++round) {
    const bool transaction = random() % 2 == 0;
    const Blocks line_before = pool.line();
    const Blocks owned_before = owned;
    const int32_t cached_before = pool.cached();
    if (transaction) pool.open();
    for (uint64_t moves = random() % 8; moves > 0; --moves) {
      const auto any = static_cast<BlockId>(random() % 12);
      switch (random() % 4) {
        case 0:
          if (pool.free() > 0) owned.push_back(pool.take().block);
          break;
        case 1:
          pool.share(any);
          owned.push_back(any);
          break;
        case 2:
          if (owned.empty()) break;
          std::swap(owned[random() % owned.size()], owned.back());
          pool.release(owned.back());
          owned.pop_back();
          break;
        case 3:
          if (!transaction) pool.hold_prefix(any, random() % 2 == 0);
          break;
      }
    }
    if (transaction && random() % 2 == 0) {
      pool.undo();
      owned = owned_before;
      ASSERT_EQ(pool.line(), line_before) << "round " << round;
      ASSERT_EQ(pool.cached(), cached_before);
    } else if (transaction) {
      pool.keep();
    }
    ASSERT_TRUE(pool.consistent());
    for (BlockId block = 0; block < 12; ++block) {
      ASSERT_EQ(pool.owners(block), std::count(owned.begin(), owned.end(), block));
    }
  }
}

TEST(BlockPoolDeath, RefusesToGiveMoreThanItHasOrToTakeWhatIsFree) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  BlockPool pool(2);
  EXPECT_DEATH(pool.release(0), "owners");
  EXPECT_DEATH(pool.release(7), "total");
  take(pool, 2);
  EXPECT_DEATH(pool.take(), "free");
}

}  // namespace
}  // namespace mill::scheduler
