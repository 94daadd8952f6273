#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mill::model {
namespace {

// The pair whose wave turns `rotations` times within the original context (YaRN's find_correction_dim).
double pair_of_rotations(const RopeConfig& config, double rotations) {
  const double context = static_cast<double>(config.original_context);
  return config.dims * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(config.theta));
}

// How far pair i is interpolated: 0 not at all (fast waves), 1 fully (slow waves).
double yarn_ramp(const RopeConfig& config, int32_t pair) {
  const double low = std::max(0.0, std::floor(pair_of_rotations(config, config.beta_fast)));
  const double high = std::min(config.dims - 1.0, std::ceil(pair_of_rotations(config, config.beta_slow)));
  return std::clamp((pair - low) / std::max(0.001, high - low), 0.0, 1.0);
}

}  // namespace

Rope::Rope(const RopeConfig& config, std::span<const float> factors) : half_split_(config.half_split) {
  for (int32_t i = 0; i < config.dims / 2; ++i) {
    double frequency = std::pow(config.theta, -2.0 * i / config.dims);
    if (!factors.empty()) frequency /= factors[static_cast<size_t>(i)];
    switch (config.scaling) {
      case RopeConfig::Scaling::kNone: break;
      case RopeConfig::Scaling::kLinear: frequency /= config.factor; break;
      case RopeConfig::Scaling::kYarn: {
        const double ramp = yarn_ramp(config, i);
        frequency = frequency / config.factor * ramp + frequency * (1 - ramp);
        break;
      }
    }
    frequencies_.push_back(frequency);
  }
  if (config.scaling == RopeConfig::Scaling::kYarn) {
    magnitude_ = config.attention_factor * (1.0 + 0.1 * std::log(config.factor));
  }
}

void Rope::angles(int64_t position, float* cos, float* sin) const {
  for (const double frequency : frequencies_) {
    const double angle = static_cast<double>(position) * frequency;
    *cos++ = static_cast<float>(std::cos(angle) * magnitude_);
    *sin++ = static_cast<float>(std::sin(angle) * magnitude_);
  }
}

// The sum of exp(i n angle) over n < N is exp(i (N - 1) angle / 2) sin(N angle / 2) / sin(angle / 2).
Rope::Mean Rope::mean_angle(int32_t pair, int64_t positions) const {
  const double angle = frequencies_[static_cast<size_t>(pair)];
  const auto count = static_cast<double>(positions);
  const double below = std::sin(angle / 2);
  const double share = below == 0 ? 1 : std::sin(count * angle / 2) / (count * below);
  const double middle = (count - 1) * angle / 2;
  return {magnitude_ * share * std::cos(middle), magnitude_ * share * std::sin(middle)};
}

}  // namespace mill::model
