// Products of prompts by tiles of bf16, where this machine has them.
#include <array>
#include <bit>
#include <cmath>

#include "tensor/cpu/test_support.h"

namespace mill::tensor {
namespace {

class PromptProducts : public PromptsApart {
 protected:
  // Rows of norms, the last `prompts` of them apart.
  void fill(Team& team, const std::vector<float>& values, OwnActivations& x) const {
    const std::vector<float> ones(static_cast<size_t>(x.all.cols), 1.0F);
    backend->rms_norm(team, matrix_of(values, x.all.rows, x.all.cols), ones.data(), 1e-5F, x.all);
    team.wait();
  }
};

// To bf16 as VCVTNE2PS2BF16 does it: subnormal numbers count as 0.
uint16_t bfloat_of(float value) {
  return std::abs(value) < 0x1p-126F ? 0 : f32_to_bf16(value);
}
float rounded(float value) {
  return std::bit_cast<float>(static_cast<uint32_t>(bfloat_of(value)) << 16);
}

// As weights are: ties away from 0.
float rounded_up(float value) {
  return std::bit_cast<float>((std::bit_cast<uint32_t>(value) + 0x8000) & 0xffff0000U);
}

// TDPBF16PS over 32 inputs at a time as Intel's manual (volume 2) defines it: the products of even
// inputs are added up, and those of odd ones, each step rounded once; then both to the sum.
float manuals_product(const float* x, const float* w, int64_t cols) {
  float sum = 0;
  for (int64_t k = 0; k < cols; k += 32) {
    float even = 0, odd = 0;
    for (int64_t i = k; i < k + 32; i += 2) {
      even = std::fma(rounded(x[i]), rounded_up(w[i]), even);
      odd = std::fma(rounded(x[i + 1]), rounded_up(w[i + 1]), odd);
    }
    sum += even + odd;
  }
  return sum;
}

TEST_F(PromptProducts, AreWhatTheManualDefines) {
  Random random(1);
  ThreadPool pool(2);
  for (const DType dtype : kAllDTypes) {
    if (is_float(dtype)) continue;
    for (const int64_t rows : {1, 16, 17, 40, 150}) {
      const int64_t cols = block_elements(dtype) * integer(random, 1, 900 / block_elements(dtype));
      const int64_t outputs = integer(random, 1, 100);
      SCOPED_TRACE(testing::Message()
                   << name(dtype) << " " << rows << " rows " << cols << " to " << outputs);
      const RandomWeight weight(random, dtype, outputs, cols);
      const Packed packed(*backend, pool, weight.weight);
      OwnActivations x(rows, cols, kValues | kCodes, rows);
      const std::vector<float> values = uniform_values(random, rows * cols);
      std::vector<float> out(static_cast<size_t>(rows * outputs));
      const Product product{.weight = &packed.matrix, .out = matrix_of(out, rows, outputs)};
      pool.run([&](Team& team) {
        fill(team, values, x);
        backend->products(team, x.all, {&product, 1});
      });
      for (int64_t n = 0; n < outputs; ++n) {
        const std::vector<float> w = weight.dequantized_row(n);
        for (int64_t r = 0; r < rows; ++r) {
          ASSERT_EQ(out[static_cast<size_t>(r * outputs + n)],
                    manuals_product(x.values.data() + r * cols, w.data(), cols))
              << r << " " << n;
        }
      }
    }
  }
}

// Answers before them, others of them, in parts, by any number of threads.
TEST_F(PromptProducts, OfARowAreTheSameBitsInAnyCompany) {
  Random random(2);
  ThreadPool alone(1);
  constexpr int64_t kRows = 300;
  constexpr int64_t kOutputs = 70;
  constexpr int64_t kCols = 1024;  // of several runs
  for (const DType dtype : {DType::kQ4_1, DType::kQ8_0, DType::kQ6_K}) {
    SCOPED_TRACE(name(dtype));
    const RandomWeight weight(random, dtype, kOutputs, kCols);
    const Packed packed(*backend, alone, weight.weight);
    const std::vector<float> values = uniform_values(random, kRows * kCols);
    const auto row = [&](int64_t r) { return values.begin() + r * kCols; };
    std::vector<float> answers, prompts;  // of each row alone
    for (const int64_t apart : {0, 1}) {
      std::vector<float>& to = apart != 0 ? prompts : answers;
      to.resize(kRows * kOutputs);
      OwnActivations x(1, kCols, kCodes, apart);
      for (int64_t r = 0; r < kRows; ++r) {
        const std::vector<float> one(row(r), row(r + 1));
        const Product product{.weight = &packed.matrix,
                              .out = {to.data() + r * kOutputs, 1, kOutputs, kOutputs}};
        alone.run([&](Team& team) {
          fill(team, one, x);
          backend->products(team, x.all, {&product, 1});
        });
      }
    }
    EXPECT_NE(answers, prompts);
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      for (int turn = 0; turn < 12; ++turn) {
        const int64_t rows = turn == 0 ? kRows : integer(random, 1, kRows);
        const int64_t first = integer(random, 0, kRows - rows);
        const int64_t apart = turn % 3 == 0 ? rows : integer(random, 0, rows);
        SCOPED_TRACE(testing::Message() << rows << " rows from " << first << ", " << apart
                                        << " apart, threads " << threads);
        OwnActivations x(rows, kCols, kCodes, apart);
        const std::vector<float> some(row(first), row(first + rows));
        std::vector<float> out(static_cast<size_t>(rows * kOutputs));
        const Product product{.weight = &packed.matrix, .out = matrix_of(out, rows, kOutputs)};
        pool.run([&](Team& team) {
          fill(team, some, x);
          backend->products(team, x.all, {&product, 1});
        });
        for (int64_t r = 0; r < rows; ++r) {
          const std::vector<float>& expected = r < rows - apart ? answers : prompts;
          ASSERT_EQ(std::memcmp(out.data() + r * kOutputs, expected.data() + (first + r) * kOutputs,
                                kOutputs * 4),
                    0)
              << r;
        }
      }
    }
  }
}

// Sums begin with the bias and what is there, to a rounding of each addition; float weights in the
// same set go their own way.
TEST_F(PromptProducts, OfASetAddBiasAndWhatIsThere) {
  Random random(3);
  ThreadPool pool(2);
  constexpr int64_t kCols = 768;
  for (const int64_t rows : {5, 32, 43}) {
    const std::array<DType, 4> types = {DType::kQ4_1, DType::kF16, DType::kQ8_0, DType::kQ6_K};
    const std::array<int64_t, 4> outputs = {64, 33, 7, 100};
    OwnActivations x(rows, kCols, kValues | kCodes, rows / 2);
    const std::vector<float> values = uniform_values(random, rows * kCols);
    for (size_t i = 0; i < types.size(); ++i) {
      SCOPED_TRACE(testing::Message() << name(types[i]) << " rows " << rows);
      const RandomWeight weight(random, types[i], outputs[i], kCols);
      const Packed packed(*backend, pool, weight.weight);
      const std::vector<float> bias = uniform_values(random, outputs[i]);
      const std::vector<float> start = uniform_values(random, rows * outputs[i]);
      for (const bool biased : {false, true}) {
        for (const bool there : {false, true}) {
          std::vector<float> plain(start.size()), out = start;
          const Product products[] = {
              {.weight = &packed.matrix, .out = matrix_of(plain, rows, outputs[i])},
              {.weight = &packed.matrix,
               .bias = biased ? bias.data() : nullptr,
               .out = matrix_of(out, rows, outputs[i]),
               .accumulate = there}};
          pool.run([&](Team& team) {
            fill(team, values, x);
            backend->products(team, x.all, products);
          });
          for (size_t j = 0; j < out.size(); ++j) {
            const float more =
                (biased ? bias[j % static_cast<size_t>(outputs[i])] : 0) + (there ? start[j] : 0);
            ASSERT_NEAR(out[j], plain[j] + more, 2e-4) << j;  // sums of hundreds
          }
        }
      }
    }
  }
}

TEST_F(PromptProducts, WithAGateAreThoseAndThenTheGate) {
  Random random(4);
  ThreadPool pool(2);
  for (const DType dtype : {DType::kQ4_1, DType::kQ6_K, DType::kF16}) {
    for (const int64_t rows : {1, 33, 140}) {
      for (const int64_t outputs : {32, 352}) {
        SCOPED_TRACE(testing::Message() << name(dtype) << " " << rows << " to " << outputs);
        const Gate gate = rows % 2 == 0 ? Gate::kGeluTanh : Gate::kSilu;
        constexpr int64_t kCols = 1536;
        const RandomWeight one(random, dtype, outputs, kCols, 0.1F);
        const RandomWeight two(random, dtype, outputs, kCols, 0.1F);
        const Packed g(*backend, pool, one.weight), u(*backend, pool, two.weight);
        const int64_t apart = rows - rows / 4;
        OwnActivations x(rows, kCols, kValues | kCodes, apart);
        const std::vector<float> values = uniform_values(random, rows * kCols);
        std::vector<float> gated(static_cast<size_t>(rows * outputs)), up(gated.size());
        OwnActivations expected(rows, outputs, kValues | kCodes, apart);
        OwnActivations out(rows, outputs, kValues | kCodes, apart);
        const Product products[] = {{.weight = &g.matrix, .out = matrix_of(gated, rows, outputs)},
                                    {.weight = &u.matrix, .out = matrix_of(up, rows, outputs)}};
        pool.run([&](Team& team) {
          fill(team, values, x);
          backend->products(team, x.all, products);
          team.wait();
          backend->gated(team, gate, matrix_of(std::as_const(gated), rows, outputs),
                         matrix_of(std::as_const(up), rows, outputs), expected.all);
          backend->gated_products(team, x.all, gate, g.matrix, u.matrix, out.all);
        });
        EXPECT_EQ(std::memcmp(out.values.data(), expected.values.data(), gated.size() * 4), 0);
        EXPECT_EQ(out.codes, expected.codes);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t n = 0; n < outputs; ++n) {
            if (r < rows - apart) continue;
            const int64_t at = r - (rows - apart);
            const int64_t place = at / 16 * 16 * outputs + n / 32 * 512 + at % 16 * 32 + n % 32;
            ASSERT_EQ(out.all.bfloats[place], expected.all.bfloats[place]) << r << " " << n;
            const float value = out.values[static_cast<size_t>(r * outputs + n)];
            if (std::abs(value) < 0x1p-126F) continue;  // 0, of either sign
            ASSERT_EQ(out.all.bfloats[place], bfloat_of(value));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace mill::tensor
