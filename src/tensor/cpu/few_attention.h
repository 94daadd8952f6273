// Attention over 8-bit keys and values for few queries, as decoding has them: several blocks at a
// time. The f32 operations are those of code_attention.h in the same order, so a query has the same
// bits here and there.
//
// With few queries a block is short of work: between its products with keys and those with values
// lies a chain of steps that each wait for the one before (the highest score, the weights, the
// highest of them, codes). So a step is taken for all blocks of a run before the next: what there is
// one of for each query and block, a pair, has a lane of one vector, and the sums of weighted values
// stay in registers. The highest scores so far are found from those of the blocks alone.
// Templates over the vector type of an instruction set that has queries in lanes; see kernels.h.
#pragma once

#include "tensor/cpu/code_attention.h"

namespace mill::tensor {

template <class S>
class FewAttention : private CodeAttention<S> {
 public:
  using F = typename S::F;
  using I = typename S::I;

  static bool takes(const AttendCall& call) { return call.rows * call.heads <= kMost; }

  explicit FewAttention(const AttendCall& call)
      : CodeAttention<S>(call), count_(static_cast<int>(queries_)) {}

  void run() {
    this->code_queries();
    for (int64_t i = 0; i < queries_ * width_; i += S::kLanes) S::store(sums_ + i, S::zero());
    highest_ = S::set(Base::kNone);
    total_ = S::zero();
    const int64_t last = this->last_block();
    const int64_t most = S::kLanes / queries_;  // blocks of a run
    int64_t block = this->first_block();
    for (int64_t runs = (last - block + most) / most; runs > 0; --runs) {
      const int64_t blocks = (last - block + runs) / runs;
      lay_out(block, static_cast<int>(blocks), last);
      attend_run();
      block += blocks;
    }
    S::store(this->totals_, total_);
    this->finish();
  }

 private:
  using Base = CodeAttention<S>;
  using Base::call_, Base::queries_, Base::width_, Base::sums_, Base::corrections_,
      Base::weight_scales_, Base::inverses_, Base::keys_ahead_, Base::values_ahead_;
  using typename Base::From, typename Base::Seen, typename Base::Long;
  static constexpr int kVectors = Base::kVectors;
  static constexpr int64_t kMost = S::kLanes / 2;  // queries

  struct Block {
    int64_t number, tokens;
    const std::byte *keys, *values;
    int64_t keys_ahead, values_ahead;  // bytes to what is to be fetched meanwhile
    bool all_seen;                     // by all queries
    const float* value_scales;
  };

  // The run of `blocks` blocks from `first` on. As many later ones are fetched: of this sequence,
  // then of the next call.
  void lay_out(int64_t first, int blocks, int64_t last) {
    blocks_ = blocks;
    pairs_ = blocks * count_;
    for (int b = 0; b < blocks; ++b) {
      Block& block = run_[b];
      const int64_t number = first + b;
      block.number = number;
      block.tokens = this->tokens_of(number);
      block.keys = this->keys(number);
      block.values = this->values(number);
      block.value_scales = reinterpret_cast<const float*>(block.values + kBlockTokens * width_);
      block.all_seen = this->seen_of(0, number).to == kBlockTokens &&
                       this->seen_of(queries_ - 1, number).from == 0;
      const std::byte* ahead = block.keys - call_.kv->key_offset;
      const int64_t later = number + blocks;
      if (later <= last) {
        ahead = this->head(later);
      } else if (later - last - 1 < call_.next_count) {
        ahead = call_.kv->base +
                static_cast<size_t>(call_.next_blocks[later - last - 1]) * call_.kv->block_bytes +
                call_.next_offset;
      }
      block.keys_ahead = ahead + call_.kv->key_offset - block.keys;
      block.values_ahead = ahead + call_.kv->value_offset - block.values;
    }
  }

