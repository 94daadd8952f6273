// What the tests of the CPU paths share: random inputs, and the same test for every instruction
// set.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/cpu/panel.h"
#include "tensor/half.h"
#include "tensor/reference/dequantize.h"

namespace mill::tensor {

// Runs a test on each instruction set; skips those that this machine lacks.
class EachPath : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto names = backend_names();
    if (std::find(names.begin(), names.end(), GetParam()) == names.end()) {
      GTEST_SKIP() << "this machine cannot run the path " << GetParam();
    }
    backend = std::move(*make_backend(GetParam()));
    reference = std::move(*make_backend("reference"));
  }
  std::unique_ptr<Backend> backend, reference;
};
#define MILL_EACH_PATH(suite)                                                                \
  INSTANTIATE_TEST_SUITE_P(Paths, suite, testing::Values("amx", "avx512", "avx2", "scalar"), \
                           [](const auto& path) { return path.param; })

// Tests of rows of prompts, which only the path "amx" has a way of their own for.
class PromptsApart : public testing::Test {
 protected:
  void SetUp() override {
    const auto names = backend_names();
    if (std::find(names.begin(), names.end(), "amx") == names.end()) {
      GTEST_SKIP() << "this machine has no tiles";
    }
    backend = std::move(*make_backend("amx"));
    reference = std::move(*make_backend("reference"));
    ASSERT_TRUE(backend->prompts_apart());
  }
  std::unique_ptr<Backend> backend, reference;
};

using Random = std::mt19937_64;

inline float uniform(Random& random, float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random);
}
inline int64_t integer(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}
inline std::vector<float> uniform_values(Random& random, int64_t count, float most = 1) {
  std::vector<float> made(static_cast<size_t>(count));
  for (float& value : made) value = uniform(random, -most, most);
  return made;
}

// A matrix whose blocks have random bits and scales of about `scale`.
struct RandomWeight {
  RandomWeight(Random& random, DType dtype, int64_t rows, int64_t cols, float scale = 0.01F)
      : bytes(static_cast<size_t>(rows * row_bytes(dtype, cols))) {
    const auto block = static_cast<size_t>(block_bytes(dtype));
    if (is_float(dtype)) {
      for (size_t at = 0; at < bytes.size(); at += block) {
        put_float(dtype, bytes.data() + at, uniform(random, -scale, scale));
      }
    } else {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(integer(random, 0, 255));
      for (size_t at = 0; at < bytes.size(); at += block) {
        for (const size_t offset : scale_offsets(dtype)) {
          const float sign = integer(random, 0, 1) != 0 ? 1.0F : -1.0F;
          put_float(DType::kF16, bytes.data() + at + offset,
                    sign * uniform(random, scale / 2, scale));
        }
      }
    }
    weight = {dtype, rows, cols, bytes.data()};
  }
  RandomWeight(const RandomWeight&) = delete;
  RandomWeight& operator=(const RandomWeight&) = delete;

  static void put_float(DType dtype, std::byte* to, float value) {
    if (dtype == DType::kF32) return void(std::memcpy(to, &value, 4));
    const uint16_t half = dtype == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
    std::memcpy(to, &half, 2);
  }
  static std::vector<size_t> scale_offsets(DType dtype) {
    switch (dtype) {
      case DType::kQ4_1:
      case DType::kQ5_1:
      case DType::kQ4_K:
      case DType::kQ5_K:
        return {0, 2};
      case DType::kQ2_K:
        return {80, 82};
      case DType::kQ3_K:
        return {108};
      case DType::kQ6_K:
        return {208};
      default:
        return {0};
    }
  }
  std::vector<float> dequantized_row(int64_t row) const {
    std::vector<float> values(static_cast<size_t>(weight.cols));
    dequantize_row(weight.dtype, weight.data + row * row_bytes(weight.dtype, weight.cols), values);
    return values;
  }

  std::vector<std::byte> bytes;
  Weight weight;
};

// 64-byte aligned room.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : room_(bytes + 64), bytes_(bytes) {}
  std::span<std::byte> span() {
    const auto at = reinterpret_cast<uintptr_t>(room_.data());
    return {room_.data() + (64 - at % 64) % 64, bytes_};
  }

 private:
  std::vector<std::byte> room_;
  size_t bytes_;
};

