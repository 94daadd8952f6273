// Causal attention over a paged cache, for a few queries that share their keys and values.
// Templates over the vector type of an instruction set; see kernels.h.
//
// Blocks of 32 tokens are taken in the order of the sequence, and the softmax is kept as it goes
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018): a higher score than
// any before scales down what has been summed. A block in which a query sees nothing leaves its
// sums as they are, bit for bit, so it does not matter which queries are computed together.
#pragma once

#include "tensor/cpu/rows.h"

namespace mill::tensor {

template <class S>
class Attention {
 public:
  using F = typename S::F;
  static constexpr int kVectors = kBlockTokens / S::kLanes;  // of a block's tokens

  explicit Attention(const AttendCall& call)
      : call_(call), queries_(call.rows * call.heads), width_((call.head_dim + 15) / 16 * 16) {
    float* room = call.scratch;
    weights_ = room, room += kMostQueries * kBlockTokens;
    sums_ = room, room += kMostQueries * width_;
    keys_ = room, room += kBlockTokens * width_;
    values_ = room, room += kBlockTokens * width_;
    tops_ = room, room += kMostQueries;
    totals_ = room, room += kMostQueries;
    corrections_ = room;
  }

  void run() {
    for (int64_t i = 0; i < queries_ * width_; i += S::kLanes) S::store(sums_ + i, S::zero());
    for (int64_t i = 0; i < queries_; ++i) tops_[i] = kNone, totals_[i] = 0;
    const int64_t last = call_.position + call_.rows - 1;
    // Few queries read the cache as it is; for more, it pays to widen a block once.
    const bool direct = queries_ <= 2 * S::kScoreRows && call_.head_dim % S::kLanes == 0;
    for (int64_t b = first_seen(0) / kBlockTokens; b <= last / kBlockTokens; ++b) {
      const std::byte* block = call_.kv->base +
                               static_cast<size_t>(call_.blocks[b]) * call_.kv->block_bytes +
                               call_.kv_offset;
      const auto* keys = reinterpret_cast<const uint16_t*>(block + call_.kv->key_offset);
      const auto* values = reinterpret_cast<const uint16_t*>(block + call_.kv->value_offset);
      const int64_t after = last + 1 - b * kBlockTokens;
      const int64_t tokens = after < kBlockTokens ? after : kBlockTokens;
      if (direct) {
        attend_block(b, keys, values, call_.head_dim, tokens);
      } else {
        widen(keys, values, tokens);
        attend_block(b, keys_, values_, width_, tokens);
      }
    }
    finish();
  }

 private:
  static constexpr float kNone = -1e30F;  // below any score

  // The first position that query row r sees.
  int64_t first_seen(int64_t r) const {
    const int64_t first = call_.position + r - call_.window + 1;
    return call_.window > 0 && first > 0 ? first : 0;
  }
  const float* query(int64_t i) const {
    return call_.q + i / call_.heads * call_.q_stride + i % call_.heads * call_.head_dim;
  }

  static F take(const float* p) { return S::load(p); }
  static F take(const uint16_t* p) { return S::from_half(p); }

  void widen(const uint16_t* keys, const uint16_t* values, int64_t tokens) {
    for (int64_t i = 0; i < call_.head_dim * kBlockTokens; i += S::kLanes) {
      S::store(keys_ + i, S::from_half(keys + i));
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t d = 0; d < width_; d += S::kLanes) {
        const int64_t left = call_.head_dim - d;
        const int lanes = static_cast<int>(left < 0 ? 0 : left < S::kLanes ? left : S::kLanes);
        S::store(values_ + t * width_ + d,
                 S::from_half_part(values + t * call_.head_dim + d, lanes));
      }
    }
  }

