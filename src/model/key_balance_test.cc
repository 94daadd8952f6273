#include "model/key_balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace mill::model {
namespace {

constexpr int32_t kDim = 32, kHeadDim = 16, kHeads = 4, kKvHeads = 2;
constexpr tensor::HeadShape kShape{.heads = kHeads, .kv_heads = kKvHeads, .head_dim = kHeadDim};

std::vector<float> draw(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// F32 matrices whose rows differ widely in size, and biases on the keys.
struct Layer {
  explicit Layer(std::mt19937& random)
      : q(draw(random, kHeads * kHeadDim * kDim)),
        k(draw(random, kKvHeads * kHeadDim * kDim)),
        bias(draw(random, kKvHeads * kHeadDim)),
        norm(kDim, 1.0F) {
    for (std::vector<float>* matrix : {&q, &k}) {
      for (size_t row = 0; row < matrix->size() / kDim; ++row) {
        const float size = std::exp(static_cast<float>(random() % 5));
        for (size_t j = 0; j < kDim; ++j) (*matrix)[row * kDim + j] *= size;
      }
    }
    for (float& value : bias) value *= 100;
  }

  static tensor::Weight weight(const std::vector<float>& values) {
    return {tensor::DType::kF32, static_cast<int64_t>(values.size()) / kDim, kDim,
            reinterpret_cast<const std::byte*>(values.data())};
  }
  KeyBalance balance(const Rope& rope, bool may_center = true,
                     std::span<const float> head_norm = {}) const {
    return key_balance({weight(q), {}, {}}, {weight(k), bias, head_norm}, norm, kShape, rope,
                       may_center);
  }

  std::vector<float> q, k, bias, norm;
};

Rope rope_of(bool half_split, int32_t dims = kHeadDim) {
  return Rope({.theta = 1e6, .dims = dims, .half_split = half_split}, {});
}

// One head rotated in place.
void rotate(const Rope& rope, int64_t position, float* head) {
  std::vector<float> cos(kHeadDim), sin(kHeadDim);
  rope.angles(position, cos.data(), sin.data());
  const int32_t half = rope.dims() / 2;
  for (int32_t i = 0; i < half; ++i) {
    float& a = head[rope.half_split() ? i : 2 * i];
    float& b = head[rope.half_split() ? i + half : 2 * i + 1];
    const float first = a * cos[static_cast<size_t>(i)] - b * sin[static_cast<size_t>(i)];
    b = a * sin[static_cast<size_t>(i)] + b * cos[static_cast<size_t>(i)];
    a = first;
  }
}

// Between balanced queries and keys a query's scores are those of the plain ones, less the same for
// all keys.
TEST(KeyBalance, MovesAllScoresOfAQueryAlike) {
  std::mt19937 random(3);
  const Layer layer(random);
  for (const bool half_split : {false, true}) {
    for (const int32_t dims : {kHeadDim, kHeadDim / 2}) {
      const Rope rope = rope_of(half_split, dims);
      const KeyBalance balance = layer.balance(rope);
      ASSERT_EQ(balance.key_center.size(), size_t{kKvHeads * kHeadDim});
      for (size_t head = 0; head < kKvHeads * kHeadDim; head += kHeadDim) {
        const std::vector<float> query = draw(random, kHeadDim);
        std::vector<double> moved;
        for (const int64_t position : {0, 1, 40, 5000}) {
          std::vector<float> q = query, balanced_q = query, k = draw(random, kHeadDim);
          for (size_t i = 0; i < kHeadDim; ++i) k[i] += layer.bias[head + i];
          std::vector<float> balanced_k = k;
          for (size_t i = 0; i < kHeadDim; ++i) {
            balanced_q[i] *= balance.query_factors[head + i];
            balanced_k[i] *= balance.key_factors[head + i];
          }
          rotate(rope, 7000, q.data()), rotate(rope, 7000, balanced_q.data());
          rotate(rope, position, k.data()), rotate(rope, position, balanced_k.data());
          double difference = 0;
          for (size_t i = 0; i < kHeadDim; ++i) {
            const double centered = double{balanced_k[i]} - balance.key_center[head + i];
            difference += centered * balanced_q[i] - double{k[i]} * q[i];
          }
          moved.push_back(difference);
        }
        // 16 products of about 100 each, rounded to f32 a few times.
        for (const double by : moved) EXPECT_NEAR(by, moved[0], 16 * 1000 * 0x1p-22);
      }
    }
  }
}

// A pair that hardly turns is at its bias everywhere, one that turns often at zero in the mean.
TEST(KeyBalance, TakesOffTheBiasOfSlowPairsAlone) {
  std::mt19937 random(4);
  const Layer layer(random);
  const KeyBalance balance = layer.balance(rope_of(true));
  for (size_t head = 0; head < kKvHeads * kHeadDim; head += kHeadDim) {
    const auto center = [&](size_t i) {
      return balance.key_center[head + i] * balance.query_factors[head + i];
    };
    const float fast = std::hypot(layer.bias[head], layer.bias[head + 8]);
    EXPECT_LT(std::hypot(center(0), center(8)), fast * 0.001F);
    // The slowest turns by 4096 * 10^-5.25 = 0.023 over the positions of the mean.
    const float slow = std::hypot(layer.bias[head + 7], layer.bias[head + 15]);
    const float off =
        std::hypot(center(7) - layer.bias[head + 7], center(15) - layer.bias[head + 15]);
    EXPECT_LT(off, slow * 0.012F);
  }
}

// Without biases: f² = |k| / |q| up to one factor for the head, with the sizes known from the rows.
TEST(KeyBalance, FactorsAreTheRootOfKeysOverQueries) {
  std::mt19937 random(5);
  Layer layer(random);
  layer.bias.clear();
  const auto square = [](const std::vector<float>& matrix, size_t row) {
    double sum = 0;
    for (size_t j = 0; j < kDim; ++j) sum += std::pow(matrix[row * kDim + j], 2);
    return sum;
  };
  const KeyBalance balance = layer.balance(rope_of(false));
  EXPECT_TRUE(balance.key_center.empty());
  for (size_t head = 0; head < kKvHeads; ++head) {
    std::vector<double> ratios;
    for (size_t i = 0; i < kHeadDim; i += 2) {
      const size_t row = head * kHeadDim + i;
      ASSERT_EQ(balance.query_factors[row], balance.query_factors[row + 1]);
      EXPECT_FLOAT_EQ(balance.query_factors[row] * balance.key_factors[row], 1);
      const double keys = square(layer.k, row) + square(layer.k, row + 1);
      double queries = 0;
      for (size_t of = 0; of < 2; ++of) {
        const size_t at = (2 * head + of) * kHeadDim + i;
        queries += square(layer.q, at) + square(layer.q, at + 1);
      }
      ratios.push_back(std::pow(balance.query_factors[row], 4) * queries / keys);
    }
    for (const double ratio : ratios) EXPECT_NEAR(ratio / ratios[0], 1, 1e-4);
  }
}

TEST(KeyBalance, HasNoCenterBehindANormOrWhereScoresAreCapped) {
  std::mt19937 random(6);
  const Layer layer(random);
  const std::vector<float> norm = draw(random, kHeadDim);
  EXPECT_TRUE(layer.balance(rope_of(true), false).key_center.empty());
  EXPECT_TRUE(layer.balance(rope_of(true), true, norm).key_center.empty());
}

TEST(KeyBalance, LeavesHeadsOfZerosAsTheyAre) {
  std::mt19937 random(7);
  Layer layer(random);
  std::fill(layer.q.begin(), layer.q.end(), 0.0F);
  std::fill(layer.k.begin(), layer.k.end(), 0.0F);
  layer.bias.clear();
  for (const float factor : layer.balance(rope_of(true)).query_factors) EXPECT_EQ(factor, 1);
}

}  // namespace
}  // namespace mill::model