  void attend_run() {
    for (int b = 0; b < blocks_; ++b) score_block(run_[b], b * count_);
    find_run_tops();
    weigh_run();
    const float* products = this->weights_of(0);
    for (int p = 0; p < pairs_; ++p, products += kBlockTokens) {
      F each[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) each[v] = S::load(products + v * S::kLanes);
      Long::code_block(each, S::set(inverses_[p]), this->weight_code(p));
    }
    mix_run();
  }

  // Tiles of queries, of about the same size.
  template <int64_t kMostRows, class Visit>
  void each_tile(const Visit& visit) const {
    const int64_t tiles = (queries_ + kMostRows - 1) / kMostRows;
    for (int64_t i = 0, first = 0; i < tiles; ++i) {
      const int64_t rows = (queries_ - first + tiles - i - 1) / (tiles - i);
      visit(first, rows);
      first += rows;
    }
  }

  void score_block(const Block& block, int64_t pair) {
    const auto* scales = reinterpret_cast<const float*>(block.keys + kBlockTokens * width_);
    keys_ahead_ = block.keys_ahead;
    S::fetch(block.keys + keys_ahead_ + kBlockTokens * width_);
    S::fetch(block.keys + keys_ahead_ + kBlockTokens * width_ + 64);
    each_tile<S::kCodeScoreRows>([&](int64_t first, int64_t rows) {
      float* to = this->weights_of(pair + first);
      if (first == 0) {
        score_rows<S::kCodeScoreRows, From::kCacheAhead>(block, scales, first, rows, to);
      } else {
        score_rows<S::kCodeScoreRows, From::kCache>(block, scales, first, rows, to);
      }
    });
  }
  template <int kRows, From kFrom>
  void score_rows(const Block& block, const float* scales, int64_t first, int64_t rows, float* to) {
    if (rows == kRows) {
      for (int v = 0; v * S::kLanes < block.tokens; v += S::kCodeScoreVectors) {
        this->template score<kRows, kFrom>(block.keys, scales, first, v, to);
      }
    } else if constexpr (kRows > 1) {
      score_rows<kRows - 1, kFrom>(block, scales, first, rows, to);
    }
  }

  void find_run_tops() {
    F parts[S::kLanes];
    for (int p = pairs_; p < S::kLanes; ++p) parts[p] = S::set(Base::kNone);
    float* scores = this->weights_of(0);
    const float cap = call_.softcap;
    for (int b = 0, p = 0; b < blocks_; ++b) {
      const Block& block = run_[b];
      for (int i = 0; i < count_; ++i, ++p, scores += kBlockTokens) {
        F x[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) x[v] = S::load(scores + v * S::kLanes);
        if (cap > 0 || !block.all_seen) {
          const Seen seen = this->seen_of(i, block.number);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            if (cap > 0) x[v] = S::mul(soft_cap<S>(x[v], cap), S::set(Base::kLog2E));
            x[v] = seen.choose(x[v], S::set(Base::kNone), v);
            S::store(scores + v * S::kLanes, x[v]);
          }
        }
        F part = x[0];
#pragma GCC unroll 8
        for (int v = 1; v < kVectors; ++v) part = S::max(part, x[v]);
        parts[p] = part;
      }
    }
    // Of the blocks so far: over one more, two more, four more.
    F tops = S::max(highest_, S::highest_of(parts));
    for (int lanes = count_; lanes < pairs_; lanes *= 2) {
      tops = S::max(S::lanes_up(tops, lanes, S::set(Base::kNone)), tops);
    }
    corrections_of_run_ = exp2<S>(S::sub(S::lanes_up(tops, count_, highest_), tops));
    S::store(corrections_, corrections_of_run_);
    S::store(this->tops_, tops);
    highest_ = S::choose_lanes(S::lanes_from(tops, pairs_ - count_, count_), S::set(Base::kNone), 0,
                               count_);
  }

