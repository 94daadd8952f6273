// Attention over keys and values in f32, f16 or bf16: all sums in f32.
// Templates over the vector type of an instruction set; see kernels.h.
#pragma once

#include "tensor/cpu/attention.h"

namespace mill::tensor {

struct HalfNumber {
  uint16_t bits;
};
struct BfloatNumber {
  uint16_t bits;
};

// Number: float, HalfNumber or BfloatNumber.
template <class S, class Number>
class ValueAttention : private Attention<S> {
 public:
  using F = typename S::F;
  using Attention<S>::Attention;

  void run() {
    float* keys_in_f32 = rest_;
    float* values_in_f32 = rest_ + kBlockTokens * width_;
    // Few queries read the cache as it is; for more, it pays to widen a block once.
    const bool few = sizeof(Number) == 4 || queries_ <= 2 * S::kScoreRows;
    const bool direct = few && call_.head_dim % S::kLanes == 0;
    this->each_block([&](int64_t block, int64_t next, const std::byte* key_bytes,
                         const std::byte* value_bytes, int64_t tokens) {
      const bool ahead = direct && next != block && queries_ <= Base::kFetchQueries;
      keys_ahead_ = ahead ? this->keys(next) - key_bytes : 0;
      values_ahead_ = ahead ? this->values(next) - value_bytes : 0;
      const auto* keys = reinterpret_cast<const Number*>(key_bytes);
      const auto* values = reinterpret_cast<const Number*>(value_bytes);
      if (direct) {
        attend_block(block, keys, values, call_.head_dim, tokens);
      } else {
        widen(keys, values, tokens, keys_in_f32, values_in_f32);
        attend_block(block, keys_in_f32, values_in_f32, width_, tokens);
      }
    });
    this->finish();
  }

 private:
  using Base = Attention<S>;
  using Base::call_, Base::queries_, Base::width_, Base::sums_, Base::corrections_, Base::rest_,
      Base::score_scale_;
  static constexpr int kVectors = Base::kVectors;

  // Bytes from a block's keys (values) to the next block's, for the first queries of a block that
  // is read where it lies; else 0.
  int64_t keys_ahead_ = 0, values_ahead_ = 0;

  // The same place of the next block as the `bytes` at `from`, on their way meanwhile. (All of a
  // block at once, they would keep the loads that follow waiting.)
  template <int kBytes>
  [[gnu::always_inline]] static void fetch(const void* from, int64_t ahead) {
    const std::byte* next = static_cast<const std::byte*>(from) + ahead;
#pragma GCC unroll 4
    for (int i = 0; i < kBytes; i += 64) S::fetch(next + i);
  }

  static F take(const float* p) { return S::load(p); }
  static F take(const HalfNumber* p) { return S::from_half(p); }
  static F take(const BfloatNumber* p) { return S::from_bfloat(p); }
  // The first `lanes` of them; the others read as 0.
  static F take_part(const Number* p, int lanes) {
    if (lanes == S::kLanes) return take(p);
    Number copy[S::kLanes] = {};
    __builtin_memcpy(copy, p, static_cast<size_t>(lanes) * sizeof(Number));
    return take(copy);
  }

  void widen(const Number* keys, const Number* values, int64_t tokens, float* wide_keys,
             float* wide_values) const {
    for (int64_t i = 0; i < call_.head_dim * kBlockTokens; i += S::kLanes) {
      S::store(wide_keys + i, take(keys + i));
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t d = 0; d < width_; d += S::kLanes) {
        const int64_t left = call_.head_dim - d;
        const int lanes = static_cast<int>(left < 0 ? 0 : left < S::kLanes ? left : S::kLanes);
        S::store(wide_values + t * width_ + d, take_part(values + t * call_.head_dim + d, lanes));
      }
    }
  }

