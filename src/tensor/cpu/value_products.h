// Products with float weights: f32 values times weights widened to f32, added up input by input.
// Templates over the vector type of an instruction set; see kernels.h.
#pragma once

#include "tensor/cpu/code_products.h"

namespace mill::tensor {

// kRows rows times one panel of float weights.
template <class S, DType D, int kRows>
class ValueTile {
 public:
  using F = typename S::F;
  static constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
  static constexpr int kWidth = S::kValueVectors;

  static void run(const PanelCall& call, int64_t first) {
    const float* values = call.values + first * call.cols;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v += kWidth) run_columns(call, values, first, v);
  }

 private:
  [[gnu::always_inline]] static F weights(const std::byte* panel, int64_t k, int v) {
    const int64_t at = k * kPanel + v * S::kLanes;
    if constexpr (D == DType::kF32) return S::load(reinterpret_cast<const float*>(panel) + at);
    if constexpr (D == DType::kF16) return S::from_half(panel + at * 2);
    if constexpr (D == DType::kBF16) return S::from_bfloat(panel + at * 2);
  }

  [[gnu::always_inline]] static void run_columns(const PanelCall& call, const float* values,
                                                 int64_t first, int v0) {
    F sum[kRows][kWidth];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) sum[r][w] = S::zero();
    }
    for (int64_t k = 0; k < call.cols; ++k) {
      F weight[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) weight[w] = weights(call.panel, k, v0 + w);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const F x = S::set(values[r * call.cols + k]);
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) sum[r][w] = S::add_product(sum[r][w], x, weight[w]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) write_vector<S>(call, first + r, v0 + w, sum[r][w]);
    }
  }
};

template <class S, DType D, int kRows>
void run_value_tile(const PanelCall& call, int64_t first, int64_t rows) {
  if (rows == kRows) {
    ValueTile<S, D, kRows>::run(call, first);
  } else if constexpr (kRows > 1) {
    run_value_tile<S, D, kRows - 1>(call, first, rows);
  }
}

template <class S, DType D>
void value_product(const PanelCall& call) {
  int64_t first = 0;
  for (int64_t tiles = (call.rows + S::kValueRows - 1) / S::kValueRows; tiles > 0; --tiles) {
    const int64_t rows = (call.rows - first + tiles - 1) / tiles;
    run_value_tile<S, D, S::kValueRows>(call, first, rows);
    first += rows;
  }
}

}  // namespace mill::tensor
