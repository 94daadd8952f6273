#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "tensor/cpu/test_support.h"

namespace mill::tensor {
namespace {

class Rows : public EachPath {};
MILL_EACH_PATH(Rows);

TEST_P(Rows, NormIsTheReferences) {
  Random random(11);
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const int64_t cols : {1, 5, 31, 32, 64, 100, 576, 896, 4864}) {
      for (const int64_t rows : {1, 2, 9}) {
        SCOPED_TRACE("rows " + std::to_string(rows) + " cols " + std::to_string(cols));
        const bool codes = cols % kGroup == 0;
        const std::vector<float> x = uniform_values(random, rows * cols, 3);
        const std::vector<float> weight = uniform_values(random, cols, 2);
        OwnActivations ours(rows, cols, kValues | (codes ? kCodes : 0));
        OwnActivations only_codes(rows, cols, codes ? kCodes : kValues);
        OwnActivations theirs(rows, cols, kValues);
        std::vector<float> sum = uniform_values(random, rows * cols), expected_sum = sum;
        pool.run([&](Team& team) {
          const ConstMatrix in = matrix_of(x, rows, cols);
          backend->rms_norm(team, in, weight.data(), 1e-5F, ours.all);
          backend->rms_norm(team, in, weight.data(), 1e-5F, only_codes.all);
          reference->rms_norm(team, in, weight.data(), 1e-5F, theirs.all);
          backend->add_rms_norm(team, in, weight.data(), 1e-5F, matrix_of(sum, rows, cols));
          reference->add_rms_norm(team, in, weight.data(), 1e-5F,
                                  matrix_of(expected_sum, rows, cols));
        });
        // The squares of a lane are added one after the other (cols / 16 roundings at the least),
        // and the root halves the relative error.
        const float relative = static_cast<float>(cols + 8) * 0x1p-24F;
        for (size_t i = 0; i < x.size(); ++i) {
          const float off = std::abs(theirs.values[i]) * relative + 1e-30F;
          ASSERT_NEAR(ours.values[i], theirs.values[i], off);
          ASSERT_NEAR(sum[i], expected_sum[i], off + std::abs(expected_sum[i]) * 0x1p-23F);
        }
        if (!codes) continue;
        expect_codes_of(ours.values, ours);
        ASSERT_EQ(only_codes.codes, ours.codes);
        ASSERT_EQ(only_codes.scales, ours.scales);
        ASSERT_EQ(only_codes.sums, ours.sums);
      }
    }
  }
}

TEST_P(Rows, NormOfARowIsTheSameBitsInAnyCompany) {
  Random random(12);
  constexpr int64_t kRows = 9;
  constexpr int64_t kCols = 352;
  const std::vector<float> x = uniform_values(random, kRows * kCols);
  const std::vector<float> weight = uniform_values(random, kCols);
  OwnActivations single(kRows, kCols, kValues);
  ThreadPool(1).run([&](Team& team) {
    for (int64_t r = 0; r < kRows; ++r) {
      backend->rms_norm(team, {x.data() + r * kCols, 1, kCols, kCols}, weight.data(), 1e-6F,
                        single.rows(r, 1));
    }
  });
  for (const int threads : {1, 2, 3, 5}) {
    OwnActivations all(kRows, kCols, kValues);
    ThreadPool(threads).run([&](Team& team) {
      backend->rms_norm(team, matrix_of(x, kRows, kCols), weight.data(), 1e-6F, all.all);
    });
    ASSERT_EQ(all.values, single.values);
  }
}

TEST_P(Rows, GatesAreTheReferences) {
  Random random(13);
  ThreadPool pool(2);
  for (const Gate gate : {Gate::kSilu, Gate::kGeluTanh}) {
    for (const int64_t cols : {3, 32, 172, 1536}) {
      constexpr int64_t kRows = 5;
      const bool codes = cols % kGroup == 0;
      const std::vector<float> g = uniform_values(random, kRows * cols, 12);
      const std::vector<float> u = uniform_values(random, kRows * cols, 3);
      OwnActivations ours(kRows, cols, kValues | (codes ? kCodes : 0));
      OwnActivations theirs(kRows, cols, kValues);
      pool.run([&](Team& team) {
        backend->gated(team, gate, matrix_of(g, kRows, cols), matrix_of(u, kRows, cols), ours.all);
        reference->gated(team, gate, matrix_of(g, kRows, cols), matrix_of(u, kRows, cols),
                         theirs.all);
      });
      for (size_t i = 0; i < g.size(); ++i) {
        // Eight roundings, and that of the exponent's argument (up to 60 units in the exponent).
        const float off = std::abs(theirs.values[i]) * 64 * 0x1p-23F + 1e-9F;
        ASSERT_NEAR(ours.values[i], theirs.values[i], off) << "g " << g[i] << " u " << u[i];
      }
      if (codes) expect_codes_of(ours.values, ours);
    }
  }
}

