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
      : call_(call), queries_(call.rows * call.heads), width_(padded_head_dim(call.head_dim)) {
    float* room = call.scratch;
    sums_ = room, room += kMostQueries * width_;
    weights_ = room, room += kMostQueries * kBlockTokens;
    tops_ = room, room += kMostQueries;
    totals_ = room, room += kMostQueries;
    corrections_ = room, room += kMostQueries;
    rest_ = room;
  }

 protected:
  // Calls visit(block, keys, values, tokens) for the blocks that a query sees, in their order.
  template <class Visit>
  void each_block(const Visit& visit) {
    for (int64_t i = 0; i < queries_ * width_; i += S::kLanes) S::store(sums_ + i, S::zero());
    for (int64_t i = 0; i < queries_; ++i) tops_[i] = kNone, totals_[i] = 0;
    const int64_t end = call_.position + call_.rows;
    const int64_t last = (end - 1) / kBlockTokens;
    for (int64_t b = first_seen(0) / kBlockTokens; b <= last; ++b) {
      // More queries take longer than their next block takes to come by itself.
      if (b < last && queries_ <= kFetchQueries) fetch(b + 1);
      const int64_t tokens = end - b * kBlockTokens;
      visit(b, head(b) + call_.kv->key_offset, head(b) + call_.kv->value_offset,
            tokens < kBlockTokens ? tokens : kBlockTokens);
    }
  }

  const float* query(int64_t i) const {
    return call_.q + i / call_.heads * call_.q_stride + i % call_.heads * call_.head_dim;
  }

  // From the scores of one query with a block (in weights_) to weights, and what its sums so far
  // are to be scaled by. Calls take(v, weights, from, to) with each vector of them, of which lanes
  // [from, to) are seen and the others 0.
  template <class Take>
  void weigh(int64_t i, int64_t block, const Take& take) {
    const int64_t row = i / call_.heads;
    const int from = within_block(first_seen(row) - block * kBlockTokens);
    const int to = within_block(call_.position + row + 1 - block * kBlockTokens);
    F scores[kVectors];
    F top = S::set(tops_[i]);
    for (int v = 0; v < kVectors; ++v) {
      F score = S::mul(S::load(weights_of(i) + v * S::kLanes), S::set(call_.scale));
      if (call_.softcap > 0) score = soft_cap<S>(score, call_.softcap);
      scores[v] = S::choose_lanes(score, S::set(kNone), lanes_before(from, v), lanes_before(to, v));
      top = S::max(top, scores[v]);
    }
    const float highest = S::highest(top);
    F total = S::zero();
    for (int v = 0; v < kVectors; ++v) {
      const F weight = exp<S>(S::sub(scores[v], S::set(highest)));
      const F seen = S::choose_lanes(weight, S::zero(), lanes_before(from, v), lanes_before(to, v));
      take(v, seen, lanes_before(from, v), lanes_before(to, v));
      total = S::add(total, seen);
    }
    const F correction = exp<S>(S::set(tops_[i] - highest));
    S::store_part(corrections_ + i, correction, 1);
    totals_[i] = totals_[i] * corrections_[i] + S::sum(total);
    tops_[i] = highest;
  }

  float* weights_of(int64_t i) const { return weights_ + i * kBlockTokens; }

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
  float* sums_;          // [queries, width_] weighted values so far
  float* corrections_;   // [queries]
  float* rest_;          // of the scratch

 private:
  static constexpr float kNone = -1e30F;  // below any score
  static constexpr int64_t kFetchQueries = 16;

  const std::byte* head(int64_t block) const {
    return call_.kv->base + static_cast<size_t>(call_.blocks[block]) * call_.kv->block_bytes +
           call_.kv_offset;
  }
  void fetch(int64_t block) const {
    const auto bytes = static_cast<int64_t>(kv_head_bytes(call_.kv->type, call_.head_dim));
    const std::byte* keys = head(block) + call_.kv->key_offset;
    const std::byte* values = head(block) + call_.kv->value_offset;
    for (int64_t i = 0; i < bytes; i += 64) S::fetch(keys + i);
    for (int64_t i = 0; i < bytes; i += 64) S::fetch(values + i);
  }
  // The first position that query row r sees.
  int64_t first_seen(int64_t r) const {
    const int64_t first = call_.position + r - call_.window + 1;
    return call_.window > 0 && first > 0 ? first : 0;
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
};

}  // namespace mill::tensor
