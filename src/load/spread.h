// A set of measured times, and what people ask of it. Exact: every sample is kept.
#pragma once

#include <cstdint>
#include <vector>

namespace mill::load {

// Seconds; all 0 when there are no samples.
struct Spread {
  int64_t count = 0;
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};

// Sorts `samples`.
Spread spread_of(std::vector<double>& samples);

// The value below which the share `q` (0 to 1) of `sorted` lies, interpolated linearly between
// neighbours (numpy's default, and so the figure that other load tools print).
// Requires: sorted, not empty.
double percentile(const std::vector<double>& sorted, double q);

}  // namespace mill::load
