#include "load/spread.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/check.h"

namespace mill::load {

double percentile(const std::vector<double>& sorted, double q) {
  MILL_CHECK(!sorted.empty());
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

Spread spread_of(std::vector<double>& samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  return {.count = static_cast<int64_t>(samples.size()),
          .mean = sum / static_cast<double>(samples.size()),
          .p50 = percentile(samples, 0.50),
          .p90 = percentile(samples, 0.90),
          .p95 = percentile(samples, 0.95),
          .p99 = percentile(samples, 0.99),
          .max = samples.back()};
}

}  // namespace mill::load
