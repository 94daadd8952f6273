// Attention over 8-bit keys and values: exact integer dot products, scaled in f32.
// Templates over the vector type of an instruction set; see kernels.h.
//
// The other side of a product (a query; the weights of a block's tokens, times the scales of their
// values) is coded to 15 bits (long_dots.h): its rounding is far below that of the cache, and the
// product is still much faster than one in f32.
#pragma once

#include "tensor/cpu/attention.h"
#include "tensor/cpu/long_dots.h"
#include "tensor/cpu/mixing.h"

namespace mill::tensor {

template <class S>
class CodeAttention : private Attention<S> {
 public:
  using F = typename S::F;
  using I = typename S::I;

  explicit CodeAttention(const AttendCall& call) : Attention<S>(call) {
    float* room = rest_;
    query_scales_ = room, room += kMostQueries;
    weight_scales_ = room, room += kMostQueries;
    query_sums_ = reinterpret_cast<int32_t*>(room), room += 2 * kMostQueries;
    weight_codes_ = reinterpret_cast<int8_t*>(room), room += kMostQueries * 2 * kBlockTokens / 4;
    query_codes_ = reinterpret_cast<int8_t*>(room);
  }

  void run() {
    for (int64_t i = 0; i < queries_; ++i) code_query(i);
    this->each_block([&](int64_t block, const std::byte* keys, const std::byte* values,
                         int64_t tokens) { attend_block(block, keys, values, tokens); });
    for (int64_t i = 0; i < queries_; ++i)
      mix_head<S>(sums_ + i * width_, call_.head_dim, sums_ + i * width_);
    this->finish();
  }

 private:
  using Base = Attention<S>;
  using Base::call_, Base::queries_, Base::width_, Base::sums_, Base::corrections_, Base::rest_;
  static constexpr int kVectors = Base::kVectors;
  static constexpr int kNumberBytes = S::kLanes * 4;
  using Long = typename S::LongDots;

  static float inverse_of(float highest) {
    return highest > 1e-30F ? kMostLongCode / highest : 0.0F;
  }

  int8_t* query_code(int64_t i) const { return query_codes_ + i * 2 * width_; }
  int8_t* weight_code(int64_t i) const { return weight_codes_ + i * 2 * kBlockTokens; }

  void code_query(int64_t i) {
    // In the room of the query's sums, which are not begun yet.
    float* from = sums_ + i * width_;
    mix_head<S>(this->query(i), call_.head_dim, from);
    const float top = highest<S>(from, call_.head_dim);
    query_scales_[i] = top / kMostLongCode;
    const F inverse = S::set(inverse_of(top));
    typename Long::CodeSum sum;
    for (int64_t d = 0; d < width_; d += S::kLanes) {
      const int64_t left = call_.head_dim - d;
      const int lanes = static_cast<int>(left < 0 ? 0 : left < S::kLanes ? left : S::kLanes);
      Long::code(load_lanes<S>(from + d, lanes), inverse, query_code(i), width_, d, sum);
    }
    Long::store_sum(sum, query_sums_ + 2 * i);
  }

  void attend_block(int64_t block, const std::byte* keys, const std::byte* values, int64_t tokens) {
    for (int64_t i = 0; i < queries_; i += S::kCodeScoreRows) {
      const int64_t left = queries_ - i;
      score_rows<S::kCodeScoreRows>(keys, i, left < S::kCodeScoreRows ? left : S::kCodeScoreRows);
    }
    const auto* scales = reinterpret_cast<const float*>(values + kBlockTokens * width_);
    for (int64_t i = 0; i < queries_; ++i) code_weights(i, block, scales);
    for (int64_t i = 0; i < queries_; i += S::kCodeMixRows) {
      const int64_t left = queries_ - i;
      mix_rows<S::kCodeMixRows>(values, tokens, i, left < S::kCodeMixRows ? left : S::kCodeMixRows);
    }
  }

  template <int kRows>
  void score_rows(const std::byte* keys, int64_t first, int64_t rows) {
    if (rows == kRows) {
      for (int v = 0; v < kVectors; v += S::kCodeScoreVectors) score<kRows>(keys, first, v);
    } else if constexpr (kRows > 1) {
      score_rows<kRows - 1>(keys, first, rows);
    }
  }

