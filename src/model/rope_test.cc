#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mill::model {
namespace {

// The angle of pair `pair` at position 1.
double angle(const RopeConfig& config, std::vector<float> factors, size_t pair) {
  const Rope rope(config, factors);
  std::vector<float> cos(static_cast<size_t>(config.dims) / 2), sin(cos.size());
  rope.angles(1, cos.data(), sin.data());
  return std::atan2(sin[pair], cos[pair]);
}

TEST(Rope, PlainFrequencies) {
  const RopeConfig config{.theta = 10000, .dims = 8};
  EXPECT_NEAR(angle(config, {}, 0), 1.0, 1e-6);
  EXPECT_NEAR(angle(config, {}, 1), 0.1, 1e-7);
  EXPECT_NEAR(angle(config, {}, 3), 0.001, 1e-9);
}

TEST(Rope, LinearScalingStretchesEveryWave) {
  const RopeConfig config{.theta = 10000, .dims = 8, .scaling = RopeConfig::Scaling::kLinear, .factor = 4};
  EXPECT_NEAR(angle(config, {}, 0), 0.25, 1e-7);
  EXPECT_NEAR(angle(config, {}, 2), 0.0025, 1e-9);
}

TEST(Rope, FactorsOfTheFileDivide) {
  const RopeConfig config{.theta = 10000, .dims = 8};
  EXPECT_NEAR(angle(config, {1, 2, 8, 32}, 1), 0.05, 1e-7);
  EXPECT_NEAR(angle(config, {1, 2, 8, 32}, 3), 0.001 / 32, 1e-10);
}

// YaRN with the numbers of transformers' _compute_yarn_parameters (rope_theta 10000, dims 64, factor 4, original context 4096):
// fast waves unchanged, slow waves stretched by the factor, magnitude 0.1 ln(4) + 1.
TEST(Rope, YarnKeepsFastWavesAndStretchesSlowOnes) {
  const RopeConfig config{.theta = 10000, .dims = 64, .scaling = RopeConfig::Scaling::kYarn, .factor = 4, .original_context = 4096};
  EXPECT_NEAR(angle(config, {}, 0), 1.0, 1e-6);
  EXPECT_NEAR(angle(config, {}, 31), std::pow(10000.0, -62.0 / 64) / 4, 1e-9);
  const Rope rope(config, {});
  std::vector<float> cos(32), sin(32);
  rope.angles(0, cos.data(), sin.data());
  EXPECT_NEAR(cos[0], 0.1 * std::log(4.0) + 1, 1e-6);
}

TEST(Rope, MeanAngleIsTheMeanOfTheAngles) {
  const Rope rope({.theta = 10000, .dims = 8, .scaling = RopeConfig::Scaling::kYarn, .factor = 4, .original_context = 64}, {});
  for (const int64_t positions : {1, 7, 1000}) {
    std::vector<float> cos(4), sin(4);
    std::vector<double> cosines(4), sines(4);
    for (int64_t p = 0; p < positions; ++p) {
      rope.angles(p, cos.data(), sin.data());
      for (size_t i = 0; i < 4; ++i) cosines[i] += cos[i], sines[i] += sin[i];
    }
    for (size_t i = 0; i < 4; ++i) {
      const Rope::Mean mean = rope.mean_angle(static_cast<int32_t>(i), positions);
      EXPECT_NEAR(mean.cos, cosines[i] / static_cast<double>(positions), 1e-6);
      EXPECT_NEAR(mean.sin, sines[i] / static_cast<double>(positions), 1e-6);
    }
  }
}

TEST(Rope, FarPositionsAreExact) {
  const Rope rope({.theta = 1000000, .dims = 4}, {});
  float cos[2], sin[2];
  rope.angles(1'000'003, cos, sin);
  EXPECT_NEAR(cos[0], std::cos(1'000'003.0), 1e-6);
  EXPECT_NEAR(sin[1], std::sin(1'000'003.0 * 1e-3), 1e-6);
}

}  // namespace
}  // namespace mill::model
