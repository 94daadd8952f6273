// Attention over 8-bit keys and values: exact integer dot products, scaled in f32.
// Templates over the vector type of an instruction set; see kernels.h.
//
// The other side of a product (a query; the weights of a block's tokens, times the scales of their
// values) is coded to 15 bits, as 128 * high + low with two signed bytes: its rounding is far below
// that of the cache. Two byte products are still much faster than one in f32.
#pragma once

#include "tensor/cpu/attention.h"

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
    this->finish();
  }

 private:
  using Base = Attention<S>;
  using Base::call_, Base::queries_, Base::width_, Base::sums_, Base::corrections_, Base::rest_;
  static constexpr int kVectors = Base::kVectors;
  static constexpr float kMost = 127 * 128;  // the largest 15-bit code
  static constexpr int kNumberBytes = S::kLanes * 4;
  using KeyDots = typename S::template Dots<255, 1>;
  using ValueDots = typename S::template Dots<127, 1>;
  static constexpr int kZero = 128 - KeyDots::kOffset;  // what a key's code 0 is in a product

  // A number times `inverse` as 128 * high + low.
  struct Parts {
    I high, low;
  };
  static Parts split(F x, F inverse) {
    const F scaled = S::mul(x, inverse);
    const F high = S::round(S::mul(scaled, S::set(1.0F / 128)));
    return {S::to_int(high), S::to_int(S::subtract_product(scaled, high, S::set(128)))};
  }
  // The same of a number that is not negative, with high and low in [0, 127].
  static Parts split_positive(F x, F inverse) {
    const F scaled = S::mul(x, inverse);
    const F high =
        S::round(S::subtract_product(S::set(-0.5F + 1.0F / 256), scaled, S::set(-1.0F / 128)));
    return {S::to_int(high), S::to_int(S::subtract_product(scaled, high, S::set(128)))};
  }
  static float inverse_of(float highest) { return highest > 1e-30F ? kMost / highest : 0.0F; }
  static F join(I high, I low) {
    return S::add_product(S::from_int(low), S::from_int(high), S::set(128));
  }

  int8_t* query_code(int64_t i) const { return query_codes_ + i * 2 * width_; }
  int8_t* weight_code(int64_t i) const { return weight_codes_ + i * 2 * kBlockTokens; }

  void code_query(int64_t i) {
    const float* from = this->query(i);
    const float top = highest<S>(from, call_.head_dim);
    query_scales_[i] = top / kMost;
    const F inverse = S::set(inverse_of(top));
    I high_sum = S::zero_int(), low_sum = S::zero_int();
    for (int64_t d = 0; d < width_; d += S::kLanes) {
      const int64_t left = call_.head_dim - d;
      const int lanes = static_cast<int>(left < 0 ? 0 : left < S::kLanes ? left : S::kLanes);
      const Parts parts = split(load_lanes<S>(from + d, lanes), inverse);
      S::store_codes(query_code(i) + d, parts.high);
      S::store_codes(query_code(i) + width_ + d, parts.low);
      high_sum = S::add_int(high_sum, parts.high);
      low_sum = S::add_int(low_sum, parts.low);
    }
    query_sums_[2 * i] = S::sum_int(high_sum);
    query_sums_[2 * i + 1] = S::sum_int(low_sum);
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

  // What a sum of products begins with, so that the zero point of the keys costs nothing. The codes
  // of a query with a NaN may have any sum.
  static int32_t without_zero(int32_t query_sum) {
    return static_cast<int32_t>(static_cast<uint32_t>(-kZero) * static_cast<uint32_t>(query_sum));
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
    I high[kRows][kWidth], low[kRows][kWidth];
    const int8_t* codes = query_code(first);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        high[r][w] = S::set_int(without_zero(query_sums_[2 * (first + r)]));
        low[r][w] = S::set_int(without_zero(query_sums_[2 * (first + r) + 1]));
      }
    }
    for (int64_t d = 0; d < width_; d += 4) {
      typename S::B key[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        key[w] = S::load_bytes(keys + d * kBlockTokens + (v0 + w) * kNumberBytes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const I x = S::broadcast(codes + 2 * r * width_ + d);
        const I y = S::broadcast(codes + (2 * r + 1) * width_ + d);
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          high[r][w] = add_dot<KeyDots>(high[r][w], key[w], x);
          low[r][w] = add_dot<KeyDots>(low[r][w], key[w], y);
        }
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
        const F dot = join(high[r][w], low[r][w]);
        S::store(this->weights_of(first + r) + lane, S::mul(dot, scale));
      }
    }
  }

  template <class Dots>
  [[gnu::always_inline]] static I add_dot(I sum, typename S::B numbers, I codes) {
    Dots dots;
    dots.sum = sum;
    dots.template add<0>(numbers, codes);
    return dots.sum;
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
    weight_scales_[i] = most / kMost;
    const F inverse = S::set(inverse_of(most));
    for (int v = 0; v < kVectors; ++v) {
      const Parts parts = split_positive(products[v], inverse);
      S::store_codes(weight_code(i) + v * S::kLanes, parts.high);
      S::store_codes(weight_code(i) + kBlockTokens + v * S::kLanes, parts.low);
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
    I high[kRows][kWidth], low[kRows][kWidth];
    const int8_t* codes = weight_code(first);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) high[r][w] = low[r][w] = S::zero_int();
    }
    for (int64_t t = 0; t < tokens; t += 4) {
      I value[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        value[w] = S::ints_of(S::load_bytes(values + t * width_ + d * 4 + w * kNumberBytes));
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const auto x = S::bytes_of(S::broadcast(codes + 2 * r * kBlockTokens + t));
        const auto y = S::bytes_of(S::broadcast(codes + (2 * r + 1) * kBlockTokens + t));
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          high[r][w] = add_dot<ValueDots>(high[r][w], x, value[w]);
          low[r][w] = add_dot<ValueDots>(low[r][w], y, value[w]);
        }
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
        S::store(at, S::add_product(before, join(high[r][w], low[r][w]), scale));
      }
    }
  }

  float* query_scales_;   // [queries]
  float* weight_scales_;  // [queries]
  int32_t* query_sums_;   // [queries, 2] of the high and of the low codes
  int8_t* query_codes_;   // [queries, 2, width_]
  int8_t* weight_codes_;  // [queries, 2, kBlockTokens]
};

}  // namespace mill::tensor
