#include "maas/admission/fair_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

#include "work/order.h"

namespace mill::maas {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
const Instant kStart = Instant{} + std::chrono::hours(1);

TEST(FairShare, ATenantAloneHasTheWholeMill) {
  FairShare fair({.tokens_per_second = 100});
  EXPECT_EQ(fair.begin(1, 1, 100, kStart), kStart - seconds(1));
  EXPECT_EQ(fair.begin(1, 1, 100, kStart), kStart);
  EXPECT_EQ(fair.begin(1, 1, 100, kStart + seconds(5)), kStart + seconds(4));
}

// The clock's zero is no bound.
TEST(FairShare, ANewTenantHasItsHeadStartOnAClockThatHasJustBegun) {
  FairShare fair({.tokens_per_second = 100});
  EXPECT_EQ(fair.begin(1, 1, 100, Instant{}), Instant{} - seconds(1));
}

// The head start is what a tenant has left of its share, up to a second.
TEST(FairShare, TheHeadStartShrinksWithWhatIsAsked) {
  FairShare fair({.tokens_per_second = 100});
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(fair.begin(1, 1, 20, kStart), kStart + milliseconds(200 * i - 1000)) << i;
  }
  // 2 s ahead now. It comes back with the time.
  EXPECT_EQ(fair.begin(1, 1, 0, kStart), kStart + seconds(2));
  EXPECT_EQ(fair.begin(1, 1, 0, kStart + milliseconds(2300)), kStart + seconds(2));
  EXPECT_EQ(fair.begin(1, 1, 0, kStart + seconds(9)), kStart + seconds(8));
}

TEST(FairShare, WhoAsksForLessGoesAheadOfWhatIsDueOfAFlood) {
  const auto due_ahead = [](Duration head_start) {
    FairShare fair({.tokens_per_second = 100, .head_start = head_start});
    std::vector<Instant> flood;
    for (int i = 0; i < 200; ++i) flood.push_back(fair.begin(1, 1, 10, kStart));  // 0.1 s each
    const Instant at = kStart + milliseconds(1550);
    const Instant rank = fair.begin(2, 1, 10, at);
    const auto ahead = [&](Instant of) { return of <= rank; };
    const auto due = [&](Instant of) { return of <= at; };
    return std::pair(std::count_if(flood.begin(), flood.end(), ahead),
                     std::count_if(flood.begin(), flood.end(), due));
  };
  EXPECT_EQ(due_ahead({}), std::pair(16L, 16L)) << "by arrival, behind all that is due";
  EXPECT_EQ(due_ahead(seconds(1)), std::pair(16L, 26L)) << "ten that are due let it go first";
}

TEST(FairShare, NobodyIsOvertakenByOneWhoComesAHeadStartBehindItsRank) {
  std::mt19937_64 random(7);
  FairShare fair({.tokens_per_second = 100, .head_start = milliseconds(700)});
  struct One {
    Instant at, rank;
  };
  std::vector<One> all;
  Instant clock = kStart;
  for (int i = 0; i < 600; ++i) {
    clock += milliseconds(random() % 60);
    const uint64_t tenant = random() % 4;
    all.push_back({clock, fair.begin(tenant, 1.0 + static_cast<double>(tenant),
                                     static_cast<int64_t>(random() % 20), clock)});
    EXPECT_GE(all.back().rank, clock - milliseconds(700));
    for (const One& before : all) {
      if (clock <= before.rank + milliseconds(700)) continue;
      ASSERT_GT(all.back().rank, before.rank) << i;
    }
  }
}

TEST(FairShareDeathTest, AHeadStartHasBounds) {
  EXPECT_DEATH(FairShare({.head_start = milliseconds(-1)}), "head_start");
  EXPECT_DEATH(FairShare({.head_start = work::kLongestHeadStart + milliseconds(1)}), "head_start");
  FairShare fair({.head_start = work::kLongestHeadStart});
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart - work::kLongestHeadStart);
}

TEST(FairShare, AFloodPushesBackOnlyItself) {
  FairShare fair({.tokens_per_second = 100});
  Instant flood = kStart;
  for (int i = 0; i < 50; ++i) flood = fair.begin(1, 1, 100, kStart);
  EXPECT_GE(flood, kStart + seconds(48));
  // The other asks for half of the mill, which is its share: it always has its head start.
  for (int i = 0; i < 20; ++i) {
    const Instant at = kStart + seconds(2 * i);
    EXPECT_EQ(fair.begin(2, 1, 100, at), at - seconds(1));
  }
}

TEST(FairShare, WeightsDivideTheMill) {
  FairShare fair({.tokens_per_second = 100});
  fair.begin(1, 3, 100, kStart);
  fair.begin(2, 1, 100, kStart);
  const Instant heavy = fair.begin(1, 3, 100, kStart);
  const Instant light = fair.begin(2, 1, 100, kStart);
  EXPECT_EQ(heavy, kStart);  // announced while alone
  EXPECT_EQ(light, kStart + seconds(3));
  EXPECT_EQ(fair.begin(1, 3, 100, kStart), heavy + std::chrono::nanoseconds(1'333'333'333));
}

TEST(FairShare, WhoHasMoreThanItsPlacesCrowds) {
  FairShare fair;
  EXPECT_FALSE(fair.crowds(1, 1, 0));
  for (int i = 0; i < 8; ++i) fair.begin(1, 1, 10, kStart);
  EXPECT_FALSE(fair.crowds(1, 1, 9));  // alone, it may have all
  EXPECT_TRUE(fair.crowds(1, 1, 8));
  fair.begin(2, 3, 10, kStart);
  EXPECT_TRUE(fair.crowds(1, 1, 12));    // three of twelve are its part
  EXPECT_FALSE(fair.crowds(2, 3, 12));   // nine of twelve
  EXPECT_FALSE(fair.crowds(3, 1, 12));   // one may always be
}

TEST(FairShare, WhatWasNotUsedComesBack) {
  FairShare fair({.tokens_per_second = 100});
  fair.begin(1, 1, 1000, kStart);
  fair.begin(1, 1, 1000, kStart);
  fair.end(1, 1000, 100, kStart);
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart + seconds(10));
}

TEST(FairShare, DebtsEndWithTheLastRequestAndRanksAreBounded) {
  FairShare fair({.tokens_per_second = 1, .horizon = seconds(60)});
  fair.begin(1, 1, 1'000'000, kStart);
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart + seconds(60));
  fair.end(1, 1'000'000, 1'000'000, kStart);
  fair.end(1, 1, 1, kStart);
  EXPECT_EQ(fair.active(), 0U);
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart - seconds(1));
}

// A mill that serves by rank, one request at a time: each tenant's part of the work is its part of
// the weights.
TEST(FairShare, ServiceByRankIsByWeight) {
  FairShare fair({.tokens_per_second = 10});
  struct Waiting {
    uint64_t tenant;
    Instant rank;
  };
  std::vector<Waiting> line;
  const double weights[] = {1, 2, 5};
  for (int i = 0; i < 400; ++i) {
    for (uint64_t t = 0; t < 3; ++t) line.push_back({t, fair.begin(t, weights[t], 10, kStart)});
  }
  std::stable_sort(line.begin(), line.end(), [](auto& a, auto& b) { return a.rank < b.rank; });
  int served[3] = {};
  for (int i = 0; i < 320; ++i) ++served[line[static_cast<size_t>(i)].tenant];
  EXPECT_NEAR(served[0], 40, 3);
  EXPECT_NEAR(served[1], 80, 3);
  EXPECT_NEAR(served[2], 200, 6);
}

}  // namespace
}  // namespace mill::maas
