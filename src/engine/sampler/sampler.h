// From logits to tokens, on all compute threads: rows are shared over them, and one row is one
// thread's. What a row gives depends on the row, its Sampling and the position alone: not on the
// batch, the threads, or a preemption in between.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/sampler/candidates.h"
#include "tensor/thread_pool.h"
#include "work/event.h"
#include "work/order.h"

namespace mill::engine {

// One row and what is wanted of it; the results are filled in by Sampler::run.
struct Draw {
  std::span<const float> logits;             // [vocabulary], not empty
  const work::Sampling* sampling = nullptr;  // not null
  std::span<const TokenId> prompt;           // for the penalties alone
  std::span<const TokenId> answer;           // the tokens of it before this one, likewise
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
