#include "work/busy_time.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

namespace mill::work {
namespace {

uint64_t seed_for_test() {
  const char* given = std::getenv("MILL_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

using std::chrono::nanoseconds;

TEST(TimeShares, PartsAreByTokens) {
  TimeShares shares(nanoseconds(1000), 10);
  EXPECT_EQ(shares.next(7), nanoseconds(700));
  EXPECT_EQ(shares.next(0), nanoseconds(0));
  EXPECT_EQ(shares.next(1), nanoseconds(100));
  EXPECT_EQ(shares.left(), nanoseconds(200)) << "of the two tokens that nobody asked for";
}

TEST(TimeShares, AStepOfNoTokensIsNobodys) {
  TimeShares shares(nanoseconds(5), 0);
  EXPECT_EQ(shares.next(0), nanoseconds(0));
  EXPECT_EQ(shares.left(), nanoseconds(5));
}

TEST(TimeShares, TheLongestStepDoesNotOverflow) {
  const auto longest = Duration::max();
  TimeShares shares(longest, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(shares.next(std::numeric_limits<int64_t>::max()), longest);
}

TEST(TimeShares, PartsAddUpToTheNanosecond) {
  const uint64_t seed = seed_for_test();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<int64_t> tokens(1 + random() % 64);
    int64_t all = 0;
    for (int64_t& count : tokens) all += count = static_cast<int64_t>(random() % 300);
    if (all == 0) continue;
    const auto whole = static_cast<int64_t>(random() >> (20 + random() % 40));
    TimeShares shares(nanoseconds(whole), all);
    int64_t sum = 0;
    for (const int64_t count : tokens) {
      const int64_t part = shares.next(count).count();
      const double fair =
          static_cast<double>(whole) * static_cast<double>(count) / static_cast<double>(all);
      ASSERT_NEAR(static_cast<double>(part), fair, 1.5 + fair * 1e-12);
      sum += part;
    }
    ASSERT_EQ(sum, whole);
    ASSERT_EQ(shares.left(), Duration::zero());
  }
}

}  // namespace
}  // namespace mill::work
