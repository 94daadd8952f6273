#include <array>
#include <cmath>

#include "tensor/cpu/test_support.h"

namespace mill::tensor {
namespace {

class Products : public EachPath {};
MILL_EACH_PATH(Products);

// Integers that their own coding represents exactly: each group has a ±127.
void fill_with_integers(Random& random, const Backend& backend, OwnActivations& x) {
  std::vector<float> rows(static_cast<size_t>(x.all.rows * x.all.cols));
  for (float& value : rows) value = static_cast<float>(integer(random, -127, 127));
  for (size_t at = 0; at < rows.size(); at += kGroup) {
    rows[at + static_cast<size_t>(integer(random, 0, kGroup - 1))] =
        integer(random, 0, 1) != 0 ? 127 : -127;
  }
  // A gate of a large g passes u through: g / (1 + e^-g) = g for g = 64, a power of two.
  const std::vector<float> gates(rows.size(), 64);
  ThreadPool pool(1);
  pool.run([&](Team& team) {
    backend.gated(team, Gate::kSilu, matrix_of(gates, x.all.rows, x.all.cols),
                  matrix_of(std::as_const(rows), x.all.rows, x.all.cols), x.all);
  });
}

// |sum| may be off by a rounding of each group's part and of each addition: (groups + 8) halves of
// a unit in the last place of the largest sum there can be. A group's two parts (numbers, minimum)
// are each at most twice the largest weight.
double tolerance(const std::vector<float>& weights, float largest, const float* x) {
  double magnitudes = 0;
  for (size_t k = 0; k < weights.size(); ++k) magnitudes += std::abs(x[k]);
  const auto groups = static_cast<double>(weights.size() / 32 + 8);
  return groups * 0x1p-24 * 4 * largest * magnitudes;
}

TEST_P(Products, OfExactCodesAreThoseOfTheDequantizedWeights) {
  Random random(1);
  ThreadPool pool(2);
  for (const DType dtype : kAllDTypes) {
    if (is_float(dtype)) continue;
    for (const int64_t outputs : {1, 31, 33, 96}) {
      SCOPED_TRACE(std::string(name(dtype)) + " outputs " + std::to_string(outputs));
      const int64_t cols = block_elements(dtype) * integer(random, 1, 4);
      const int64_t rows = integer(random, 1, 60);
      const RandomWeight weight(random, dtype, outputs, cols);
      const Packed packed(*backend, pool, weight.weight);
      ASSERT_EQ(backend->form_read_by(packed.matrix), kCodes);
      OwnActivations x(rows, cols, kValues | kCodes);
      fill_with_integers(random, *backend, x);
      std::vector<float> out(static_cast<size_t>(rows * outputs));
      const Product product{.weight = &packed.matrix, .out = matrix_of(out, rows, outputs)};
      pool.run([&](Team& team) { backend->products(team, x.all, {&product, 1}); });
      for (int64_t n = 0; n < outputs; ++n) {
        const std::vector<float> w = weight.dequantized_row(n);
        const float largest = std::abs(*std::max_element(
            w.begin(), w.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
        for (int64_t r = 0; r < rows; ++r) {
          const float* values = x.values.data() + r * cols;
          double expected = 0;
          for (int64_t k = 0; k < cols; ++k) {
            expected += static_cast<double>(values[k]) * w[static_cast<size_t>(k)];
          }
          ASSERT_NEAR(out[static_cast<size_t>(r * outputs + n)], expected,
                      tolerance(w, largest, values))
              << "row " << r << " output " << n << " of " << rows << " x " << cols;
        }
      }
    }
  }
}

// The largest numbers with the largest codes: sums in 16 bits on the way would not hold them all.
TEST_P(Products, OfTheLargestNumbersAndCodesDoNotSaturate) {
  Random random(6);
  ThreadPool pool(1);
  constexpr int64_t kRows = 34;  // with whole tiles among them
  for (const DType dtype : kAllDTypes) {
    if (is_float(dtype)) continue;
    for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
      SCOPED_TRACE(testing::Message() << name(dtype) << " of bytes " << fill);
      RandomWeight weight(random, dtype, 32, 256);
      const size_t block = static_cast<size_t>(block_bytes(dtype));
      for (size_t at = 0; at < weight.bytes.size(); ++at) {
        bool scale = false;
        for (const size_t offset : RandomWeight::scale_offsets(dtype)) {
          scale = scale || at % block - offset < 2;
        }
        if (!scale) weight.bytes[at] = static_cast<std::byte>(fill);
      }
      const Packed packed(*backend, pool, weight.weight);
      OwnActivations x(kRows, 256, kValues | kCodes);
      const std::vector<float> gates(kRows * 256, 64);
      std::vector<float> in(kRows * 256, 127.0F);
      std::fill(in.begin() + kRows / 2 * 256, in.end(), -127.0F);
      std::vector<float> out(kRows * 32);
      const Product product{.weight = &packed.matrix, .out = matrix_of(out, kRows, 32)};
      pool.run([&](Team& team) {
        backend->gated(team, Gate::kSilu, matrix_of(gates, kRows, 256),
                       matrix_of(std::as_const(in), kRows, 256), x.all);
        backend->products(team, x.all, {&product, 1});
      });
      for (int64_t n = 0; n < 32; ++n) {
        const std::vector<float> w = weight.dequantized_row(n);
        double expected = 0;
        float largest = 0;
        for (const float value : w) {
          expected += 127.0 * 64 * value;
          largest = std::max(largest, std::abs(value));
        }
        const double off = tolerance(w, largest, x.values.data());
        for (int64_t r = 0; r < kRows; ++r) {
          const double sign = r < kRows / 2 ? 1 : -1;
          ASSERT_NEAR(out[static_cast<size_t>(r * 32 + n)], sign * expected, off) << n;
        }
      }
    }
  }
}

TEST_P(Products, OfFloatWeightsAreTheReferences) {
  Random random(2);
  ThreadPool pool(2);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const int64_t cols : {1, 7, 33, 172, 300}) {
      SCOPED_TRACE(std::string(name(dtype)) + " cols " + std::to_string(cols));
      const int64_t outputs = integer(random, 1, 80);
      const int64_t rows = integer(random, 1, 30);
      const RandomWeight weight(random, dtype, outputs, cols, 1.0F);
      const Packed packed(*backend, pool, weight.weight);
      const Packed plain(*reference, pool, weight.weight);
      ASSERT_EQ(backend->form_read_by(packed.matrix), kValues);
      OwnActivations x(rows, cols, kValues);
      for (float& value : x.values) value = uniform(random, -1, 1);
      std::vector<float> out(static_cast<size_t>(rows * outputs)), expected(out.size());
      const Product ours{.weight = &packed.matrix, .out = matrix_of(out, rows, outputs)};
      const Product theirs{.weight = &plain.matrix, .out = matrix_of(expected, rows, outputs)};
      pool.run([&](Team& team) {
        backend->products(team, x.all, {&ours, 1});
        reference->products(team, x.all, {&theirs, 1});
      });
      // One rounding per addition of numbers below 1.
      const double off = static_cast<double>(cols * (cols + 2)) * 0x1p-24;
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], off);
    }
  }
}

