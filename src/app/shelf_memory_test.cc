#include "app/shelf_memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace mill::app {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(ShelfMemory, a_set_total_is_divided_by_the_shares_after_the_wishes) {
  const std::vector<MemoryClaim> claims{{.share = 1}, {.share = 3}, {.kv_wish = 20 * kMiB}};
  EXPECT_EQ(kv_bytes_of(claims, 0, 100 * kMiB, 0).value(), 20 * kMiB);
  EXPECT_EQ(kv_bytes_of(claims, 1, 100 * kMiB, 0).value(), 60 * kMiB);
  EXPECT_EQ(kv_bytes_of(claims, 2, 100 * kMiB, 0).value(), 20 * kMiB);
}

TEST(ShelfMemory, one_that_comes_later_gets_no_more_than_is_left) {
  std::vector<MemoryClaim> claims{{.kv_held = 90 * kMiB}, {}};
  EXPECT_EQ(kv_bytes_of(claims, 1, 100 * kMiB, 0).value(), 10 * kMiB);
  claims[0].kv_held = 100 * kMiB;
  const auto refused = kv_bytes_of(claims, 1, 100 * kMiB, 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOverloaded);
  EXPECT_NE(refused.error().message.find("--kv-memory"), std::string::npos);
  claims[1].kv_wish = 5 * kMiB;
  EXPECT_EQ(kv_bytes_of(claims, 1, 100 * kMiB, 0).value(), 5 * kMiB);
}

TEST(ShelfMemory, without_a_total_half_of_what_is_free_is_divided) {
  std::vector<MemoryClaim> claims{{.share = 1}, {.share = 1}};
  EXPECT_EQ(kv_bytes_of({claims.data(), 1}, 0, 0, 800 * kMiB).value(), 400 * kMiB);
  EXPECT_EQ(kv_bytes_of(claims, 0, 0, 800 * kMiB).value(), 200 * kMiB);
  claims[0].kv_held = 200 * kMiB;  // the second gets as much, though less is free by now
  EXPECT_EQ(kv_bytes_of(claims, 1, 0, 600 * kMiB).value(), 200 * kMiB);
  claims[0].kv_held = 700 * kMiB;
  EXPECT_LE(kv_bytes_of(claims, 1, 0, 100 * kMiB).value(), 100 * kMiB);
  EXPECT_EQ(kv_bytes_of(claims, 1, 0, -5).value(), 175 * kMiB > kLeastKv ? kLeastKv : 0);
}

TEST(ShelfMemory, a_load_needs_the_file_and_a_third_and_what_was_wished) {
  EXPECT_EQ(bytes_to_load(1000 * kMiB, 100 * kMiB), (1300 + 64 + 100) * kMiB);
}

TEST(ShelfMemory, the_one_not_used_for_longest_goes_first) {
  const auto at = [](int s) { return Instant{} + std::chrono::seconds(s); };
  EXPECT_EQ(first_to_go({}), std::nullopt);
  const std::vector<Evictable> none{{false, at(1)}, {false, at(2)}};
  EXPECT_EQ(first_to_go(none), std::nullopt);
  const std::vector<Evictable> some{{false, at(1)}, {true, at(9)}, {true, at(3)}, {true, at(3)}};
  EXPECT_EQ(first_to_go(some), 2U);
}

}  // namespace
}  // namespace mill::app
