#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/half.h"

namespace mill::tensor {
namespace {

TEST(DType, NamesNumbersAndSizesAgree) {
  for (const DType dtype : kAllDTypes) {
    SCOPED_TRACE(name(dtype));
    EXPECT_EQ(dtype_of(static_cast<uint32_t>(dtype)), dtype);
    EXPECT_EQ(ggml_type_name(static_cast<uint32_t>(dtype)), name(dtype));
    EXPECT_GT(block_bytes(dtype), 0);
    EXPECT_EQ(row_bytes(dtype, 3 * block_elements(dtype)), 3 * block_bytes(dtype));
    EXPECT_EQ(row_bytes(dtype, 0), 0);
  }
  EXPECT_EQ(row_bytes(DType::kQ4_K, 512), 288);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 256), 210);
  EXPECT_EQ(row_bytes(DType::kQ8_0, 64), 68);
}

TEST(DType, OtherGgmlTypesAreKnownByNameOnly) {
  EXPECT_EQ(dtype_of(16), std::nullopt);
  EXPECT_EQ(ggml_type_name(16), "IQ2_XXS");
  EXPECT_EQ(ggml_type_name(39), "MXFP4");
  EXPECT_EQ(dtype_of(4), std::nullopt);
  EXPECT_EQ(dtype_of(42), std::nullopt);
  EXPECT_EQ(ggml_type_name(42), "");
  EXPECT_EQ(ggml_type_name(0xffffffffu), "");
}

// What the bits of a finite binary16 mean, by its definition.
double meaning(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

TEST(Half, EveryFiniteHalfIsExactAndComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (((half >> 10) & 31) == 31) continue;
    ASSERT_EQ(static_cast<double>(f16_to_f32(half)), meaning(half)) << half;
    ASSERT_EQ(std::signbit(f16_to_f32(half)), (half & 0x8000) != 0) << half;
    ASSERT_EQ(f32_to_f16(f16_to_f32(half)), half);
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint16_t low = 0; low < 0x7bff; ++low) {
    const auto high = static_cast<uint16_t>(low + 1);
    const auto middle = static_cast<float>((meaning(low) + meaning(high)) / 2);
    ASSERT_EQ(f32_to_f16(middle), low % 2 == 0 ? low : high) << low;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), low);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 1e9f)), high);
    ASSERT_EQ(f32_to_f16(-middle), (low % 2 == 0 ? low : high) | 0x8000);
  }
}

TEST(Half, InfinitiesAndNans) {
  EXPECT_EQ(f16_to_f32(0x7c00), INFINITY);
  EXPECT_EQ(f16_to_f32(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7c01)));
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_f16(INFINITY), 0x7c00);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(NAN))));
}

TEST(Half, BrainFloatRoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(bf16_to_f32(0x3f80), 1.0f);
  EXPECT_EQ(f32_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(bf16_to_f32(f32_to_bf16(-INFINITY)), -INFINITY);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace mill::tensor
