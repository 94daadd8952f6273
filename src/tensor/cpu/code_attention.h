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
class CodeAttention : protected Attention<S> {
 public:
  using F = typename S::F;
  using I = typename S::I;

  explicit CodeAttention(const AttendCall& call) : Attention<S>(call) {
    float* room = rest_;
    query_scales_ = room, room += kMostQueries;
    weight_scales_ = room, room += kMostQueries;
    inverses_ = room, room += kMostQueries;
    query_sums_ = reinterpret_cast<int32_t*>(room), room += 2 * kMostQueries;
    weight_codes_ = reinterpret_cast<int8_t*>(room), room += kMostQueries * 2 * kBlockTokens / 4;
    query_codes_ = reinterpret_cast<int8_t*>(room), room += kMostQueries * 2 * width_ / 4;
    wide_keys_ = reinterpret_cast<std::byte*>(room), room += kBlockTokens * width_ / 2;
    wide_values_ = reinterpret_cast<std::byte*>(room);
  }

  void run() {
    code_queries();
    this->each_block([&](int64_t block, int64_t next, const std::byte* keys,
                         const std::byte* values, int64_t tokens) {
      keys_ahead_ = this->keys(next) - keys;
      values_ahead_ = this->values(next) - values;
      attend_block(block, keys, values, tokens);
    });
    finish();
  }

 protected:
  using Base = Attention<S>;
  using Base::call_, Base::queries_, Base::width_, Base::sums_, Base::corrections_, Base::rest_,
      Base::score_scale_;
  static constexpr int kVectors = Base::kVectors;
  using Long = typename S::LongDots;

  int8_t* query_code(int64_t i) const { return query_codes_ + i * 2 * width_; }
  int8_t* weight_code(int64_t i) const { return weight_codes_ + i * 2 * kBlockTokens; }

  void code_queries() {
    int64_t first = 0;
    if constexpr (S::kQueriesInLanes) {
      if (call_.head_dim % (2 * S::kLanes) == 0) {
        for (; first < queries_; first += S::kLanes) code_queries_in_lanes(first);
      }
    }
    for (int64_t i = first; i < queries_; ++i) code_query(i);
  }
  void finish() {
    for (int64_t i = 0; i < queries_; ++i) {
      mix_head<S>(sums_ + i * width_, call_.head_dim, sums_ + i * width_);
    }
    Base::finish();
  }

  // The weights of `count` queries, kLanes at a time, for the tokens of a block; score(first) is
  // what find_tops_in_lanes wants. Each step is taken for all of them, so that the waiting for the
  // highest and the sums of some overlaps with the work for the next; between() comes between such
  // works.
  template <class Score, class Between>
  void code_lanes(int64_t count, int64_t block, const float* scales, const Score& score,
                  const Between& between) {
    for (int64_t i = 0; i < count; i += S::kLanes) {
      this->find_tops_in_lanes(i, block, score(i));
    }
    for (int64_t i = 0; i < count; i += S::kLanes) {
      between();
      weigh_lanes(i, block, scales);
    }
    between();
    const float* from = this->weights_of(0);
    const float* inverses = inverses_;
    int8_t* to = weight_codes_;
    for (int64_t i = 0; i < count; ++i, from += kBlockTokens, to += 2 * kBlockTokens) {
      F products[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) products[v] = S::load(from + v * S::kLanes);
      Long::code_block(products, S::set(inverses[i]), to);
    }
  }
  // Of kLanes queries: to their weights times the scales of the values.
  void weigh_lanes(int64_t first, int64_t block, const float* scales) {
    I most[S::kLanes];
    I* const highest = most;
    float* const products = this->weights_of(first);
    Base::weigh_lanes(first, block, [=](int i, int v, F weight, const auto& keep) {
      const F product = keep(S::mul(weight, S::load(scales + v * S::kLanes)));
      S::store(products + i * kBlockTokens + v * S::kLanes, product);
      const I size = S::magnitude(product);
      highest[i] = v == 0 ? size : S::max_int(highest[i], size);
    });
    const F tops = S::as_values(S::highest_ints_of(most));
    S::store(weight_scales_ + first, S::div(tops, S::set(kMostLongCode)));
    const F inverses = S::div(S::set(kMostLongCode), tops);
    S::store(inverses_ + first, S::where_above(tops, kLeast, inverses));
  }

  static constexpr float kLeast = 1e-30F;  // smaller weights (and queries) count as 0

