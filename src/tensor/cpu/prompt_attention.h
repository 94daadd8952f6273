// Attention of the rows of a prompt over 8-bit keys and values, by an instruction set that
// multiplies tiles of bf16 numbers.
//
// Keys and values are widened to bf16 once for all queries of a call (up to kMostPromptQueries), a
// run of blocks at a time: keys as their codes, which bf16 holds exactly, values with their scales.
// Queries and weights are rounded to bf16, which is about a quarter of what the cache's codes are
// off. Scores come from tiles by way of memory; of 16 queries they become weights, 32 of one query
// in a vector of bf16; those times the values are added up in tiles, and so are the weights alone,
// as products with ones. So a weight is divided by the sum of what the weights were rounded to.
//
// A weight is 2^(score - top), where `top` was the query's highest score of some tokens so far: it
// is raised, to the highest up to the end of the run, only where a score lies kRoom above it. So
// sums are scaled down seldom, and what is done for a run is one pass over its scores. Runs begin
// at multiples of kRunTokens of the sequence, and whether a query's top is raised depends on its
// own scores alone; tokens that it does not see have the weight 0, and a product with it leaves a
// sum as it is. So a query has the same bits whichever others are in the call, and wherever it
// begins.
#pragma once

#include "tensor/cpu/mixing.h"
#include "tensor/cpu/rows.h"

namespace mill::tensor {

template <class S>
class PromptAttention {
 public:
  explicit PromptAttention(const AttendCall& call)
      : call_(call),
        queries_(call.rows * call.heads),
        tiles_(tile_count(queries_)),
        width_(padded_head_dim(call.head_dim)) {
    float* room = call.scratch;
    const auto take = [&room](int64_t floats) {
      float* taken = room;
      room += floats;
      return taken;
    };
    sums_ = take(kMostPromptQueries * width_);
    totals_ = take(kMostPromptQueries);
    tops_ = take(kMostPromptQueries);
    starts_ = take(kMostPromptQueries);
    broken_ = take(kMostPromptQueries);
    rows_ = reinterpret_cast<int32_t*>(take(kMostPromptQueries));
    coded_queries_ = reinterpret_cast<uint16_t*>(take(kMostPromptQueries * width_ / 2));
    keys_ = reinterpret_cast<uint16_t*>(take(kPromptRunTokens * width_ / 2));
    values_ = reinterpret_cast<uint16_t*>(take(kPromptRunTokens * width_ / 2));
    scores_ = take(kPromptRunTokens * kTileRows);
    weights_ = reinterpret_cast<uint16_t*>(take(kPromptRunTokens * kTileRows / 2));
    key_scales_ = take(kPromptRunTokens);
    value_scales_ = take(kBlockTokens);
  }

  void run() {
    for (int64_t i = 0; i < tiles_ * kTileRows; ++i) begin(i);
    const int64_t end = (call_.position + call_.rows - 1) / kBlockTokens + 1;
    for (int64_t b = first_seen(0) / kBlockTokens; b < end;) {
      const int64_t next = (b / kRunBlocks + 1) * kRunBlocks;
      attend_run(b, next < end ? next : end);
      b = next;
    }
    for (int64_t i = 0; i < queries_; ++i) finish(i);
  }

 private:
  using F = typename S::F;
  using I = typename S::I;
  using Powers = typename S::Powers;
  static constexpr int64_t kRunBlocks = kPromptRunTokens / kBlockTokens;
  static constexpr int64_t kTileScores = kTileRows * kBlockTokens;
  static constexpr int64_t kPartDims = 64;  // of which the sums are in tiles at a time
  static constexpr float kNone = -1e30F;    // below any score
  static constexpr float kLog2E = 1.44269504F;
  static_assert(S::kLanes == kTileRows && kBlockTokens == 2 * S::kLanes);