  // Scores of kRows queries with the tokens of some vectors of a block, from vector v0 on.
  template <int kRows>
  void score(const std::byte* keys, int64_t first, int v0) {
    constexpr int kWidth = S::kCodeScoreVectors;
    I one[kRows][kWidth], two[kRows][kWidth];
    const int8_t* codes = query_code(first);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        Long::start_keys(query_sums_ + 2 * (first + r), one[r][w], two[r][w]);
      }
    }
    for (int64_t d = 0; d < width_; d += 4) {
      typename Long::Numbers key[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        key[w] = Long::numbers(keys + d * kBlockTokens + (v0 + w) * kNumberBytes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        I x, y;
        Long::codes(codes + 2 * r * width_, width_, d, x, y);
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) Long::add_keys(one[r][w], two[r][w], key[w], x, y);
      }
    }
    const auto* scales = reinterpret_cast<const float*>(keys + kBlockTokens * width_);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F query_scale = S::set(query_scales_[first + r]);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        const int64_t lane = (v0 + w) * S::kLanes;
        const F scale = S::mul(S::load(scales + lane), query_scale);
        const F dot = Long::keys_total(one[r][w], two[r][w], query_sums_ + 2 * (first + r));
        S::store(this->weights_of(first + r) + lane, S::mul(dot, scale));
      }
    }
  }

  // The weights of one query for the tokens of a block, times the scales of the values.
  void code_weights(int64_t i, int64_t block, const float* scales) {
    F products[kVectors];
    I top = S::zero_int();
    this->weigh(i, block, [&](int v, F weight, int from, int to) {
      const F product = S::mul(weight, S::load(scales + v * S::kLanes));
      products[v] = S::choose_lanes(product, S::zero(), from, to);
      top = S::max_int(top, S::magnitude(products[v]));
    });
    const auto most = std::bit_cast<float>(S::highest_int(top));
    weight_scales_[i] = most / kMostLongCode;
    const F inverse = S::set(inverse_of(most));
    for (int v = 0; v < kVectors; ++v) {
      Long::code_positive(products[v], inverse, weight_code(i), kBlockTokens, v * S::kLanes);
    }
  }

  template <int kRows>
  void mix_rows(const std::byte* values, int64_t tokens, int64_t first, int64_t rows) {
    if (rows == kRows) {
      int64_t d = 0;
      constexpr int kMostVectors = S::kCodeMixVectors;
      for (; d + kMostVectors * S::kLanes <= width_; d += kMostVectors * S::kLanes) {
        mix<kRows, kMostVectors>(values, tokens, first, d);
      }
      for (; d < width_; d += S::kLanes) mix<kRows, 1>(values, tokens, first, d);
    } else if constexpr (kRows > 1) {
      mix_rows<kRows - 1>(values, tokens, first, rows);
    }
  }

  // Adds weight * value to the sums of kRows queries, for kWidth vectors of dimensions from d.
  template <int kRows, int kWidth>
  void mix(const std::byte* values, int64_t tokens, int64_t first, int64_t d) {
    I one[kRows][kWidth], two[kRows][kWidth];
    const int8_t* codes = weight_code(first);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) one[r][w] = two[r][w] = S::zero_int();
    }
    for (int64_t t = 0; t < tokens; t += 4) {
      typename Long::Numbers value[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        value[w] = Long::numbers(values + t * width_ + d * 4 + w * kNumberBytes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        I x, y;
        Long::codes(codes + 2 * r * kBlockTokens, kBlockTokens, t, x, y);
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) Long::add_values(one[r][w], two[r][w], value[w], x, y);
      }
    }
    float* sums = sums_ + first * width_ + d;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F correction = S::set(corrections_[first + r]);
      const F scale = S::set(weight_scales_[first + r]);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        float* at = sums + r * width_ + w * S::kLanes;
        const F before = S::mul(S::load(at), correction);
        S::store(at, S::add_product(before, Long::values_total(one[r][w], two[r][w]), scale));
      }
    }
  }

  float* query_scales_;   // [queries]
  float* weight_scales_;  // [queries]
  int32_t* query_sums_;   // [queries, 2], see Long::store_sum
  int8_t* query_codes_;   // [queries, 2 * width_]
  int8_t* weight_codes_;  // [queries, 2 * kBlockTokens]
};

}  // namespace mill::tensor
