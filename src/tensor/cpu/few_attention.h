// Attention over 8-bit keys and values for few queries, as decoding has them: several blocks at a
// time. The f32 operations are those of code_attention.h in the same order, so a query has the same
// bits here and there.
//
// With few queries a block is short of work: between its products with keys and those with values
// lies a chain of steps that each wait for the one before (the highest score, the weights, the
// highest of them, codes). So a step is taken for all blocks of a run before the next: what there
// is one of for each query and block, a pair, has a lane of one vector. The highest scores so far
// are found from those of the blocks alone.
//
// Most of the time goes by until keys and values have come from memory. So the KV heads of a row
// are taken together, a run of blocks at a time, while the next run comes in the order of its
// bytes.
//
// Templates over the vector type of an instruction set that has queries in lanes; see kernels.h.
#pragma once

#include "tensor/cpu/code_attention.h"

namespace mill::tensor {

template <class S>
class FewAttention : private CodeAttention<S> {
 public:
  using F = typename S::F;
  using I = typename S::I;

  explicit FewAttention(const AttendCall& call)
      : CodeAttention<S>(call),
        groups_(static_cast<int>(call.kv_heads)),
        count_(static_cast<int>(queries_ / call.kv_heads)),
        head_bytes_((width_ + static_cast<int64_t>(sizeof(float))) * kBlockTokens),
        pair_lines_(lines_of_pair()) {}

  void run() {
    this->code_queries();
    for (int64_t i = 0; i < queries_ * width_; i += S::kLanes) S::store(sums_ + i, S::zero());
    for (int g = 0; g < groups_; ++g) {
      highest_[g] = S::set(Base::kNone);
      total_[g] = S::zero();
    }
    const int64_t last = this->last_block();
    const int64_t most = most_blocks();  // of a run
    int64_t block = this->first_block();
    for (int64_t runs = (last - block + most) / most; runs > 0; --runs) {
      const int64_t blocks = (last - block + runs) / runs;
      lay_out(block, static_cast<int>(blocks), last);
      if (block == this->first_block() && !call_.fetched) fetch_run();
      for (int g = 0; g < groups_; ++g) attend_run(g);
      block += blocks;
    }
    for (int g = 0; g < groups_; ++g) S::store(this->totals_ + g * count_, total_[g]);
    this->finish();
  }

 private:
  using Base = CodeAttention<S>;
  using Base::call_, Base::queries_, Base::width_, Base::sums_, Base::corrections_,
      Base::weight_scales_, Base::inverses_, Base::fetched_;
  using typename Base::From, typename Base::Seen, typename Base::Long;
  static constexpr int kVectors = Base::kVectors;
  static_assert(kMostFewQueries <= S::kLanes && kMostJoinedQueries + S::kLanes <= kMostQueries);

  struct Block {
    int64_t number, tokens;
    const std::byte *keys, *values;  // of the first KV head
    const std::byte* ahead;          // the keys of a later block of so many KV heads
    int64_t ahead_heads;
    bool all_seen;  // by all queries
  };

  int64_t most_blocks() const {
    const int64_t by_lanes = S::kLanes / count_;
    const int64_t by_bytes = kRunBytes / (2 * groups_ * head_bytes_);
    return by_bytes >= by_lanes ? by_lanes : by_bytes > 0 ? by_bytes : 1;
  }

  // The run of `blocks` blocks from `first` on. As many later ones are fetched meanwhile: of this
  // sequence, then of the next call.
  void lay_out(int64_t first, int blocks, int64_t last) {
    blocks_ = blocks;
    pairs_ = blocks * count_;
    part_ = 0;
    ahead_ = ahead_end_ = nullptr;
    for (int b = 0; b < blocks; ++b) {
      Block& block = run_[b];
      const int64_t number = first + b;
      block.number = number;
      block.tokens = this->tokens_of(number);
      block.keys = this->keys(number);
      block.values = this->values(number);
      block.all_seen = this->seen_of(0, number).to == kBlockTokens &&
                       this->seen_of(count_ - 1, number).from == 0;
      const int64_t later = number + blocks;
      block.ahead = block.keys;
      block.ahead_heads = groups_;
      if (later <= last) {
        block.ahead = this->keys(later);
      } else if (later - last - 1 < call_.next_count) {
        block.ahead =
            call_.kv->base + call_.kv->key_offset + call_.next_offset +
            static_cast<size_t>(call_.next_blocks[later - last - 1]) * call_.kv->block_bytes;
        block.ahead_heads = call_.next_kv_heads;
      }
    }
  }

