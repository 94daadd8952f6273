#include "maas/admission/fair_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace mill::maas {
namespace {

using std::chrono::seconds;
const Instant kStart = Instant{} + std::chrono::hours(1);

TEST(FairShare, ATenantAloneHasTheWholeMill) {
  FairShare fair({.tokens_per_second = 100});
  EXPECT_EQ(fair.begin(1, 1, 100, kStart), kStart);
  EXPECT_EQ(fair.begin(1, 1, 100, kStart), kStart + seconds(1));
  EXPECT_EQ(fair.begin(1, 1, 100, kStart + seconds(5)), kStart + seconds(5));
}

TEST(FairShare, AFloodPushesBackOnlyItself) {
  FairShare fair({.tokens_per_second = 100});
  Instant flood = kStart;
  for (int i = 0; i < 50; ++i) flood = fair.begin(1, 1, 100, kStart);
  EXPECT_GE(flood, kStart + seconds(49));
  // The other asks for half of the mill, which is its share: always ranked by its arrival.
  for (int i = 0; i < 20; ++i) {
    const Instant at = kStart + seconds(2 * i);
    EXPECT_EQ(fair.begin(2, 1, 100, at), at);
  }
}

TEST(FairShare, WeightsDivideTheMill) {
  FairShare fair({.tokens_per_second = 100});
  fair.begin(1, 3, 100, kStart);
  fair.begin(2, 1, 100, kStart);
  const Instant heavy = fair.begin(1, 3, 100, kStart);
  const Instant light = fair.begin(2, 1, 100, kStart);
  EXPECT_EQ(heavy, kStart + seconds(1));  // announced while alone
  EXPECT_EQ(light, kStart + seconds(4));
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
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart + seconds(11));
}

TEST(FairShare, DebtsEndWithTheLastRequestAndRanksAreBounded) {
  FairShare fair({.tokens_per_second = 1, .horizon = seconds(60)});
  fair.begin(1, 1, 1'000'000, kStart);
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart + seconds(60));
  fair.end(1, 1'000'000, 1'000'000, kStart);
  fair.end(1, 1, 1, kStart);
  EXPECT_EQ(fair.active(), 0U);
  EXPECT_EQ(fair.begin(1, 1, 1, kStart), kStart);
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
