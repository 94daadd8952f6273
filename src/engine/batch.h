// The answers in progress and the step that takes all of them on: plan, forward, sample, deliver.
//
// Single-threaded and without a clock: Engine (engine.h) calls it from its step thread, tests from
// wherever they like.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/drafter.h"
#include "engine/forward.h"
#include "engine/kv_store.h"
#include "engine/sampler/sampler.h"
#include "scheduler/step_planner.h"
#include "tensor/thread_pool.h"
#include "work/order.h"
#include "work/token_stream.h"
#include "work/worker.h"

namespace mill::engine {

class Batch {
 public:
  // `forward` and `pool` must outlive it; `drafters` may be empty: no speculation.
  // Requires: blocks and windows of `limits` are those of `kv` and `forward`, so is answers_apart,
  // limits.block_tokens == tensor::kBlockTokens, tokens and rows of a step within forward.limits().
  Batch(Forward& forward, KvStore kv, tensor::ThreadPool& pool,
        const scheduler::PlannerLimits& limits, DrafterFactory drafters = {});

  // Takes charge of an answer; it ends in some step(), or in end_all().  Requires: the order is
  // valid for this model, fits the pool, and there is a place (size() < max_running + max_waiting).
  void take(work::Order order, work::TokenSink sink, Instant now);

  // Ends the answers whose reader has left or whose deadline has passed, then computes one step.
  // Pieces are delivered at once, endings by deliver_endings(). False: there was nothing to
  // compute.
  bool step(Instant now);
  // How long the last step took, from its plan to the next, for the planner to learn from and for
  // Usage::busy of its answers (work/busy_time.h). To be called before deliver_endings(), else
  // nobody is told. Returns what nobody was busy with: tokens that were computed again.
  Duration measured(Duration took);

  // Ends all answers with this reason.
  void end_all(work::FinishReason reason);

  // Lets the readers of the answers that have ended know. Apart from step() so that the owner can
  // put its own books in order first: who reads Finished finds the place free again.
  void deliver_endings();

  int64_t size() const { return planner_.size(); }  // answers that have not ended
  int64_t ended() const { return ended_; }          // answers, since the start
  int64_t owed_tokens() const { return owed_; }     // prompts and longest answers of all those
  work::Load load() const;                          // waiting: of those taken; no drain_seconds
  Status audit() const { return planner_.audit(); }

 private:
  struct Answer {
    work::Order order;  // without its prompt, which the planner keeps
    work::TokenSink sink;
    work::Usage usage;
    std::unique_ptr<Drafter> drafter;  // null: no speculation
    int64_t scored = 0;                // tokens of the prompt that were delivered
    int64_t drafts = 0;                // of the step in progress: computed,
    int64_t right = 0;                 // and found to be right so far
    int64_t reached = 0;               // tokens computed so far, also if they were lost since
    std::optional<size_t> share;       // its place in shares_
  };
  // Of the step that is not yet measured.
  struct Share {
    scheduler::SequenceId id;
    int64_t tokens;                // computed for it, for the first time
    std::optional<size_t> ending;  // it has ended: its place in endings_
  };

  Answer& answer(scheduler::SequenceId id);
  void end_those_who_left(Instant now);
  void end(scheduler::SequenceId id, work::FinishReason reason, std::optional<Error> fault = {});
  void propose_drafts();
  std::span<const model::SequenceSlice> slices_of(const scheduler::StepPlan& plan);
  void ask(const scheduler::StepPlan& plan, tensor::ConstMatrix logits);
  void ask_slice(const scheduler::Slice& slice, std::vector<TokenId>& spare,
                 tensor::ConstMatrix logits);
  bool publish(scheduler::SequenceId id, Draw& draw);
  bool publish_scored(scheduler::SequenceId id, Draw& draw);
  bool publish_generated(scheduler::SequenceId id, Draw& draw);
  void settle_drafts(Answer& of);
  void note_shares(const scheduler::StepPlan& plan);
  void drop_shares();
  void fault(scheduler::SequenceId id);

  Forward& forward_;
  KvStore kv_;
  Sampler sampler_;
  scheduler::StepPlanner planner_;
  std::vector<std::optional<Answer>> answers_;  // by SequenceId
  std::vector<std::pair<work::TokenSink, work::Finished>> endings_;
  work::Load totals_;  // the counters; the rest of it is filled in by load()
  const DrafterFactory drafters_;
  int64_t ended_ = 0;
  int64_t owed_ = 0;
  std::vector<Share> shares_;
  int64_t step_tokens_ = 0;  // of the same step, those that were computed again included

  // Of one step, kept for their memory.
  std::vector<scheduler::SequenceId> left_;
  std::vector<model::SequenceSlice> slices_;
  std::vector<Draw> draws_;
  std::vector<scheduler::SequenceId> draw_of_;  // whose draws_[i] is
  std::vector<TokenId> drafts_;
  std::vector<std::vector<TokenId>> spare_;  // of a slice: its answer so far and the drafts
};

}  // namespace mill::engine