  // Blocks come soonest from memory in the order of their bytes, whichever KV head reads them, and
  // when something is on its way at all times. take_lines gives the place of the next lines to
  // fetch; some too many, where a part ends between.
  const std::byte* take_lines(int64_t count) {
    if (ahead_ >= ahead_end_) next_part();
    const std::byte* at = ahead_;
    ahead_ += 64 * count;
    return at;
  }
  void fetch_lines(int64_t count) {
    const std::byte* at = take_lines(count);
    for (int64_t i = 0; i < count; ++i) S::fetch(at + 64 * i);
  }
  // The keys of a later block, then its values.
  void next_part() {
    const auto values = static_cast<int64_t>(call_.kv->value_offset - call_.kv->key_offset);
    if (part_ == 2 * blocks_) {
      ahead_ = run_[0].keys;  // of no use, and no harm
      return;
    }
    ahead_ = run_[part_ / 2].ahead + (part_ % 2 == 0 ? 0 : values);
    ahead_end_ = ahead_ + run_[part_ / 2].ahead_heads * head_bytes_;
    ++part_;
  }
  // What the products leave, in three loops over the pairs.
  int64_t lines_of_pair() const {
    constexpr int64_t kSteps = 4 * S::kCodeUnroll;
    const int64_t by_products =
        Base::template kFetchedAtOnce<2> * width_ / kSteps +
        Base::template kFetchedAtOnce<2> * (kBlockTokens / kSteps) * width_ / (2 * S::kLanes);
    const int64_t left = 2 * head_bytes_ / 64 - by_products;
    return left > 0 ? (left + 3 * count_ - 1) / (3 * count_) : 0;
  }
  // This run, at once: so it comes sooner than if each load waited for its own.
  void fetch_run() const {
    for (int b = 0; b < blocks_; ++b) {
      for (const std::byte* part : {run_[b].keys, run_[b].values}) {
        for (int64_t at = 0; at < groups_ * head_bytes_; at += 64) S::fetch(part + at);
      }
    }
  }
  void attend_run(int group) {
    for (int b = 0; b < blocks_; ++b) score_block(group, b);
    find_run_tops(group);
    weigh_run(group);
    const float* products = this->weights_of(0);
    for (int p = 0; p < pairs_; ++p, products += kBlockTokens) {
      F each[kVectors];
      fetch_lines(pair_lines_);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) each[v] = S::load(products + v * S::kLanes);
      Long::code_block(each, S::set(inverses_[p]), this->weight_code(p));
    }
    mix_run(group);
  }

  // Tiles of queries, of about the same size.
  template <int64_t kMostRows, class Visit>
  void each_tile(const Visit& visit) const {
    const int64_t tiles = (count_ + kMostRows - 1) / kMostRows;
    for (int64_t i = 0, first = 0; i < tiles; ++i) {
      const int64_t rows = (count_ - first + tiles - i - 1) / (tiles - i);
      visit(first, rows);
      first += rows;
    }
  }

  void score_block(int group, int b) {
    const Block& block = run_[b];
    const std::byte* keys = block.keys + group * head_bytes_;
    fetched_ = take_lines(Base::template kFetchedAtOnce<S::kCodeScoreVectors> * width_ /
                          (4 * S::kCodeUnroll));
    each_tile<S::kCodeScoreRows>([&](int64_t first, int64_t rows) {
      float* to = this->weights_of(b * count_ + first);
      const int64_t query = group * count_ + first;
      if (first == 0) {
        score_rows<S::kCodeScoreRows, From::kCacheInOrder>(keys, block.tokens, query, rows, to);
      } else {
        score_rows<S::kCodeScoreRows, From::kCache>(keys, block.tokens, query, rows, to);
      }
    });
  }
  template <int kRows, From kFrom>
  void score_rows(const std::byte* keys, int64_t tokens, int64_t query, int64_t rows, float* to) {
    if (rows == kRows) {
      const auto* scales = reinterpret_cast<const float*>(keys + kBlockTokens * width_);
      for (int v = 0; v * S::kLanes < tokens; v += S::kCodeScoreVectors) {
        this->template score<kRows, kFrom>(keys, scales, query, v, to);
      }
    } else if constexpr (kRows > 1) {
      score_rows<kRows - 1, kFrom>(keys, tokens, query, rows, to);
    }
  }