  // Query i as bf16, of its transform as the cache's, times what makes its product with the widened
  // codes of a key, times their scale, a score (an exponent of 2; under a cap, of e). A query that
  // is not there is 0.
  void begin(int64_t i) {
    const bool real = i < queries_;
    rows_[i] = static_cast<int32_t>(real ? i / call_.heads : call_.rows - 1);
    tops_[i] = kNone, starts_[i] = S::first(Powers::start_of(S::set(kNone)));
    broken_[i] = 0;
    float* mixed = sums_ + i * width_;  // the room of its sums, which are not begun yet
    uint16_t* to = coded_queries_ + i * width_;
    if (!real) return clear(to);
    mix_head<S>(call_.q + rows_[i] * call_.q_stride + i % call_.heads * call_.head_dim,
                call_.head_dim, mixed);
    const F scale =
        S::set((call_.softcap > 0 ? call_.scale : call_.scale * kLog2E) * S::kWidenedCodeScale);
    I most = S::zero_int();
    for (int64_t d = 0; d < width_; d += S::kLanes) {
      const int64_t left = call_.head_dim - d;
      const int lanes = static_cast<int>(left < 0 ? 0 : left < S::kLanes ? left : S::kLanes);
      const F scaled = S::mul(load_lanes<S>(mixed + d, lanes), scale);
      most = S::max_int(most, S::magnitude(scaled));
      S::store_bfloats(to + d, scaled);
    }
    constexpr int32_t kMostBits = 0x7f000000;  // infinite when rounded, or not a number
    if (!S::any_at_least(most, kMostBits)) return;
    broken_[i] = __builtin_nanf("");
    clear(to);
  }
  void clear(uint16_t* query) const {
    for (int64_t d = 0; d < width_; d += S::kLanes) S::store_bfloats(query + d, S::zero());
  }

  void finish(int64_t i) {
    float* sums = sums_ + i * width_;
    mix_head<S>(sums, call_.head_dim, sums);
    const F inverse = S::set(1.0F / (totals_[i] + broken_[i]));
    float* to = call_.out + rows_[i] * call_.out_stride + i % call_.heads * call_.head_dim;
    for (int64_t d = 0; d < call_.head_dim; d += S::kLanes) {
      const int64_t left = call_.head_dim - d;
      const int lanes = static_cast<int>(left < S::kLanes ? left : S::kLanes);
      // Whether a sum is 0 or -0 depends on the blocks that add nothing to it.
      S::store_part(to + d, S::add(S::mul(S::load(sums + d), inverse), S::zero()), lanes);
    }
  }

  // Blocks [from, to), which are of one run.
  void attend_run(int64_t from, int64_t to) {
    for (int64_t b = from; b < to; ++b) widen(b);
    for (int64_t first = 0; first < queries_; first += kTileRows) {
      const int64_t begin = first_seen(rows_[first]) / kBlockTokens;
      const int64_t end = (call_.position + rows_[first + kTileRows - 1]) / kBlockTokens + 1;
      attend_tile(first, from < begin ? begin : from, to < end ? to : end);
    }
  }

  // Of a block into the places of the run. Tokens behind those of the call may hold anything, and
  // count as 0; so do those whose numbers are none, for the queries that do not see them.
  void widen(int64_t block) {
    const std::byte* head = call_.kv->base +
                            static_cast<size_t>(call_.blocks[block]) * call_.kv->block_bytes +
                            call_.kv_offset;
    const std::byte* keys = head + call_.kv->key_offset;
    const std::byte* values = head + call_.kv->value_offset;
    const auto* key_scales = reinterpret_cast<const float*>(keys + kBlockTokens * width_);
    const auto* value_scales = reinterpret_cast<const float*>(values + kBlockTokens * width_);
    const int64_t slot = block % kRunBlocks;
    const uint32_t there = tokens_before(call_.position + call_.rows - block * kBlockTokens);
    uint32_t sound = 0;
    for (int v = 0; v < 2; ++v) {
      const F key_scale = S::load(key_scales + v * S::kLanes);
      const F value_scale = S::load(value_scales + v * S::kLanes);
      const uint32_t both = S::lanes_below(key_scale, kMostScale) &
                            S::lanes_below(value_scale, kMostScale) & (there >> (v * S::kLanes));
      sound |= both << (v * S::kLanes);
      S::store(key_scales_ + slot * kBlockTokens + v * S::kLanes, S::keep_lanes(key_scale, both));
      S::store(value_scales_ + v * S::kLanes,
               S::keep_lanes(S::mul(value_scale, S::set(S::kWidenedCodeScale)), both));
    }
    broken_tokens_[slot] = there & ~sound;
    S::widen_keys(keys, width_, keys_ + slot * kBlockTokens * width_);
    S::widen_values(values, width_, value_scales_, values_ + slot * kBlockTokens * width_);
  }

