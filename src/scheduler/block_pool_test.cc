#include "scheduler/block_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace mill::scheduler {
namespace {

TEST(BlockPool, GivesEveryBlockOnceTheLowestFirst) {
  BlockPool pool(4);
  std::vector<BlockId> mine = {9};
  pool.acquire(3, mine);
  EXPECT_EQ(mine, (std::vector<BlockId>{9, 0, 1, 2}));
  EXPECT_EQ(pool.free(), 1);
  pool.acquire(1, mine);
  EXPECT_EQ(mine.back(), 3);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_TRUE(pool.consistent());
}

TEST(BlockPool, AReleasedBlockIsTheNextToBeGiven) {
  BlockPool pool(8);
  std::vector<BlockId> mine;
  pool.acquire(5, mine);
  pool.release(std::vector<BlockId>{2});
  EXPECT_EQ(pool.owners(2), 0);
  std::vector<BlockId> more;
  pool.acquire(1, more);
  EXPECT_EQ(more, (std::vector<BlockId>{2}));
  EXPECT_EQ(pool.owners(2), 1);
  EXPECT_TRUE(pool.consistent());
}

TEST(BlockPoolDeath, RefusesToGiveMoreThanItHasOrToTakeWhatIsFree) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  BlockPool pool(2);
  std::vector<BlockId> mine;
  EXPECT_DEATH(pool.acquire(3, mine), "count");
  EXPECT_DEATH(pool.release(std::vector<BlockId>{0}), "owners");
  EXPECT_DEATH(pool.release(std::vector<BlockId>{7}), "total");
}

}  // namespace
}  // namespace mill::scheduler
