// One model at work: the Worker of this process. Orders come in from any thread, a thread of its
// own takes the steps, events go out on the orders' streams.
//
// The step thread sleeps while there is nothing to do. Several engines may share one ThreadPool;
// their steps then take turns (turnstile.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "engine/batch.h"
#include "engine/forward.h"
#include "engine/turnstile.h"
#include "scheduler/drain_rate.h"
#include "tensor/thread_pool.h"
#include "work/busy_time.h"
#include "work/intake.h"
#include "work/worker.h"

namespace mill::engine {

struct EngineOptions {
  size_t kv_bytes = 0;     // for the KV cache; 0: half of free_bytes
  size_t free_bytes = 0;   // what the machine and its cgroup have left, weights already loaded
  int64_t context = 0;     // tokens of one sequence at most; 0: as many as the model was made for
  int32_t max_batch = 64;  // sequences in one step, at most DecoderLimits::logit_rows
  int32_t queue = 256;     // orders that may wait behind them
  int32_t step_tokens =
      512;  // of one step, at most DecoderLimits::batch_tokens, at least max_batch
  int32_t prefill_chunk =
      256;                   // prompt tokens of a step in which others generate, so that they go on
  Duration itl_target{};     // of a step in which others generate; as in PlannerLimits,
  Duration ttft_target{};    // like this one
  bool prefix_cache = true;  // prompts that begin alike are computed once
  DrafterFactory drafters;   // for speculation; empty: none
  std::shared_ptr<TurnLane> turns;  // of this engine alone, for each step; null: it has the cores
  std::shared_ptr<work::BusyProbe> busy;  // is told of each step's time; null: nobody asks
};

class Engine final : public work::Worker {
 public:
  // Reserves the KV cache (no more than max_batch sequences of `context` tokens can use) and starts
  // the step thread. `pool` must outlive the engine. Fails: kInvalid (an option out of bounds, or
  // kv_bytes too small for one block; `param` names it), kOverloaded (no memory for the KV cache).
  static Result<std::unique_ptr<Engine>> start(std::unique_ptr<Forward> forward,
                                               tensor::ThreadPool& pool,
                                               const EngineOptions& options);

  // Ends what still runs or waits with kCancelled.
  ~Engine() override;

  // As Worker::submit; besides kInvalid for a Sampling out of bounds. Every stream gets exactly one
  // Finished. A reader that has seen it finds its place free and load() up to date.
  Result<work::TokenStream> submit(work::Order order) override;
  work::Load load() const override;

  // Tokens that prompt and answer of one order may have together: the model's context, the
  // option's, or what the KV cache holds, whichever is least.
  int64_t context_tokens() const { return context_; }
  int64_t vocabulary() const { return vocabulary_; }

  // From now on submit fails with kOverloaded; what was accepted goes on.
  void close_intake() { intake_.close(); }
  // Closes the intake and waits until every accepted answer has ended, or until `deadline`. Whether
  // they have; those that have not go on until the engine is destroyed.
  bool drain(Instant deadline) { return intake_.drain(deadline); }

 private:
  Engine(std::unique_ptr<Forward> forward, KvStore kv, tensor::ThreadPool& pool,
         const scheduler::PlannerLimits& limits, int64_t context, const EngineOptions& options);
  void serve();
  bool wait_for_work();
  void settle();

  using Accepted = std::pair<work::Order, work::TokenSink>;

  const std::shared_ptr<TurnLane> turns_;  // the step thread's alone
  const std::shared_ptr<work::BusyProbe> busy_;
  const std::unique_ptr<Forward> forward_;
  const int64_t vocabulary_;
  const int64_t context_;
  const int64_t max_running_;
  Batch batch_;                 // the step thread's alone
  std::deque<Accepted> taken_;  // likewise
  int64_t ended_ = 0;           // likewise; answers, up to the last settle()
  Instant busy_since_{};        // likewise; since the last settle(), or since there was work again

  work::Intake<Accepted> intake_;  // its lock guards what follows
  work::Load load_;                // of the batch after the last step
  scheduler::DrainRate drain_;
  int64_t owed_ = 0;  // tokens of prompts and longest answers of those in flight

  std::thread thread_;  // last: runs on everything above
};

}  // namespace mill::engine
