#include "device/probe.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace mill::device {
namespace {

TEST(ProbeTest, MeasuresSomethingPlausibleInAShortTime) {
  const Instant start = now();
  const Rates rates = measure_rates(2);
  EXPECT_LT(to_seconds(now() - start), 20.0);  // 0.7 s, and room for a crowded machine
  EXPECT_GT(rates.read_bytes_per_second, 1e8);
  EXPECT_LT(rates.read_bytes_per_second, 1e13);
  EXPECT_GT(rates.int8_macs_per_second, 1e7);
  EXPECT_LT(rates.int8_macs_per_second, 1e15);
  EXPECT_FALSE(rates.int8_path.empty());
}

TEST(ProbeTest, MoreThreadsThanCoresAreNoTrouble) {
  EXPECT_GT(measure_rates(9).int8_macs_per_second, 0);
}

}  // namespace
}  // namespace mill::device