  // Where the numbers of a block are read: in the cache, there with the same place of the next
  // block fetched at each step (all at once, they would keep the loads that follow waiting), or
  // widened. In order: what is fetched lies side by side, kFetchedAtOnce lines in each
  // S::kCodeUnroll steps.
  enum class From { kCache, kCacheAhead, kCacheInOrder, kWide };

  template <int kWidth>
  static constexpr int kFetchedAtOnce = S::kCodeUnroll + (kWidth > 1 ? 1 : 0);
  template <int kWidth>
  [[gnu::always_inline]] static void fetch_in_order(int step, int w, const std::byte*& ahead) {
    if (w != 0 && (w != 1 || step != 0)) return;
    S::fetch(ahead);
    ahead += 64;
  }

  // Of a number, and of a vector of four in each lane: as they lie in the cache, or widened.
  template <From kFrom>
  static constexpr int64_t kBytes = kFrom == From::kWide ? 2 : 1;
  template <From kFrom>
  static constexpr int64_t kVectorBytes = S::kLanes * 4 * kBytes<kFrom>;

  // Scores of kRows queries with the tokens of some vectors of a block, from vector v0 on; of the
  // first query to to[kBlockTokens], behind it those of the next.
  template <int kRows, From kFrom>
  void score(const std::byte* keys, const float* scales, int64_t first, int v0, float* to) {
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
    const std::byte* ahead = fetched_;
    for (int64_t d0 = 0; d0 < width_; d0 += 4 * S::kCodeUnroll) {
#pragma GCC unroll 8
      for (int step = 0; step < S::kCodeUnroll; ++step) {
        const int64_t d = d0 + 4 * step;
        I key[kWidth], other[kWidth];
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          const std::byte* from =
              keys + d * kBlockTokens * kBytes<kFrom> + (v0 + w) * kVectorBytes<kFrom>;
          if constexpr (kFrom == From::kWide) {
            Long::widened(from, key[w], other[w]);
          } else {
            Long::keys(from, key[w], other[w]);
            if (kFrom == From::kCacheAhead && w * kVectorBytes<kFrom> % 64 == 0) {
              S::fetch(from + keys_ahead_);
            }
            if (kFrom == From::kCacheInOrder) fetch_in_order<kWidth>(step, w, ahead);
          }
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          I x, y;
          Long::codes(codes + 2 * r * width_, width_, d, x, y);
#pragma GCC unroll 8
          for (int w = 0; w < kWidth; ++w) {
            Long::add_keys(one[r][w], two[r][w], key[w], other[w], x, y);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F query_scale = S::set(query_scales_[first + r]);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        const int64_t lane = (v0 + w) * S::kLanes;
        const F scale = S::mul(S::load(scales + lane), query_scale);
        S::store(to + r * kBlockTokens + lane, S::mul(Long::total(one[r][w], two[r][w]), scale));
      }
    }
  }

  // Adds weight * value to the sums of kRows queries from `query` on, for kWidth vectors of
  // dimensions from d; the weights are those coded from `first` on.
  template <int kRows, int kWidth, From kFrom>
  void mix(const std::byte* values, int64_t tokens, int64_t first, int64_t query, int64_t d) {
    I one[kRows][kWidth], two[kRows][kWidth];
    const int8_t* codes = weight_code(first);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) one[r][w] = two[r][w] = S::zero_int();
    }
    // The codes of tokens that nobody sees are 0.
    const std::byte* ahead = fetched_;
    for (int64_t t0 = 0; t0 < tokens; t0 += 4 * S::kCodeUnroll) {
#pragma GCC unroll 8
      for (int step = 0; step < S::kCodeUnroll; ++step) {
        const int64_t t = t0 + 4 * step;
        I value[kWidth], other[kWidth];
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          const std::byte* from =
              values + (t * width_ + d * 4) * kBytes<kFrom> + w * kVectorBytes<kFrom>;
          if constexpr (kFrom == From::kWide) {
            Long::widened(from, value[w], other[w]);
          } else {
            Long::values(from, value[w], other[w]);
            if (kFrom == From::kCacheAhead && w * kVectorBytes<kFrom> % 64 == 0) {
              S::fetch(from + values_ahead_);
            }
            if (kFrom == From::kCacheInOrder) fetch_in_order<kWidth>(step, w, ahead);
          }
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          I x, y;
          Long::codes(codes + 2 * r * kBlockTokens, kBlockTokens, t, x, y);
#pragma GCC unroll 8
          for (int w = 0; w < kWidth; ++w) {
            Long::add_values(one[r][w], two[r][w], value[w], other[w], x, y);
          }
        }
      }
    }
    float* sums = sums_ + query * width_ + d;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F correction = S::set(corrections_[first + r]);
      const F scale = S::set(weight_scales_[first + r]);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        float* at = sums + r * width_ + w * S::kLanes;
        const F before = S::mul(S::load(at), correction);
        S::store(at, S::add_product(before, Long::total(one[r][w], two[r][w]), scale));
      }
    }
  }

  int64_t keys_ahead_ = 0;  // bytes to the next block's
  int64_t values_ahead_ = 0;
  const std::byte* fetched_ = nullptr;  // next, kCacheInOrder
  float* query_scales_;                 // [queries]
  float* weight_scales_;                // [queries]
  float* inverses_;                     // [queries] of the weights' scales
  int32_t* query_sums_;                 // [queries, 2], see Long::store_sum
  int8_t* query_codes_;                 // [queries, 2 * width_]
  int8_t* weight_codes_;                // [queries, 2 * kBlockTokens]

 private:
  static constexpr int64_t kFewestToWiden = 12;  // queries

  static float inverse_of(float highest) {
    return highest > kLeast ? kMostLongCode / highest : 0.0F;
  }

  void code_query(int64_t i) {
    // In the room of the query's sums, which are not begun yet.
    float* from = sums_ + i * width_;
    mix_head<S>(this->query(i), call_.head_dim, from);
    const float top = highest<S>(from, call_.head_dim);
    query_scales_[i] = top / kMostLongCode * score_scale_;
    const F inverse = S::set(inverse_of(top));
    typename Long::CodeSum sum;
    for (int64_t d = 0; d < width_; d += S::kLanes) {
      const int64_t left = call_.head_dim - d;
      const int lanes = static_cast<int>(left < 0 ? 0 : left < S::kLanes ? left : S::kLanes);
      Long::code(load_lanes<S>(from + d, lanes), inverse, query_code(i), width_, d, sum);
    }
    Long::store_sum(sum, query_sums_ + 2 * i);
  }

  // kLanes of them, or what is left. The halves of a code may be others, with the same sum.
  void code_queries_in_lanes(int64_t first) {
    I parts[S::kLanes];
    const int64_t width = width_;
    const int count = queries_ - first < S::kLanes ? static_cast<int>(queries_ - first) : S::kLanes;
    for (int r = count; r < S::kLanes; ++r) parts[r] = S::zero_int();
    for (int r = 0; r < count; ++r) {
      float* mixed = sums_ + (first + r) * width;
      mix_head<S>(this->query(first + r), width, mixed);
      I most = S::zero_int();
      for (int64_t d = 0; d < width; d += S::kLanes) {
        most = S::max_int(most, S::magnitude(S::load(mixed + d)));
      }
      parts[r] = most;
    }
    const F tops = S::as_values(S::highest_ints_of(parts));
    const F steps = S::div(tops, S::set(kMostLongCode));
    S::store(query_scales_ + first, S::mul(steps, S::set(score_scale_)));
    S::store(inverses_ + first, S::where_above(tops, kLeast, S::div(S::set(kMostLongCode), tops)));
    for (int64_t i = first; i < first + count; ++i) {
      const F inverse = S::set(inverses_[i]);
      const float* mixed = sums_ + i * width;
      int8_t* high = query_code(i);
      I sums = S::zero_int();
      for (int64_t d = 0; d < width; d += 2 * S::kLanes) {
        const I codes[2] = {S::to_int(S::mul(S::load(mixed + d), inverse)),
                            S::to_int(S::mul(S::load(mixed + d + S::kLanes), inverse))};
        S::store_signed_halves(high + d, high + width + d, codes, sums);
      }
      S::store_half_sums(sums, query_sums_ + 2 * i);
    }
  }

  void attend_block(int64_t block, const std::byte* keys, const std::byte* values, int64_t tokens) {
    const auto* key_scales = reinterpret_cast<const float*>(keys + kBlockTokens * width_);
    const auto* value_scales = reinterpret_cast<const float*>(values + kBlockTokens * width_);
    if constexpr (Long::kWidens) {
      if (queries_ >= kFewestToWiden) {
        Long::widen_keys(keys, kBlockTokens * width_, wide_keys_);
        Long::widen_values(values, (tokens + 3) / 4 * 4 * width_, wide_values_);
        score_all<From::kWide>(wide_keys_, key_scales, tokens, 0);
        weigh_all(block, value_scales);
        return mix_all<From::kWide>(wide_values_, tokens, 0);
      }
    }
    const bool ahead = queries_ <= Base::kFetchQueries;
    int64_t first = 0;
    if (ahead) {
      S::fetch(keys + keys_ahead_ + kBlockTokens * width_);
      S::fetch(keys + keys_ahead_ + kBlockTokens * width_ + 64);
      first = score_some<From::kCacheAhead>(keys, key_scales, tokens, 0);
    }
    score_all<From::kCache>(keys, key_scales, tokens, first);
    weigh_all(block, value_scales);
    first = 0;
    if (ahead) {
      S::fetch(values + values_ahead_ + kBlockTokens * width_);
      S::fetch(values + values_ahead_ + kBlockTokens * width_ + 64);
      first = mix_some<From::kCacheAhead>(values, tokens, 0);
    }
    mix_all<From::kCache>(values, tokens, first);
  }

  // The scores of the queries from `first` on, and of one tile of them; returns where that ends.
  template <From kFrom>
  void score_all(const std::byte* keys, const float* scales, int64_t tokens, int64_t first) {
    while (first < queries_) first = score_some<kFrom>(keys, scales, tokens, first);
  }
  template <From kFrom>
  int64_t score_some(const std::byte* keys, const float* scales, int64_t tokens, int64_t first) {
    constexpr int64_t kMost = S::kCodeScoreRows;
    const int64_t rows = queries_ - first < kMost ? queries_ - first : kMost;
    score_rows<S::kCodeScoreRows, kFrom>(keys, scales, tokens, first, rows);
    return first + rows;
  }
  void weigh_all(int64_t block, const float* scales) {
    int64_t first = 0;
    if constexpr (S::kQueriesInLanes) {
      first = this->queries_in_lanes();
      const auto score = [this](int64_t from) {
        return [scores = this->weights_of(from)](int i, int v) {
          return S::load(scores + i * kBlockTokens + v * S::kLanes);
        };
      };
      code_lanes(first, block, scales, score, [] {});
    }
    if (first >= queries_) return;
    this->find_tops(first, block);
    for (int64_t i = first; i < queries_; ++i) code_weights(i, block, scales);
  }
  template <From kFrom>
  void mix_all(const std::byte* values, int64_t tokens, int64_t first) {
    while (first < queries_) first = mix_some<kFrom>(values, tokens, first);
  }
  template <From kFrom>
  int64_t mix_some(const std::byte* values, int64_t tokens, int64_t first) {
    constexpr int64_t kMost = S::kCodeMixRows;
    const int64_t rows = queries_ - first < kMost ? queries_ - first : kMost;
    mix_rows<S::kCodeMixRows, kFrom>(values, tokens, first, rows);
    return first + rows;
  }

  template <int kRows, From kFrom>
  void score_rows(const std::byte* keys, const float* scales, int64_t tokens, int64_t first,
                  int64_t rows) {
    if (rows == kRows) {
      for (int v = 0; v * S::kLanes < tokens; v += S::kCodeScoreVectors) {
        score<kRows, kFrom>(keys, scales, first, v, this->weights_of(first));
      }
    } else if constexpr (kRows > 1) {
      score_rows<kRows - 1, kFrom>(keys, scales, tokens, first, rows);
    }
  }

  // The weights of one query for the tokens of a block, times the scales of the values.
  void code_weights(int64_t i, int64_t block, const float* scales) {
    F products[kVectors];
    I top = S::zero_int();
    this->weigh(i, block, [&](int v, F weight, const auto& keep) {
      products[v] = keep(S::mul(weight, S::load(scales + v * S::kLanes)));
      top = S::max_int(top, S::magnitude(products[v]));
    });
    const auto most = std::bit_cast<float>(S::highest_int(top));
    weight_scales_[i] = most / kMostLongCode;
    Long::code_block(products, S::set(inverse_of(most)), weight_code(i));
  }

  template <int kRows, From kFrom>
  void mix_rows(const std::byte* values, int64_t tokens, int64_t first, int64_t rows) {
    if (rows == kRows) {
      int64_t d = 0;
      constexpr int kMostVectors = S::kCodeMixVectors;
      for (; d + kMostVectors * S::kLanes <= width_; d += kMostVectors * S::kLanes) {
        mix<kRows, kMostVectors, kFrom>(values, tokens, first, first, d);
      }
      for (; d < width_; d += S::kLanes) mix<kRows, 1, kFrom>(values, tokens, first, first, d);
    } else if constexpr (kRows > 1) {
      mix_rows<kRows - 1, kFrom>(values, tokens, first, rows);
    }
  }

  std::byte* wide_keys_;  // a block's, 16 bits each
  std::byte* wide_values_;
};

}  // namespace mill::tensor