  void find_run_tops(int group) {
    F parts[S::kLanes];
    for (int p = pairs_; p < S::kLanes; ++p) parts[p] = S::set(Base::kNone);
    float* scores = this->weights_of(0);
    const float cap = call_.softcap;
    for (int b = 0, p = 0; b < blocks_; ++b) {
      const Block& block = run_[b];
      for (int i = 0; i < count_; ++i, ++p, scores += kBlockTokens) {
        F x[kVectors];
        fetch_lines(pair_lines_);
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
    F tops = S::max(highest_[group], S::highest_of(parts));
    for (int lanes = count_; lanes < pairs_; lanes *= 2) {
      tops = S::max(S::lanes_up(tops, lanes, S::set(Base::kNone)), tops);
    }
    corrections_of_run_ = exp2<S>(S::sub(S::lanes_up(tops, count_, highest_[group]), tops));
    S::store(corrections_, corrections_of_run_);
    S::store(this->tops_, tops);
    highest_[group] = S::choose_lanes(S::lanes_from(tops, pairs_ - count_, count_),
                                      S::set(Base::kNone), 0, count_);
  }

  // To the weights times the scales of the values.
  void weigh_run(int group) {
    F parts[S::kLanes];
    I most[S::kLanes];
    for (int p = pairs_; p < S::kLanes; ++p) parts[p] = S::zero(), most[p] = S::zero_int();
    float* scores = this->weights_of(0);
    const float* tops = this->tops_;
    for (int b = 0, p = 0; b < blocks_; ++b) {
      const Block& block = run_[b];
      const auto* value_scales = reinterpret_cast<const float*>(block.values + group * head_bytes_ +
                                                                kBlockTokens * width_);
      F scales[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) scales[v] = S::load(value_scales + v * S::kLanes);
      const bool all_seen = block.all_seen;
      for (int i = 0; i < count_; ++i, ++p, scores += kBlockTokens) {
        const Seen seen = all_seen ? Seen{} : this->seen_of(i, block.number);
        const F top = S::set(tops[p]);
        F weight[kVectors], product[kVectors];
        fetch_lines(pair_lines_);
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
    S::store(inverses_,
             S::where_above(highest, Base::kLeast, S::div(S::set(kMostLongCode), highest)));
    S::store(weight_scales_, S::div(highest, S::set(kMostLongCode)));
    const F sums = S::sums_of(parts);
    for (int lane = 0; lane < pairs_; lane += count_) {
      total_[group] =
          S::add(S::mul(total_[group], S::lanes_from(corrections_of_run_, lane, count_)),
                 S::lanes_from(sums, lane, count_));
    }
  }

  void mix_run(int group) {
    for (int b = 0; b < blocks_; ++b) {
      const std::byte* values = run_[b].values + group * head_bytes_;
      each_tile<S::kCodeMixRows>([&](int64_t first, int64_t rows) {
        const Weighed at = {b * count_ + first, group * count_ + first};
        if (first == 0) {
          mix_rows<S::kCodeMixRows, From::kCacheInOrder>(values, run_[b].tokens, at, rows);
        } else {
          mix_rows<S::kCodeMixRows, From::kCache>(values, run_[b].tokens, at, rows);
        }
      });
    }
  }
  // The weights of a tile, and whose sums they are for.
  struct Weighed {
    int64_t pair, query;
  };
  template <int kRows, From kFrom>
  void mix_rows(const std::byte* values, int64_t tokens, Weighed at, int64_t rows) {
    if (rows == kRows) {
      int64_t d = 0;
      constexpr int kMostVectors = S::kCodeMixVectors;
      for (; d + kMostVectors * S::kLanes <= width_; d += kMostVectors * S::kLanes) {
        mix_some<kRows, kMostVectors, kFrom>(values, tokens, at, d);
      }
      for (; d < width_; d += S::kLanes) mix_some<kRows, 1, kFrom>(values, tokens, at, d);
    } else if constexpr (kRows > 1) {
      mix_rows<kRows - 1, kFrom>(values, tokens, at, rows);
    }
  }
  template <int kRows, int kWidth, From kFrom>
  void mix_some(const std::byte* values, int64_t tokens, Weighed at, int64_t d) {
    if constexpr (kFrom == From::kCacheInOrder) {
      constexpr int64_t kTokens = 4 * S::kCodeUnroll;
      fetched_ =
          take_lines(Base::template kFetchedAtOnce<kWidth> * ((tokens + kTokens - 1) / kTokens));
    }
    this->template mix<kRows, kWidth, kFrom>(values, tokens, at.pair, at.query, d);
  }

  static constexpr int64_t kRunBytes = 192 * 1024;  // with as many fetched ahead, in a second level

  const int groups_;          // KV heads
  const int count_;           // queries of each
  const int64_t head_bytes_;  // of a block's keys (values) of one
  const int64_t pair_lines_;  // fetched in each loop over the pairs, for each of them
  int part_ = 0;              // of what is fetched in the run
  const std::byte* ahead_ = nullptr;
  const std::byte* ahead_end_ = nullptr;
  int blocks_ = 0;  // of the run
  int pairs_ = 0;   // p = block of the run * count_ + query
  Block run_[S::kLanes];
  // Of each KV head: the highest score of each query so far, kNone in lanes that are no query's,
  // and the sum of its weights.
  F highest_[kMostJoinedQueries];
  F total_[kMostJoinedQueries];
  F corrections_of_run_;
};

}  // namespace mill::tensor