// The determinism that batching rests on.
TEST_P(Products, OfARowAreTheSameBitsInAnyCompany) {
  Random random(3);
  ThreadPool alone(1);
  constexpr int64_t kRows = 70;
  constexpr int64_t kOutputs = 70;
  for (const DType dtype : kAllDTypes) {
    SCOPED_TRACE(name(dtype));
    const int64_t cols = 512;
    const RandomWeight weight(random, dtype, kOutputs, cols);
    const Packed packed(*backend, alone, weight.weight);
    OwnActivations x(kRows, cols, kValues | kCodes);
    const std::vector<float> values = uniform_values(random, kRows * cols);
    const std::vector<float> ones(static_cast<size_t>(cols), 1.0F);
    std::vector<float> single(kRows * kOutputs);
    alone.run([&](Team& team) {
      backend->rms_norm(team, matrix_of(values, kRows, cols), ones.data(), 1e-5F, x.all);
      for (int64_t r = 0; r < kRows; ++r) {
        const Product product{.weight = &packed.matrix,
                              .out = {single.data() + r * kOutputs, 1, kOutputs, kOutputs}};
        backend->products(team, x.rows(r, 1), {&product, 1});
      }
    });
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      for (int64_t rows = 1; rows <= kRows; rows += rows < 20 ? 1 : 7) {
        const int64_t first = integer(random, 0, kRows - rows);
        std::vector<float> out(static_cast<size_t>(rows * kOutputs));
        const Product product{.weight = &packed.matrix, .out = matrix_of(out, rows, kOutputs)};
        pool.run([&](Team& team) { backend->products(team, x.rows(first, rows), {&product, 1}); });
        ASSERT_EQ(std::memcmp(out.data(), single.data() + first * kOutputs, out.size() * 4), 0)
            << rows << " rows from " << first << ", threads " << threads;
      }
    }
  }
}

