// Causal attention over a paged cache, for a few queries that share their keys and values: what is
// the same for all types of the cache. Templates over the vector type of an instruction set; see
// kernels.h.
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
      : call_(call),
        queries_(call.rows * call.heads),
        width_(padded_head_dim(call.head_dim)),
        score_scale_(call.softcap > 0 ? call.scale : call.scale * kLog2E) {
    float* room = call.scratch;
    sums_ = room, room += kMostQueries * width_;
    weights_ = room, room += kMostQueries * kBlockTokens;
    tops_ = room, room += kMostQueries;
    totals_ = room, room += kMostQueries;
    corrections_ = room, room += kMostQueries;
    rest_ = room;
  }

 protected:
  // Calls visit(block, next, keys, values, tokens) for the blocks that a query sees, in their
  // order; the last block is its own next.
  template <class Visit>
  void each_block(const Visit& visit) {
    for (int64_t i = 0; i < queries_ * width_; i += S::kLanes) S::store(sums_ + i, S::zero());
    for (int64_t i = 0; i < queries_; ++i) tops_[i] = kNone, totals_[i] = 0;
    for (int64_t i = queries_; i % S::kLanes != 0; ++i) {  // lanes that are no query's
      tops_[i] = kNone, totals_[i] = 0;
      for (int v = 0; v < kVectors; ++v) S::store(weights_of(i) + v * S::kLanes, S::zero());
    }
    const int64_t last = last_block();
    for (int64_t b = first_block(); b <= last; ++b) {
      visit(b, b < last ? b + 1 : b, keys(b), values(b), tokens_of(b));
    }
  }

  // Of those that a query sees.
  int64_t first_block() const { return first_seen(0) / kBlockTokens; }
  int64_t last_block() const { return (call_.position + call_.rows - 1) / kBlockTokens; }
  int64_t tokens_of(int64_t block) const {
    const int64_t tokens = call_.position + call_.rows - block * kBlockTokens;
    return tokens < kBlockTokens ? tokens : kBlockTokens;
  }

  const std::byte* head(int64_t block) const {
    return call_.kv->base + static_cast<size_t>(call_.blocks[block]) * call_.kv->block_bytes +
           call_.kv_offset;
  }
  const std::byte* keys(int64_t block) const { return head(block) + call_.kv->key_offset; }
  const std::byte* values(int64_t block) const { return head(block) + call_.kv->value_offset; }

  const float* query(int64_t i) const {
    return call_.q + i / call_.heads * call_.q_stride + i % call_.heads * call_.head_dim;
  }

  // From the scores of the queries from `first` on with a block (in weights_, times score_scale_)
  // to the highest of each query so far, and what its sums so far are to be scaled by. What a query
  // does not see is left out.
  void find_tops(int64_t first, int64_t block) {
    for (int64_t i = first; i < queries_; ++i) {
      const Seen seen = seen_of(i, block);
      float* scores = weights_of(i);
      F top = S::set(tops_[i]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        F score = S::load(scores + v * S::kLanes);
        if (!seen.all() || call_.softcap > 0) {
          if (call_.softcap > 0) {
            score = S::mul(soft_cap<S>(score, call_.softcap), S::set(kLog2E));
          }
          score = seen.choose(score, S::set(kNone), v);
          S::store(scores + v * S::kLanes, score);
        }
        top = S::max(top, score);
      }
      const float highest = S::highest(top);
      corrections_[i] = tops_[i] - highest;
      tops_[i] = highest;
    }
    // Beyond the queries there is room, of which nothing is read.
    for (int64_t i = first; i < queries_; i += S::kLanes) {
      S::store(corrections_ + i, exp2<S>(S::load(corrections_ + i)));
    }
  }

  // How many queries are taken kLanes at a time, the last of its vectors with lanes that are no
  // query's; so few are quicker by themselves.
  int64_t queries_in_lanes() const {
    constexpr int64_t kFewest = 10;
    const int64_t left = queries_ % S::kLanes;
    return left < kFewest ? queries_ - left : queries_ - left + S::kLanes;
  }

  // find_tops for kLanes queries from `first` on: of what there is one of for each query, one
  // vector holds them all. score(i, v) is vector v of the scores of query first + i, which then lie
  // in weights_of(first + i).
  template <class Score>
  void find_tops_in_lanes(int64_t first, int64_t block, const Score& score) {
    if (call_.softcap > 0) {
      return find_seen_tops(first, block, [&](int i, int v) {
        return S::mul(soft_cap<S>(score(i, v), call_.softcap), S::set(kLog2E));
      });
    }
    find_seen_tops(first, block, score);
  }
  // And weigh for them; take(i, v, weights, keep) for query first + i.
  template <class Take>
  void weigh_lanes(int64_t first, int64_t block, const Take& take) {
    if (all_seen(first, block)) {
      weigh_lanes<true>(first, block, take);
    } else {
      weigh_lanes<false>(first, block, take);
    }
  }

  // After find_tops, the weights of one query: calls take(v, weights, keep) with each vector of
  // them. keep(x) is x where the query sees, else 0, as the weights are.
  template <class Take>
  void weigh(int64_t i, int64_t block, const Take& take) {
    const Seen seen = seen_of(i, block);
    if (seen.all()) return weigh(i, take, [](F x, int) { return x; });
    weigh(i, take, [seen](F x, int v) { return seen.choose(x, S::zero(), v); });
  }

  float* weights_of(int64_t i) const {
    return weights_ + i * kBlockTokens;
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
  // What a product of query and key is multiplied with: so a score is an exponent of 2, but for a
  // cap, which is of exponents of e.
  const float score_scale_;
  float* sums_;         // [queries, width_] weighted values so far
  float* corrections_;  // [queries]
  float* rest_;         // of the scratch

  // More queries take longer than their next block takes to come by itself.
  static constexpr int64_t kFetchQueries = 16;

  static constexpr float kNone = -1e30F;  // below any score
  static constexpr float kLog2E = 1.44269504F;

  // The first position that query row r sees.
  int64_t first_seen(int64_t r) const {
    const int64_t first = call_.position + r - call_.window + 1;
    return call_.window > 0 && first > 0 ? first : 0;
  }
  // The tokens [from, to) of a block.
  struct Seen {
    int from, to;

    bool all() const { return from == 0 && to == kBlockTokens; }
    // Vector v's lanes of a that are seen, the others of b.
    F choose(F a, F b, int v) const {
      return S::choose_lanes(a, b, lanes_before(from, v), lanes_before(to, v));
    }
  };
  Seen seen_of(int64_t i, int64_t block) const {
    const int64_t row = i / call_.heads;
    return {within_block(first_seen(row) - block * kBlockTokens),
            within_block(call_.position + row + 1 - block * kBlockTokens)};
  }
  static int within_block(int64_t token) {
    return static_cast<int>(token < 0 ? 0 : token > kBlockTokens ? kBlockTokens : token);
  }
  // How many lanes of vector v lie before `token` of the block.
  static int lanes_before(int token, int v) {
    const int lanes = token - v * S::kLanes;
    return lanes < 0 ? 0 : lanes > S::kLanes ? S::kLanes : lanes;
  }

  float* weights_;  // [queries, kBlockTokens] scores, then weights of one block
  float* tops_;     // [queries] highest score so far
  float* totals_;   // [queries] weights so far

 private:
  // Whether kLanes queries from `first` on see all of a block: later ones see more at its end, and
  // less at its begin.
  bool all_seen(int64_t first, int64_t block) const {
    return seen_of(first, block).to == kBlockTokens &&
           seen_of(first + S::kLanes - 1, block).from == 0;
  }

  template <class Score>
  void find_seen_tops(int64_t first, int64_t block, const Score& score) {
    if (all_seen(first, block)) {
      find_seen_tops<true>(first, block, score);
    } else {
      find_seen_tops<false>(first, block, score);
    }
  }
  // What is read again and again is in variables: a store of a vector may change any member.
  template <bool kAll, class Score>
  [[gnu::always_inline]] void find_seen_tops(int64_t first, int64_t block, Score score) {
    float* scores = weights_of(first);
    F parts[S::kLanes];
    for (int r = 0; r < S::kLanes; ++r, scores += kBlockTokens) {
      const Seen seen = kAll ? Seen{} : seen_of(first + r, block);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        F x = score(r, v);
        if constexpr (!kAll) x = seen.choose(x, S::set(kNone), v);
        S::store(scores + v * S::kLanes, x);
        parts[r] = v == 0 ? x : S::max(parts[r], x);
      }
    }
    const F before = S::load(tops_ + first);
    const F tops = S::max(before, S::highest_of(parts));
    S::store(tops_ + first, tops);
    S::store(corrections_ + first, exp2<S>(S::sub(before, tops)));
  }

  template <bool kAll, class Take>
  [[gnu::always_inline]] void weigh_lanes(int64_t first, int64_t block, const Take& take) {
    const float* scores = weights_of(first);
    const float* tops = tops_ + first;
    F parts[S::kLanes];
    for (int r = 0; r < S::kLanes; ++r, scores += kBlockTokens) {
      const Seen seen = kAll ? Seen{} : seen_of(first + r, block);
      const F top = S::set(tops[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const auto keep = [&](F x) { return kAll ? x : seen.choose(x, S::zero(), v); };
        const F weight = keep(exp2<S>(S::sub(S::load(scores + v * S::kLanes), top)));
        take(r, v, weight, keep);
        parts[r] = v == 0 ? weight : S::add(parts[r], weight);
      }
    }
    const F before = S::mul(S::load(totals_ + first), S::load(corrections_ + first));
    S::store(totals_ + first, S::add(before, S::sums_of(parts)));
  }

  template <class Take, class Keep>
  [[gnu::always_inline]] void weigh(int64_t i, const Take& take, const Keep& keep) {
    const F top = S::set(tops_[i]);
    F total = S::zero();
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const F score = S::load(weights_of(i) + v * S::kLanes);
      const F weight = keep(exp2<S>(S::sub(score, top)), v);
      take(v, weight, [&](F x) { return keep(x, v); });
      total = S::add(total, weight);
    }
    totals_[i] = totals_[i] * corrections_[i] + S::sum(total);
  }
};

}  // namespace mill::tensor
