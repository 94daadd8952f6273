#include "scheduler/drain_rate.h"

#include <gtest/gtest.h>

namespace mill::scheduler {
namespace {

TEST(DrainRate, NothingKnownIsASecond) {
  const DrainRate rate;
  EXPECT_EQ(rate.seconds_for(5, 100), 1);
  EXPECT_EQ(rate.seconds_for(0, 0), 0);
}

TEST(DrainRate, FollowsTheOrdersThatEnd) {
  DrainRate rate;
  for (int i = 0; i < 1000; ++i) rate.worked(0.1, i % 5 == 0 ? 1 : 0, 40);  // two a second
  EXPECT_NEAR(rate.seconds_for(10, 0), 5, 0.1);
  for (int i = 0; i < 1000; ++i) rate.worked(0.1, 1, 40);  // now ten
  EXPECT_NEAR(rate.seconds_for(10, 0), 1, 0.02) << "the past has faded";
}

TEST(DrainRate, CountsTokensWhereNoOrderHasEnded) {
  DrainRate rate;
  for (int i = 0; i < 100; ++i) rate.worked(0.1, 0, 50);  // 500 a second
  EXPECT_NEAR(rate.seconds_for(3, 10000), 20, 0.01);
  EXPECT_EQ(rate.seconds_for(0, 10000), 0);
}

TEST(DrainRate, TimeWithoutWorkIsNotSlow) {
  DrainRate rate;
  rate.worked(1, 10, 100);
  rate.worked(0, 0, 0);
  rate.worked(-1, 5, 5);
  EXPECT_NEAR(rate.seconds_for(10, 0), 1, 1e-9);
}

}  // namespace
}  // namespace mill::scheduler