  // Elements: uint16_t (f16) or float. A value row has value_stride elements.
  template <class Element>
  void attend_block(int64_t block, const Element* keys, const Element* values, int64_t value_stride,
                    int64_t tokens) {
    for (int64_t i = 0; i < queries_; i += S::kScoreRows) {
      const int64_t left = queries_ - i;
      score_rows<Element, S::kScoreRows>(keys, i, left < S::kScoreRows ? left : S::kScoreRows);
    }
    for (int64_t i = 0; i < queries_; ++i) weigh(i, block);
    for (int64_t i = 0; i < queries_; i += S::kMixRows) {
      const int64_t left = queries_ - i;
      mix_rows<Element, S::kMixRows>(values, value_stride, tokens, i,
                                     left < S::kMixRows ? left : S::kMixRows);
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
      q[r] = query(first + r);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = S::zero();
    }
    for (int64_t d = 0; d < call_.head_dim; ++d) {
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
        S::store(weights_ + (first + r) * kBlockTokens + v * S::kLanes, sum[r][v]);
      }
    }
  }

  // From scores to weights of one query, and what its sums so far are to be scaled by.
  void weigh(int64_t i, int64_t block) {
    const int64_t row = i / call_.heads;
    const int from = within_block(first_seen(row) - block * kBlockTokens);
    const int to = within_block(call_.position + row + 1 - block * kBlockTokens);
    float* weights = weights_ + i * kBlockTokens;
    F scores[kVectors];
    F top = S::set(tops_[i]);
    for (int v = 0; v < kVectors; ++v) {
      F score = S::mul(S::load(weights + v * S::kLanes), S::set(call_.scale));
      if (call_.softcap > 0) score = soft_cap<S>(score, call_.softcap);
      scores[v] = S::choose_lanes(score, S::set(kNone), lanes_before(from, v), lanes_before(to, v));
      top = S::max(top, scores[v]);
    }
    const float highest = S::highest(top);
    F total = S::zero();
    for (int v = 0; v < kVectors; ++v) {
      const F weight = exp<S>(S::sub(scores[v], S::set(highest)));
      const F seen = S::choose_lanes(weight, S::zero(), lanes_before(from, v), lanes_before(to, v));
      S::store(weights + v * S::kLanes, seen);
      total = S::add(total, seen);
    }
    const F correction = exp<S>(S::set(tops_[i] - highest));
    S::store_part(corrections_ + i, correction, 1);
    totals_[i] = totals_[i] * corrections_[i] + S::sum(total);
    tops_[i] = highest;
  }
  static int within_block(int64_t token) {
    return static_cast<int>(token < 0 ? 0 : token > kBlockTokens ? kBlockTokens : token);
  }
  // How many lanes of vector v lie before `token` of the block.
  static int lanes_before(int token, int v) {
    const int lanes = token - v * S::kLanes;
    return lanes < 0 ? 0 : lanes > S::kLanes ? S::kLanes : lanes;
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
    const float* weights = weights_ + first * kBlockTokens;
    F sum[kRows][kWidth];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F correction = S::set(corrections_[first + r]);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        sum[r][w] = S::mul(S::load(sums + r * width_ + w * S::kLanes), correction);
      }
    }
    for (int64_t t = 0; t < tokens; ++t) {
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

  void finish() {
    for (int64_t i = 0; i < queries_; ++i) {
      const F inverse = S::set(1.0F / totals_[i]);
      float* to = call_.out + i / call_.heads * call_.out_stride + i % call_.heads * call_.head_dim;
      for (int64_t d = 0; d < call_.head_dim; d += S::kLanes) {
        const int64_t left = call_.head_dim - d;
        const int lanes = static_cast<int>(left < S::kLanes ? left : S::kLanes);
        S::store_part(to + d, S::mul(S::load(sums_ + i * width_ + d), inverse), lanes);
      }
    }
  }

  const AttendCall& call_;
  const int64_t queries_;
  const int64_t width_;  // head_dim, rounded up to 16
  float* weights_;       // [queries, kBlockTokens] scores, then weights of one block
  float* sums_;          // [queries, width_] weighted values so far
  float* keys_;          // [head_dim, kBlockTokens] of one block
  float* values_;        // [kBlockTokens, width_]
  float* tops_;          // [queries] highest score so far
  float* totals_;        // [queries] weights so far
  float* corrections_;   // [queries]
};

template <class S>
void attend(const AttendCall& call) {
  Attention<S>(call).run();
}

}  // namespace mill::tensor
