#include "scheduler/step_time.h"

#include <algorithm>
#include <cmath>

namespace mill::scheduler {
namespace {

constexpr double kFade = 0.98;            // of the past, per step of its kind
constexpr double kOutlier = 3.0;          // times the prediction
constexpr int64_t kTrusting = 8;          // steps that are believed whatever they say
constexpr double kDrift = 1.1;            // of the speed between two steps, at most
constexpr int64_t kSettling = 200;        // steps before a change is taken for one of the speed
constexpr int kSweeps = 24;               // of coordinate descent, per step
constexpr double kContext = 1.0 / 256.0;  // brings reads and pairs to the size of the other terms

}  // namespace

void StepShape::add(int64_t first, int64_t count, int64_t more_rows, bool of_prompt) {
  ++slices;
  tokens += count;
  rows += more_rows;
  reads += first + count;
  pairs += count * first + count * (count + 1) / 2;
  prompts += of_prompt ? 1 : 0;
}

StepTime::Terms StepTime::terms(const StepShape& shape) {
  return {1.0,
          static_cast<double>(shape.tokens),
          static_cast<double>(shape.rows),
          static_cast<double>(shape.reads) * kContext,
          static_cast<double>(shape.pairs) * kContext,
          shape.prompts > 0 ? 1.0 : 0.0};
}

double StepTime::seconds(const StepShape& shape) const {
  const Terms x = terms(shape);
  double sum = 0;
  for (size_t i = 0; i < kTerms; ++i) sum += costs_[i] * x[i];
  return sum;
}

void StepTime::learn(const StepShape& shape, double seconds) {
  if (!(seconds > 0) || shape.tokens <= 0) return;
  const double expected = this->seconds(shape);
  if (++steps_ > kTrusting) seconds = std::min(seconds, kOutlier * expected);
  const Terms x = terms(shape);
  // By its length as it is and as it was expected: by the former alone a machine that became slower
  // would be noticed late, by the latter alone the first steps would weigh too much.
  const double weight = 1 / (seconds * std::max(expected, seconds / kOutlier));
  const bool single = shape.tokens == shape.slices;
  Past& past = past_[single ? 0 : 1];
  for (size_t i = 0; i < kTerms; ++i) {
    for (size_t j = 0; j < kTerms; ++j) {
      past.products[i][j] = kFade * past.products[i][j] + weight * x[i] * x[j];
    }
    past.targets[i] = kFade * past.targets[i] + weight * x[i] * seconds;
  }
  solve();
  if (!single || steps_ <= kSettling) return;
  const double drift = expected > 0 ? this->seconds(shape) / expected : 1;
  for (double& target : past_[1].targets) target *= std::clamp(drift, 1 / kDrift, kDrift);
}

void StepTime::solve() {
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (size_t i = 0; i < kTerms; ++i) {
      const double own = past_[0].products[i][i] + past_[1].products[i][i];
      if (own <= 0) continue;
      double rest = past_[0].targets[i] + past_[1].targets[i];
      for (size_t j = 0; j < kTerms; ++j) {
        if (j != i) rest -= (past_[0].products[i][j] + past_[1].products[i][j]) * costs_[j];
      }
      costs_[i] = std::max(0.0, rest / own);
    }
  }
}

// n tokens from `first` cost n * token + read * (first + n) + pair * (n * first + n * (n + 1) / 2).
int64_t StepTime::tokens_within(double seconds, int64_t first) const {
  const double position = static_cast<double>(first);
  const double read = costs_[3] * kContext;
  const double pair = costs_[4] * kContext;
  const double left = seconds - read * position;
  if (left <= 0) return 0;
  const double linear = costs_[1] + read + pair * (position + 0.5);
  const double half = pair / 2;
  // The root of half * n^2 + linear * n = left, in the form that is exact for half = 0.
  const double n = 2 * left / (linear + std::sqrt(linear * linear + 4 * half * left));
  return static_cast<int64_t>(std::min(n, 1e9));
}

}  // namespace mill::scheduler
