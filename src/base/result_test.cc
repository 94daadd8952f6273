#include "base/result.h"

#include <gtest/gtest.h>

namespace mill {
namespace {

Result<int> half(int n) {
  if (n % 2) return fail(Code::kInvalid, "n must be even", "n");
  return n / 2;
}

Result<int> quarter(int n) {
  MILL_TRY(const int h, half(n));
  MILL_TRY(const int q, half(h));
  return q;
}

TEST(Result, TryPassesTheValueOrTheError) {
  EXPECT_EQ(*quarter(8), 2);
  const auto refused = quarter(6);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_EQ(refused.error().param, "n");
}

TEST(Result, CodesHaveNames) {
  EXPECT_EQ(name(Code::kTooLarge), "too_large");
  EXPECT_EQ(name(Code::kNotFound), "not_found");
}

}  // namespace
}  // namespace mill