  // A value row has value_stride elements.
  template <class Element>
  void attend_block(int64_t block, const Element* keys, const Element* values, int64_t value_stride,
                    int64_t tokens) {
    for (int64_t i = 0; i < queries_; i += S::kScoreRows) {
      const int64_t left = queries_ - i;
      score_rows<Element, S::kScoreRows>(keys, i, left < S::kScoreRows ? left : S::kScoreRows);
      keys_ahead_ = 0;
    }
    this->find_tops(0, block);
    for (int64_t i = 0; i < queries_; ++i) {
      float* weights = this->weights_of(i);
      this->weigh(i, block,
                  [&](int v, F weight, auto) { S::store(weights + v * S::kLanes, weight); });
    }
    for (int64_t i = 0; i < queries_; i += S::kMixRows) {
      const int64_t left = queries_ - i;
      mix_rows<Element, S::kMixRows>(values, value_stride, tokens, i,
                                     left < S::kMixRows ? left : S::kMixRows);
      values_ahead_ = 0;
    }
  }

  template <class Element, int kRows>
  void score_rows(const Element* keys, int64_t first, int64_t rows) {
    if (rows == kRows) {
      score<Element, kRows>(keys, first);
    } else if constexpr (kRows > 1) {
      score_rows<Element, kRows - 1>(keys, first, rows);
    }
  }

  // Scores of kRows queries with the tokens of a block.
  template <class Element, int kRows>
  void score(const Element* keys, int64_t first) {
    const float* q[kRows];
    F sum[kRows][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      q[r] = this->query(first + r);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = S::zero();
    }
    const int64_t ahead = keys_ahead_;
    for (int64_t d = 0; d < call_.head_dim; ++d) {
      if (ahead != 0) fetch<kBlockTokens * sizeof(Element)>(keys + d * kBlockTokens, ahead);
      F key[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) key[v] = take(keys + d * kBlockTokens + v * S::kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const F x = S::set(q[r][d]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sum[r][v] = S::add_product(sum[r][v], x, key[v]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        S::store(this->weights_of(first + r) + v * S::kLanes,
                 S::mul(sum[r][v], S::set(score_scale_)));
      }
    }
  }

  template <class Element, int kRows>
  void mix_rows(const Element* values, int64_t stride, int64_t tokens, int64_t first,
                int64_t rows) {
    if (rows == kRows) {
      int64_t d = 0;
      constexpr int kMost = S::kMixVectors;
      for (; d + kMost * S::kLanes <= width_; d += kMost * S::kLanes) {
        mix<Element, kRows, kMost>(values + d, stride, tokens, first, d);
      }
      for (; d < width_; d += S::kLanes) {
        mix<Element, kRows, 1>(values + d, stride, tokens, first, d);
      }
    } else if constexpr (kRows > 1) {
      mix_rows<Element, kRows - 1>(values, stride, tokens, first, rows);
    }
  }

  // Adds weight * value to the sums of kRows queries, for kWidth vectors of dimensions from d.
  template <class Element, int kRows, int kWidth>
  void mix(const Element* values, int64_t stride, int64_t tokens, int64_t first, int64_t d) {
    float* sums = sums_ + first * width_ + d;
    const float* weights = this->weights_of(first);
    F sum[kRows][kWidth];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F correction = S::set(corrections_[first + r]);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        sum[r][w] = S::mul(S::load(sums + r * width_ + w * S::kLanes), correction);
      }
    }
    const int64_t ahead = values_ahead_;
    for (int64_t t = 0; t < tokens; ++t) {
      if (ahead != 0) fetch<kWidth * S::kLanes * sizeof(Element)>(values + t * stride, ahead);
      F value[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) value[w] = take(values + t * stride + w * S::kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const F weight = S::set(weights[r * kBlockTokens + t]);
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) sum[r][w] = S::add_product(sum[r][w], weight, value[w]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) S::store(sums + r * width_ + w * S::kLanes, sum[r][w]);
    }
  }
};

}  // namespace mill::tensor