// Each type of a set may want something else of the same rows.
TEST_P(Products, OfASetAreThoseOfEachAndAddBiasAndWhatIsThere) {
  Random random(4);
  ThreadPool pool(2);
  constexpr int64_t kCols = 256;
  for (const int64_t rows : {5, 32, 43}) {
    const std::array<DType, 7> types = {DType::kQ4_1, DType::kF16,  DType::kQ8_0,  DType::kQ6_K,
                                        DType::kQ4_0, DType::kQ5_0, DType::kIQ4_NL};
    const std::array<int64_t, 7> outputs = {64, 33, 7, 100, 65, 96, 40};
    OwnActivations x(rows, kCols, kValues | kCodes);
    const std::vector<float> values = uniform_values(random, rows * kCols);
    const std::vector<float> ones(kCols, 1.0F);
    pool.run([&](Team& team) {
      backend->rms_norm(team, matrix_of(values, rows, kCols), ones.data(), 1e-5F, x.all);
    });
    std::vector<std::unique_ptr<RandomWeight>> weights;
    std::vector<std::unique_ptr<Packed>> packed;
    std::vector<std::vector<float>> plain, biases, start, out;
    std::vector<Product> bare, full;
    for (size_t i = 0; i < types.size(); ++i) {
      weights.push_back(std::make_unique<RandomWeight>(random, types[i], outputs[i], kCols));
      packed.push_back(std::make_unique<Packed>(*backend, pool, weights[i]->weight));
      biases.push_back(uniform_values(random, outputs[i]));
      start.push_back(uniform_values(random, rows * outputs[i]));
      plain.emplace_back(start[i].size());
    }
    out = start;
    for (size_t i = 0; i < types.size(); ++i) {
      bare.push_back({.weight = &packed[i]->matrix, .out = matrix_of(plain[i], rows, outputs[i])});
      full.push_back({.weight = &packed[i]->matrix,
                      .bias = biases[i].data(),
                      .out = matrix_of(out[i], rows, outputs[i]),
                      .accumulate = true});
    }
    pool.run([&](Team& team) {
      for (const Product& product : bare) backend->products(team, x.all, {&product, 1});
      team.wait();
      backend->products(team, x.all, full);
    });
    for (size_t i = 0; i < types.size(); ++i) {
      for (size_t j = 0; j < out[i].size(); ++j) {
        const float sum = plain[i][j] + biases[i][j % static_cast<size_t>(outputs[i])];
        ASSERT_EQ(out[i][j], start[i][j] + sum) << name(types[i]) << " " << j << " of " << rows;
      }
    }
  }
}

// What is computed panel by panel is what products and gate compute one after the other.
TEST_P(Products, WithAGateAreThoseAndThenTheGate) {
  Random random(8);
  ThreadPool pool(2);
  const std::array<DType, 4> types = {DType::kQ4_1, DType::kQ6_K, DType::kQ8_0, DType::kF16};
  for (const DType dtype : types) {
    for (const int64_t rows : {1, 3, 33, 40}) {
      for (const int64_t outputs : {32, 96, 352}) {
        SCOPED_TRACE(testing::Message() << name(dtype) << " " << rows << " to " << outputs);
        const Gate gate = rows % 2 == 0 ? Gate::kGeluTanh : Gate::kSilu;
        constexpr int64_t kCols = 512;
        const RandomWeight one(random, dtype, outputs, kCols, 0.1F);
        const RandomWeight two(random, dtype, outputs, kCols, 0.1F);
        const Packed g(*backend, pool, one.weight), u(*backend, pool, two.weight);
        OwnActivations x(rows, kCols, kValues | kCodes);
        const std::vector<float> values = uniform_values(random, rows * kCols);
        const std::vector<float> ones(kCols, 1.0F);
        std::vector<float> gated(static_cast<size_t>(rows * outputs)), up(gated.size());
        OwnActivations expected(rows, outputs, kValues | kCodes);
        OwnActivations out(rows, outputs, kValues | kCodes);
        const Product products[] = {{.weight = &g.matrix, .out = matrix_of(gated, rows, outputs)},
                                    {.weight = &u.matrix, .out = matrix_of(up, rows, outputs)}};
        pool.run([&](Team& team) {
          backend->rms_norm(team, matrix_of(values, rows, kCols), ones.data(), 1e-5F, x.all);
          team.wait();
          backend->products(team, x.all, products);
          team.wait();
          backend->gated(team, gate, matrix_of(std::as_const(gated), rows, outputs),
                         matrix_of(std::as_const(up), rows, outputs), expected.all);
          backend->gated_products(team, x.all, gate, g.matrix, u.matrix, out.all);
        });
        EXPECT_EQ(std::memcmp(out.values.data(), expected.values.data(), gated.size() * 4), 0);
        EXPECT_EQ(out.codes, expected.codes);
        EXPECT_EQ(out.scales, expected.scales);
        EXPECT_EQ(out.sums, expected.sums);
      }
    }
  }
}

TEST_P(Products, LeaveTheRestOfAWiderMatrixAlone) {
  Random random(5);
  ThreadPool pool(2);
  const RandomWeight weight(random, DType::kQ4_0, 37, 64);
  const Packed packed(*backend, pool, weight.weight);
  OwnActivations x(3, 64, kValues | kCodes);
  fill_with_integers(random, *backend, x);
  std::vector<float> out(3 * 64, -7.0F);
  const Product product{.weight = &packed.matrix, .out = {out.data(), 3, 37, 64}};
  pool.run([&](Team& team) { backend->products(team, x.all, {&product, 1}); });
  for (size_t r = 0; r < 3; ++r) {
    for (size_t n = 37; n < 64; ++n) ASSERT_EQ(out[r * 64 + n], -7.0F);
  }
}

}  // namespace
}  // namespace mill::tensor