// What coding.h says, number by number.
struct PlainGroup {
  explicit PlainGroup(const float* values) {
    uint32_t top = 0;
    for (int i = 0; i < 32; ++i) {
      top = std::max(top, std::bit_cast<uint32_t>(values[i]) & 0x7fffffffU);
    }
    const auto highest = std::bit_cast<float>(top);
    const float inverse = highest > 1e-36F ? 32512.0F / highest : 0.0F;
    int words[32];
    for (int i = 0; i < 32; ++i) words[i] = static_cast<int>(std::nearbyint(values[i] * inverse));
    int chosen = 0;
    int64_t least = 0;
    for (int k = 0; k < 4; ++k) {
      constexpr int64_t kWeights[4] = {65536, 66580, 67650, 68745};
      int64_t error = 0;
      for (const int word : words) {
        const auto off = static_cast<int8_t>((k == 0 ? word : scaled(word, k)) & 255);
        error += kWeights[k] * off * off;
      }
      if (k == 0 || error < least) least = error, chosen = k;
    }
    int xq = 0, qq = 0, sums[2] = {0, 0};
    for (int i = 0; i < 32; ++i) {
      const int code = (scaled(words[i], chosen) + 128) >> 8;
      codes[i] = static_cast<int8_t>(code);
      xq += words[i] * code;
      qq += code * code;
      sums[i / 16] += code;
    }
    scale =
        (qq > 0 ? static_cast<float>(xq) / static_cast<float>(qq) : 256.0F) * (highest / 32512.0F);
    sum = static_cast<int32_t>(static_cast<uint32_t>(sums[1]) << 16 |
                               (static_cast<uint32_t>(sums[0]) & 0xffffU));
  }
  static int scaled(int word, int k) {
    const int factor = k == 0 ? 32767 : (32768 * (127 - k) + 63) / 127;
    return (word * factor + (1 << 14)) >> 15;
  }
  int8_t codes[32];
  float scale;
  int32_t sum;
};

// However many groups there are, and of whatever size.
TEST_P(Rows, CodesAreThoseOfThePlainWay) {
  Random random(15);
  ThreadPool pool(2);
  for (int64_t groups = 1; groups <= 19; ++groups) {
    constexpr int64_t kRows = 7;
    const int64_t cols = groups * kGroup;
    const std::vector<float> ones(static_cast<size_t>(cols), 1.0F);
    std::vector<float> x(static_cast<size_t>(kRows * cols));
    for (size_t group = 0; group < x.size() / kGroup; ++group) {
      const float size = std::pow(10.0F, uniform(random, -15, 15));
      const int64_t steps = integer(random, 1, 200);  // few: many errors are equal
      for (size_t i = 0; i < kGroup; ++i) {
        float& value = x[group * kGroup + i];
        value = uniform(random, -1, 1) * size;
        if (group % 3 == 1) value = static_cast<float>(integer(random, -steps, steps));
        if (group % 31 == 2) value = 0;
      }
    }
    OwnActivations made(kRows, cols, kValues | kCodes);
    pool.run([&](Team& team) {
      backend->rms_norm(team, matrix_of(x, kRows, cols), ones.data(), 1e-5F, made.all);
    });
    for (size_t group = 0; group < made.scales.size(); ++group) {
      const PlainGroup plain(made.values.data() + group * kGroup);
      for (size_t i = 0; i < kGroup; ++i) ASSERT_EQ(made.codes[group * kGroup + i], plain.codes[i]);
      ASSERT_EQ(made.scales[group], plain.scale);
      ASSERT_EQ(made.sums[group], plain.sum);
    }
  }
}

TEST_P(Rows, SiluHoldsOverTheWholeRange) {
  ThreadPool pool(1);
  std::vector<float> g;
  for (float x = -120; x <= 120; x += 0.0137F) g.push_back(x);
  for (const float x : {-3e38F, -1e10F, -0.0F, 0.0F, 1e-30F, 1e10F, 3e38F}) g.push_back(x);
  const auto cols = static_cast<int64_t>(g.size());
  const std::vector<float> u(g.size(), 1.0F);
  OwnActivations x(1, cols, kValues);
  pool.run([&](Team& team) {
    backend->gated(team, Gate::kSilu, matrix_of(g, 1, cols), matrix_of(u, 1, cols), x.all);
  });
  for (size_t i = 0; i < g.size(); ++i) {
    const double d = g[i];
    const double expected = d / (1 + std::exp(-d));
    // Beyond -87 the sigmoid stays at e^-88: not 0, but below 1e-38 of x.
    ASSERT_NEAR(x.values[i], expected, std::abs(expected) * 6 * 0x1p-24 + std::abs(d) * 1e-38)
        << g[i];
  }
}

TEST_P(Rows, ANumberThatIsNoneShowsInTheScale) {
  ThreadPool pool(1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> g(64, 64.0F), u(64, 1.0F);
    u[40] = bad;
    OwnActivations x(1, 64, kCodes);
    pool.run([&](Team& team) {
      backend->gated(team, Gate::kSilu, matrix_of(g, 1, 64), matrix_of(u, 1, 64), x.all);
    });
    ASSERT_TRUE(std::isfinite(x.scales[0]));
    ASSERT_FALSE(std::isfinite(x.scales[1]));
  }
}

TEST_P(Rows, ZeroRowsHaveZeroCodes) {
  ThreadPool pool(1);
  for (const float tiny : {0.0F, 1e-38F, -1e-42F}) {
    const std::vector<float> g(64, tiny), u(64, 1.0F);
    OwnActivations x(1, 64, kCodes);
    pool.run([&](Team& team) {
      backend->gated(team, Gate::kSilu, matrix_of(g, 1, 64), matrix_of(u, 1, 64), x.all);
    });
    for (const int8_t code : x.codes) ASSERT_EQ(code, 0);
    for (const int32_t sum : x.sums) ASSERT_EQ(sum, 0);
  }
}

}  // namespace
}  // namespace mill::tensor
