#include "tensor/peak.h"

#include <gtest/gtest.h>

#include "tensor/backend.h"

namespace mill::tensor {
namespace {

// Not a timed test: any machine that runs this code is between these bounds, which are orders of
// magnitude apart.
TEST(Peak, FiguresAreOfThisWorld) {
  ThreadPool pool(1);
  const auto bandwidth = measure_read_bytes_per_second(pool);
  if (!bandwidth) GTEST_SKIP() << "no 256 MiB of memory";
  EXPECT_GT(*bandwidth, 1e7);
  EXPECT_LT(*bandwidth, 1e13);
  const double macs = measure_int8_macs_per_second(pool);
  EXPECT_GT(macs, 1e7);
  EXPECT_LT(macs, 1e14);
}

TEST(Peak, OfTilesIsOfThisWorldToo) {
  if (!make_backend("amx")) GTEST_SKIP() << "this machine has no tiles";
  ThreadPool pool(1);
  const double macs = measure_prompt_macs_per_second(pool, "amx");
  EXPECT_GT(macs, 1e9);
  EXPECT_LT(macs, 1e14);
}

}  // namespace
}  // namespace mill::tensor
