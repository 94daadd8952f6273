#include "engine/sampler/row_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace mill::engine {
namespace {

// Rows with many equal values, of sizes around lanes and chunks.
std::vector<std::vector<float>> rows() {
  std::mt19937 random(1);
  std::vector<std::vector<float>> all;
  for (const size_t size : {1, 2, 15, 16, 17, 511, 512, 513, 1000, 5000}) {
    for (const int distinct : {1, 3, 1000000}) {
      std::vector<float> row(size);
      for (float& x : row) {
        x = static_cast<float>(static_cast<int>(random() % static_cast<unsigned>(distinct))) /
            50.0F;
        if (distinct > 3) x = x / 400.0F - 30.0F;
      }
      all.push_back(row);
    }
  }
  return all;
}

TEST(RowOps, ExpIsCloseToTheRealOne) {
  for (float x = 0; x > -87; x -= 0.00137F) {
    const double real = std::exp(static_cast<double>(x));
    ASSERT_NEAR(static_cast<double>(exp_of(x)) / real, 1.0, 3e-7) << x;
  }
  EXPECT_EQ(exp_of(0), 1.0F);
  EXPECT_EQ(exp_of(-88), 0.0F);
  EXPECT_EQ(exp_of(-1e30F), 0.0F);
  EXPECT_EQ(exp_of(-std::numeric_limits<float>::infinity()), 0.0F);
}

TEST(RowOps, HighestIsTheFirstOfTheHighest) {
  for (const auto& row : rows()) {
    const Highest found = highest(row);
    const auto expected = std::max_element(row.begin(), row.end());
    EXPECT_TRUE(found.finite);
    EXPECT_EQ(found.logit, *expected);
    EXPECT_EQ(found.token, expected - row.begin()) << row.size();
  }
}

TEST(RowOps, BothZerosAreEqual) {
  std::vector<float> row(2000, -0.0F);
  row[1500] = 0.0F;
  EXPECT_EQ(highest(row).token, 0);
  row.assign(2000, -1.0F);
  row[3] = -0.0F;
  row[4] = row[1900] = 0.0F;
  EXPECT_EQ(highest(row).token, 3);
}

TEST(RowOps, OneValueThatIsNotFiniteIsFoundWhereverItIs) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float odd : {std::nanf(""), inf, -inf}) {
    for (const size_t size : {1, 16, 37, 513, 1030}) {
      for (size_t at = 0; at < size; at += 1 + at / 7) {
        std::vector<float> row(size, 1.0F);
        row[at] = odd;
        ASSERT_FALSE(highest(row).finite) << odd << " at " << at << " of " << size;
      }
    }
  }
  EXPECT_TRUE(highest(std::vector<float>{3.4e38F, -3.4e38F, 1e-45F}).finite);
}

TEST(RowOps, SumsAgreeWithDoubles) {
  for (const auto& row : rows()) {
    const float top = *std::max_element(row.begin(), row.end());
    for (const float scale : {0.5F, 1.0F, 3.0F}) {
      double expected = 0;
      for (const float x : row) expected += std::exp(static_cast<double>((x - top) * scale));
      std::vector<float> weights;
      std::vector<double> chunks;
      const double total = weigh(row, top, scale, weights, chunks);
      EXPECT_NEAR(total / expected, 1.0, 1e-6);
      EXPECT_EQ(sum_of_exp(row, top, scale), total);
      EXPECT_EQ(weights.size(), row.size());
      EXPECT_NEAR(std::accumulate(chunks.begin(), chunks.end(), 0.0), total, 1e-9);
    }
  }
}

TEST(RowOps, BestOfIsABeginningOfTheSortedRow) {
  for (const auto& row : rows()) {
    std::vector<Candidate> sorted;
    for (size_t i = 0; i < row.size(); ++i) sorted.push_back({static_cast<TokenId>(i), row[i]});
    std::sort(sorted.begin(), sorted.end(), before);
    for (const int64_t count : {0, 1, 2, 20, 256, 700, 100000}) {
      std::vector<Candidate> best;
      best_of(row, count, best);
      ASSERT_EQ(std::ssize(best), std::min<int64_t>(count, std::ssize(row)));
      for (size_t i = 0; i < best.size(); ++i) ASSERT_EQ(best[i].token, sorted[i].token);
    }
  }
}

TEST(RowOps, BestOfARisingRow) {  // every token is better than all before it
  std::vector<float> row(20000);
  std::iota(row.begin(), row.end(), 0.0F);
  std::vector<Candidate> best;
  best_of(row, 3, best);
  ASSERT_EQ(best.size(), 3U);
  EXPECT_EQ(best[0].token, 19999);
  EXPECT_EQ(best[2].token, 19997);
}

TEST(RowOps, ThoseFromAThreshold) {
  for (const auto& row : rows()) {
    const float least = row[row.size() / 2];
    std::vector<Candidate> found;
    those_from(row, row, least, found);
    size_t next = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] < least) continue;
      ASSERT_LT(next, found.size());
      ASSERT_EQ(found[next++].token, static_cast<TokenId>(i));
    }
    ASSERT_EQ(next, found.size());
  }
}

}  // namespace
}  // namespace mill::engine
