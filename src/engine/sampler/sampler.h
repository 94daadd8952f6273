// From logits to tokens, on all compute threads: rows are shared over them, and one row is one
// thread's. What a row gives depends on the row, its Sampling and the position alone: not on the
// batch, the threads, or a preemption in between.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/sampler/candidates.h"
#include "tensor/thread_pool.h"
#include "work/event.h"
#include "work/order.h"

namespace mill::engine {

// How often each token was generated in one answer; only kept where a penalty asks for it.
using TokenCounts = std::unordered_map<TokenId, int32_t>;

// One row and what is wanted of it; the results are filled in by Sampler::run.
struct Draw {
  std::span<const float> logits;             // [vocabulary], not empty
  const work::Sampling* sampling = nullptr;  // not null
  const TokenCounts* counts = nullptr;       // null: none
  uint64_t position = 0;                     // how many tokens this answer already has
  TokenId given = kNoToken;  // set: nothing is drawn, the logprob of this token is wanted

  TokenId token = kNoToken;             // drawn, or `given`; kNoToken: the logits are not finite
  std::optional<float> logprob;         // when `given` or Sampling::top_logprobs is set
  std::vector<work::TokenLogprob> top;  // Sampling::top_logprobs many, best first
};

class Sampler {
 public:
  explicit Sampler(tensor::ThreadPool& pool);  // the pool must outlive it

  // Fills in all results. One call at a time.
  void run(std::span<Draw> draws);

 private:
  tensor::ThreadPool& pool_;
  std::vector<Scratch> scratch_;  // [threads]
};

// Whether a Sampling is within the bounds that work/order.h gives; fails with kInvalid and the
// field.
Status check_sampling(const work::Sampling& sampling, int64_t vocabulary);

}  // namespace mill::engine
