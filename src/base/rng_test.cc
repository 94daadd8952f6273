#include "base/rng.h"

#include <gtest/gtest.h>

namespace mill {
namespace {

// Known answers published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  const std::array<uint32_t, 4> zeros = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), zeros);
  const uint32_t f = 0xffffffff;
  const std::array<uint32_t, 4> ones = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(philox({f, f, f, f}, {f, f}), ones);
  const std::array<uint32_t, 4> pi = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), pi);
}

TEST(Philox, UniformIsInRangeAndDependsOnEveryArgument) {
  double sum = 0;
  for (uint64_t i = 0; i < 10000; ++i) {
    const double u = uniform_at(7, 0, i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.015);  // 5 standard deviations
  EXPECT_NE(uniform_at(7, 0, 1), uniform_at(8, 0, 1));
  EXPECT_NE(uniform_at(7, 0, 1), uniform_at(7, 1, 1));
  EXPECT_NE(uniform_at(7, 0, 1), uniform_at(7, 0, 2));
}

}  // namespace
}  // namespace mill