struct Packed {
  Packed(const Backend& backend, ThreadPool& pool, const Weight& weight)
      : room(backend.packed_bytes(weight)) {
    pool.run([&](Team& team) {
      const PackedMatrix made = backend.pack(team, weight, room.span());
      if (team.index() == 0) matrix = made;
    });
  }
  AlignedBytes room;
  PackedMatrix matrix;
};

// Activations with room of their own; the last `prompts` rows are of prompts and apart.
struct OwnActivations {
  OwnActivations(int64_t rows, int64_t cols, uint32_t forms, int64_t prompts = 0)
      : values(forms & kValues ? static_cast<size_t>(rows * cols) : 0),
        codes(forms & kCodes ? static_cast<size_t>(rows * cols) : 0),
        scales(forms & kCodes ? static_cast<size_t>(rows * cols / kGroup) : 0),
        sums(scales.size()),
        bfloats(static_cast<size_t>(bfloat_count(prompts, cols)) * 2) {
    all = {.rows = rows, .cols = cols, .prompt_rows = prompts};
    if (prompts > 0) all.bfloats = reinterpret_cast<uint16_t*>(bfloats.span().data());
    if (forms & kValues) all.values = values.data();
    if (forms & kCodes)
      all.codes = codes.data(), all.scales = scales.data(), all.sums = sums.data();
  }
  OwnActivations(const OwnActivations&) = delete;
  OwnActivations& operator=(const OwnActivations&) = delete;
  // Rows [first, first + rows) of these, none of them apart.
  Activations rows(int64_t first, int64_t rows) const {
    Activations part = all;
    part.rows = rows;
    part.prompt_rows = 0;
    part.bfloats = nullptr;
    if (part.values) part.values += first * all.cols;
    if (part.codes) {
      part.codes += first * all.cols;
      part.scales += first * (all.cols / kGroup);
      part.sums += first * (all.cols / kGroup);
    }
    return part;
  }

  std::vector<float> values;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  AlignedBytes bfloats;
  Activations all;
};

// What coding.h promises of the codes of `values`: by one of four scales they are the nearest
// codes, to a word's rounding; the scale is the best for these codes; together they are no farther
// from the values than the plain way, the largest as 127, is.
inline void expect_codes_of(const std::vector<float>& values, const OwnActivations& x) {
  for (size_t group = 0; group < x.scales.size(); ++group) {
    const float* value = values.data() + group * kGroup;
    const int8_t* code = x.codes.data() + group * kGroup;
    double highest = 0;
    for (size_t i = 0; i < kGroup; ++i) highest = std::max<double>(highest, std::abs(value[i]));
    int sums[2] = {0, 0};
    double xq = 0, qq = 0, off = 0, plain_off = 0, farthest[4] = {};
    for (size_t i = 0; i < kGroup; ++i) {
      ASSERT_LE(std::abs(code[i]), 127);
      sums[i / 16] += code[i];
      xq += double{value[i]} * code[i];
      qq += double{code[i] * 1.0} * code[i];
      const double plain = std::nearbyint(value[i] * 127 / highest) * highest / 127;
      plain_off += (value[i] - plain) * (value[i] - plain);
      const double ours = double{x.scales[group]} * code[i];
      off += (value[i] - ours) * (value[i] - ours);
      for (int k = 0; k < 4; ++k) {
        farthest[k] = std::max(farthest[k], std::abs(value[i] * (127 - k) / highest - code[i]));
      }
    }
    ASSERT_LE(*std::min_element(farthest, farthest + 4), 0.51);
    ASSERT_NEAR(x.scales[group], xq / qq, xq / qq * 2e-4);
    ASSERT_LE(off, plain_off * 1.01 + highest * highest * 1e-6);
    ASSERT_EQ(static_cast<int16_t>(x.sums[group] & 0xffff), sums[0]);
    ASSERT_EQ(static_cast<int16_t>(x.sums[group] >> 16), sums[1]);
  }
}

inline Matrix matrix_of(std::vector<float>& values, int64_t rows, int64_t cols) {
  return {values.data(), rows, cols, cols};
}
inline ConstMatrix matrix_of(const std::vector<float>& values, int64_t rows, int64_t cols) {
  return {values.data(), rows, cols, cols};
}

}  // namespace mill::tensor
