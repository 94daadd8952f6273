#include "scheduler/step_time.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mill::scheduler {
namespace {

constexpr double kFade = 0.99;          // of the past, per step
constexpr double kOutlier = 3.0;        // times the prediction
constexpr int64_t kTrusting = 8;        // steps that are believed whatever they say
constexpr int kSweeps = 12;             // of coordinate descent, per step
constexpr double kPairs = 1.0 / 256.0;  // brings pairs to the size of the other terms

}  // namespace

void StepShape::add(int64_t first, int64_t count, int64_t more_rows) {
  tokens += count;
  rows += more_rows;
  pairs += count * first + count * (count + 1) / 2;
}

StepTime::Terms StepTime::terms(const StepShape& shape) {
  return {1.0, static_cast<double>(shape.tokens), static_cast<double>(shape.rows),
          static_cast<double>(shape.pairs) * kPairs};
}

double StepTime::seconds(const StepShape& shape) const {
  const Terms x = terms(shape);
  double sum = 0;
  for (int i = 0; i < kTerms; ++i) sum += costs_[i] * x[i];
  return sum;
}

void StepTime::learn(const StepShape& shape, double seconds) {
  if (!(seconds > 0) || shape.tokens <= 0) return;
  if (++steps_ > kTrusting) seconds = std::min(seconds, kOutlier * this->seconds(shape));
  const Terms x = terms(shape);
  const double weight = 1 / (seconds * seconds);
  for (int i = 0; i < kTerms; ++i) {
    for (int j = 0; j < kTerms; ++j) {
      products_[i][j] = kFade * products_[i][j] + weight * x[i] * x[j];
    }
    targets_[i] = kFade * targets_[i] + weight * x[i] * seconds;
  }
  solve();
}

void StepTime::solve() {
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (int i = 0; i < kTerms; ++i) {
      if (products_[i][i] <= 0) continue;
      double rest = targets_[i];
      for (int j = 0; j < kTerms; ++j) {
        if (j != i) rest -= products_[i][j] * costs_[j];
      }
      costs_[i] = std::max(0.0, rest / products_[i][i]);
    }
  }
}

// n tokens from `first` cost n * token + pair * (n * first + n * (n + 1) / 2).
int64_t StepTime::tokens_within(double seconds, int64_t first) const {
  if (seconds <= 0) return 0;
  const double pair = costs_[3] * kPairs;
  const double linear = costs_[1] + pair * (static_cast<double>(first) + 0.5);
  const double half = pair / 2;
  // The root of half * n^2 + linear * n = seconds, in the form that is exact for half = 0.
  const double n = 2 * seconds / (linear + std::sqrt(linear * linear + 4 * half * seconds));
  return static_cast<int64_t>(std::min(n, 1e9));
}

}  // namespace mill::scheduler