  void attend_tile(int64_t first, int64_t from, int64_t to) {
    if (from >= to) return;
    I over = S::zero_int();
    // Where there is no top yet, all are to be raised of queries that see something.
    const bool begun = begun_[first / kTileRows];
    begun_[first / kTileRows] = true;
    score(first, from);
    for (int64_t b = from; b < to; ++b) {
      if (b + 1 < to) score(first, b + 1);  // while the tiles work, the vectors weigh
      if (call_.softcap > 0) cap(b);
      if (begun) over = S::or_int(over, weigh<false>(first, b));
    }
    if (!begun || Powers::any_over(over)) {
      raise_tops(first, from, to, begun);
      for (int64_t b = from; b < to; ++b) weigh<true>(first, b);
    }
    for (int64_t b = from; b < to; ++b) {
      if (broken_tokens_[b % kRunBlocks] != 0) find_broken(first, b);
    }
    mix(first, from, to, begun);
  }

  void score(int64_t first, int64_t block) {
    const int64_t slot = block % kRunBlocks;
    const uint16_t* queries = coded_queries_ + first * width_;
    const uint16_t* keys = keys_ + slot * kBlockTokens * width_;
    float* to = scores_ + slot * kTileScores;
    if (slot % 2 == 0) {
      S::template score_block<0>(queries, width_, keys, to);
    } else {
      S::template score_block<1>(queries, width_, keys, to);
    }
  }

  // Under a cap, of e; what is left to do is to weigh.
  void cap(int64_t block) {
    float* scores = scores_ + block % kRunBlocks * kTileScores;
    const float* scales = key_scales_ + block % kRunBlocks * kBlockTokens;
    for (int64_t at = 0; at < kTileScores; at += S::kLanes) {
      const F score = S::mul(S::load(scores + at), S::load(scales + at % kBlockTokens));
      S::store(scores + at, S::mul(soft_cap<S>(score, call_.softcap), S::set(kLog2E)));
    }
  }
  // What a block's scores are to be multiplied with.
  void load_scales(int64_t block, F (&scales)[2]) const {
    for (int v = 0; v < 2; ++v) {
      scales[v] = call_.softcap > 0
                      ? S::set(1.0F)
                      : S::load(key_scales_ + block % kRunBlocks * kBlockTokens + v * S::kLanes);
    }
  }

  // From the scores of 16 queries with a block to their weights. In the result, Powers::any_over
  // finds whether a top is to be raised. kAnew: for queries whose tops are.
  template <bool kAnew>
  I weigh(int64_t first, int64_t block) {
    const bool all = seen(first + kTileRows - 1, block) == ~0U && seen(first, block) == ~0U;
    return all ? weigh<kAnew, true>(first, block) : weigh<kAnew, false>(first, block);
  }
  template <bool kAnew, bool kAll>
  I weigh(int64_t first, int64_t block) {
    const int64_t slot = block % kRunBlocks;
    const float* scores = scores_ + slot * kTileScores;
    const float* starts = starts_ + first;
    uint16_t* to = weights_ + slot * kTileScores;
    const Powers powers;
    F scales[2];
    load_scales(block, scales);
    I over = S::zero_int();
#pragma GCC unroll 4
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float* at = scores + r * kBlockTokens;
      const I power = powers.template fixed<kAnew, kAll>(S::load(at), S::load(at + S::kLanes),
                                                         scales, S::set(starts[r]),
                                                         kAll ? ~0U : seen(first + r, block));
      over = S::or_int(over, power);
      powers.store(to + r * kBlockTokens, power);
    }
    return over;
  }