  // To the weights times the scales of the values.
  void weigh_run() {
    F parts[S::kLanes];
    I most[S::kLanes];
    for (int p = pairs_; p < S::kLanes; ++p) parts[p] = S::zero(), most[p] = S::zero_int();
    float* scores = this->weights_of(0);
    const float* tops = this->tops_;
    for (int b = 0, p = 0; b < blocks_; ++b) {
      const Block& block = run_[b];
      F scales[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) scales[v] = S::load(block.value_scales + v * S::kLanes);
      const bool all_seen = block.all_seen;
      for (int i = 0; i < count_; ++i, ++p, scores += kBlockTokens) {
        const Seen seen = all_seen ? Seen{} : this->seen_of(i, block.number);
        const F top = S::set(tops[p]);
        F weight[kVectors], product[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          weight[v] = exp2<S>(S::sub(S::load(scores + v * S::kLanes), top));
          product[v] = S::mul(weight[v], scales[v]);
        }
        if (!all_seen) {
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            weight[v] = seen.choose(weight[v], S::zero(), v);
            product[v] = seen.choose(S::mul(weight[v], scales[v]), S::zero(), v);
          }
        }
        F sum = weight[0];
        I highest = S::magnitude(product[0]);
        S::store(scores, product[0]);
#pragma GCC unroll 8
        for (int v = 1; v < kVectors; ++v) {
          sum = S::add(sum, weight[v]);
          highest = S::max_int(highest, S::magnitude(product[v]));
          S::store(scores + v * S::kLanes, product[v]);
        }
        parts[p] = sum;
        most[p] = highest;
      }
    }
    const F highest = S::as_values(S::highest_ints_of(most));
    S::store(inverses_, S::where_above(highest, Base::kLeast,
                                       S::div(S::set(kMostLongCode), highest)));
    S::store(weight_scales_, S::div(highest, S::set(kMostLongCode)));
    const F sums = S::sums_of(parts);
    for (int lane = 0; lane < pairs_; lane += count_) {
      total_ = S::add(S::mul(total_, S::lanes_from(corrections_of_run_, lane, count_)),
                      S::lanes_from(sums, lane, count_));
    }
  }

  void mix_run() {
    each_tile<S::kCodeMixRows>([&](int64_t first, int64_t rows) {
      if (first == 0) {
        for (int b = 0; b < blocks_; ++b) {
          const std::byte* scales = run_[b].values + run_[b].values_ahead + kBlockTokens * width_;
          S::fetch(scales);
          S::fetch(scales + 64);
        }
        mix_rows<S::kCodeMixRows, From::kCacheAhead>(first, rows);
      } else {
        mix_rows<S::kCodeMixRows, From::kCache>(first, rows);
      }
    });
  }
  template <int kRows, From kFrom>
  void mix_rows(int64_t first, int64_t rows) {
    if (rows == kRows) {
      int64_t d = 0;
      constexpr int kMostVectors = S::kCodeMixVectors;
      for (; d + kMostVectors * S::kLanes <= width_; d += kMostVectors * S::kLanes) {
        mix_blocks<kRows, kMostVectors, kFrom>(first, d);
      }
      for (; d < width_; d += S::kLanes) mix_blocks<kRows, 1, kFrom>(first, d);
    } else if constexpr (kRows > 1) {
      mix_rows<kRows - 1, kFrom>(first, rows);
    }
  }
  template <int kRows, int kWidth, From kFrom>
  void mix_blocks(int64_t first, int64_t d) {
    F sums[kRows][kWidth];
    this->template load_sums<kRows, kWidth>(first, d, sums);
    for (int b = 0; b < blocks_; ++b) {
      const Block& block = run_[b];
      values_ahead_ = block.values_ahead;
      this->template add_values<kRows, kWidth, kFrom>(block.values, block.tokens,
                                                      b * count_ + first, d, sums);
    }
    this->template store_sums<kRows, kWidth>(first, d, sums);
  }

  const int count_;  // queries
  int blocks_ = 0;   // of the run
  int pairs_ = 0;    // p = block of the run * count_ + query
  Block run_[S::kLanes];
  F highest_;  // score of each query so far, kNone in lanes that are no query's
  F total_;    // weights of each query so far
  F corrections_of_run_;
};

}  // namespace mill::tensor