  // Of 16 queries, those tops above which a score lies far: to the highest score up to the end of
  // the run. begun: else there is none yet.
  void raise_tops(int64_t first, int64_t from, int64_t to, bool begun) {
    const Powers powers;
    F highest[S::kLanes];
    uint32_t raised = 0;  // a bit for each query
    for (int r = 0; r < S::kLanes; ++r) {
      const float* row = scores_ + r * kBlockTokens;
      const F start = S::set(starts_[first + r]);
      F top = S::set(kNone);
      I over = S::zero_int();
      uint32_t any = 0;
      for (int64_t b = from; b < to; ++b) {
        const float* scores = row + b % kRunBlocks * kTileScores;
        const F low = S::load(scores), high = S::load(scores + S::kLanes);
        const uint32_t tokens = seen(first + r, b);
        any |= tokens;
        F scales[2];
        load_scales(b, scales);
        if (begun) {
          over = S::or_int(over,
                           powers.template fixed<false, false>(low, high, scales, start, tokens));
        }
        top = S::max(top, S::choose(S::mul(low, scales[0]), S::set(kNone), tokens));
        top = S::max(top, S::choose(S::mul(high, scales[1]), S::set(kNone), tokens >> S::kLanes));
      }
      highest[r] = top;
      if (begun ? Powers::any_over(over) : any != 0) raised |= 1U << r;
    }
    const F before = S::load(tops_ + first);
    const F found = S::max(Powers::rounded(S::highest_of(highest)), before);
    const F tops = S::choose(found, before, raised);
    S::store(tops_ + first, tops);
    S::store(starts_ + first, Powers::start_of(tops));
    if (!begun) return;
    alignas(64) float corrections[S::kLanes];
    S::store(corrections, exp2<S>(S::sub(before, tops)));
    S::store(totals_ + first, S::mul(S::load(totals_ + first), S::load(corrections)));
    for (int r = 0; r < S::kLanes; ++r) {
      if ((raised >> r & 1) == 0) continue;
      float* sums = sums_ + (first + r) * width_;
      for (int64_t d = 0; d < width_; d += S::kLanes) {
        S::store(sums + d, S::mul(S::load(sums + d), S::set(corrections[r])));
      }
    }
  }

  void find_broken(int64_t first, int64_t block) {
    for (int64_t i = first; i < first + kTileRows; ++i) {
      if (seen(i, block) & broken_tokens_[block % kRunBlocks]) broken_[i] = __builtin_nanf("");
    }
  }

  // Adds the weighed values, and the weights. begun: else there are no sums yet.
  void mix(int64_t first, int64_t from, int64_t to, bool begun) {
    for (int64_t d = 0; d < width_; d += kPartDims) {
      float* sums = sums_ + first * width_ + d;
      if (begun) {
        S::load_sums(sums, width_, totals_ + first);
      } else {
        S::clear_sums();
      }
      for (int64_t b = from; b < to; ++b) {
        const int64_t slot = b % kRunBlocks;
        const uint16_t* values = values_ + slot * kBlockTokens * width_ + d * kBlockTokens;
        S::mix_block(weights_ + slot * kTileScores, values, d == 0);
      }
      S::store_sums(sums, width_, d == 0 ? totals_ + first : nullptr);
    }
  }

  // The first position that query row r sees.
  int64_t first_seen(int64_t r) const {
    const int64_t first = call_.position + r - call_.window + 1;
    return call_.window > 0 && first > 0 ? first : 0;
  }
  // The tokens of a block that a query sees, a bit for each.
  uint32_t seen(int64_t i, int64_t block) const {
    const int64_t start = block * kBlockTokens;
    return tokens_before(call_.position + rows_[i] + 1 - start) &
           ~tokens_before(first_seen(rows_[i]) - start);
  }
  static uint32_t tokens_before(int64_t token) {
    return token <= 0 ? 0 : token >= kBlockTokens ? ~0U : (1U << token) - 1;
  }

  static constexpr float kMostScale = 0x1p119F;  // whose largest code bf16 still holds

  const AttendCall& call_;
  const int64_t queries_, tiles_, width_;
  float* sums_;              // [queries, width_] weighted values so far
  float* totals_;            // [queries] weights so far
  float* tops_;              // [queries] what 2^score is divided by; see above
  float* starts_;            // [queries] Powers::start_of(top)
  float* broken_;            // [queries] 0, or a NaN where something seen is none
  int32_t* rows_;            // [queries]
  uint16_t* coded_queries_;  // [queries, width_] bf16
  uint16_t* keys_;           // [kRunBlocks] as S::widen_keys leaves them
  uint16_t* values_;         // [kRunBlocks] likewise
  float* scores_;            // [kRunBlocks, kTileRows, kBlockTokens]
  uint16_t* weights_;        // the same in bf16, in the order of Powers::store
  float* key_scales_;        // [kRunBlocks, kBlockTokens], 0 where there is nothing
  float* value_scales_;      // [kBlockTokens] times kWidenedCodeScale
  bool begun_[kMostPromptQueries / kTileRows] = {};  // whether a tile's queries have sums
  uint32_t broken_tokens_[kRunBlocks];  // a bit for each whose scale is not a number, or too large
};

template <class S>
void attend_prompt(const AttendCall& call) {
  S::shape_prompt_tiles();
  PromptAttention<S>(call).run();
  S::release_tiles();
}

}  // namespace mill::tensor
