// Who is computed next. One rule: computed tokens catch up with tokens. There are no prefill and
// decode phases; a sequence that is one token behind is what the field calls decoding.
//
// All sequences stand in one line, in order of arrival: the first ones run (own blocks), the others
// wait. From that order follows what every test holds the planner to:
//   - the oldest sequence moves in every step, so everything ends (no starvation, no deadlock);
//   - when blocks run out the youngest running sequence gives its blocks back, goes to the head of
//     those that wait and is computed again later, with the same answer; nobody is aborted.
//
// A step is plan, forward, commit, then accept or finish. Pure and single-threaded: no clock (time
// is an argument), no I/O. O(1) per sequence and step, but for a sequence that leaves from the
// middle of the line; no allocation once the vectors have grown.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/result.h"
#include "scheduler/block_pool.h"
#include "scheduler/sequence.h"

namespace mill::scheduler {

struct PlannerLimits {
  int32_t blocks = 0;         // in the pool
  int32_t block_tokens = 32;  // tokens per block
  int32_t max_running = 64;   // sequences in one step
  int32_t max_waiting = 256;
  int32_t step_tokens = 512;     // of one step; at least max_running
  int32_t prefill_tokens = 256;  // of one step, when anyone in it decodes; at least 1
  int32_t logit_rows = 64;       // of one step; at least max_running
};

struct NewSequence {
  std::vector<TokenId> prompt;  // not empty
  int64_t max_tokens = 0;       // that will be generated
  bool score_prompt = false;    // logits are wanted for every token of the prompt
  Instant deadline = kNever;
};

// Consecutive tokens of one sequence to compute: tokens[first .. first + count).
struct Slice {
  SequenceId sequence = 0;
  int64_t first = 0;
  int64_t count = 0;
  int64_t logit_rows = 0;  // logits are wanted for the last so many of them
};

struct StepPlan {
  std::vector<Slice> slices;
  int64_t tokens = 0;      // sum of counts
  int64_t logit_rows = 0;  // sum of logit_rows
  bool empty() const { return slices.empty(); }
};

class StepPlanner {
 public:
  // Requires: limits as their comments say.
  explicit StepPlanner(const PlannerLimits& limits);

  // Puts a sequence at the end of the line.  Requires: there is something to compute, that is more
  // than one prompt token or max_tokens > 0; no plan waits for its commit. Fails: kTooLarge when
  // even the whole pool can't hold it, kOverloaded when max_running + max_waiting are in the line.
  Result<SequenceId> add(NewSequence call);

  // Those whose deadline is at or before `now`; valid until the next call. The caller finishes
  // them.
  std::span<const SequenceId> expired(Instant now);

  // The next step; valid until the next plan(). Empty only when there is no sequence. Takes blocks;
  // may preempt.
  const StepPlan& plan();

  // What was planned is now in the cache.  Requires: plan() was the last call.
  void commit();

  // Appends a sampled token.  Requires: the sequence runs, is computed up to its goal, and
  // generates.
  void accept(SequenceId id, TokenId token);

  // Takes a sequence out of the line, for whatever reason, and frees its blocks.
  // Requires: `id` is in the line; no plan waits for its commit.
  void finish(SequenceId id);

  // Requires: `id` is in the line.
  const Sequence& sequence(SequenceId id) const;
  std::span<const SequenceId> running() const { return running_; }  // oldest first
  const std::deque<SequenceId>& waiting() const { return waiting_; }
  int64_t size() const { return static_cast<int64_t>(running_.size() + waiting_.size()); }
  const BlockPool& pool() const { return pool_; }
  const PlannerLimits& limits() const { return limits_; }
  int64_t preemptions() const { return preemptions_; }

  // Tokens that a sequence may have for the whole pool to hold it.
  int64_t capacity_tokens() const { return int64_t{limits_.blocks} * limits_.block_tokens; }

  // Goes through all the books: every block is free or owned by exactly one running sequence, as
  // many as its tokens need; the line is in order of arrival. Fails with kInternal and what is
  // wrong. O(blocks + sequences).
  Status audit() const;

 private:
  Sequence& at(SequenceId id) { return table_[static_cast<size_t>(id)]; }
  const Sequence& at(SequenceId id) const { return table_[static_cast<size_t>(id)]; }
  int64_t blocks_for(int64_t tokens) const;
  int64_t give(SequenceId id, int64_t tokens, int64_t rows);
  bool make_room(SequenceId id);
  void preempt_youngest();
  bool admit_next();
  Status audit_blocks() const;

  const PlannerLimits limits_;
  BlockPool pool_;
  std::vector<Sequence> table_;      // grows to max_running + max_waiting at most
  std::vector<SequenceId> vacant_;   // places of the table, a stack
  std::vector<SequenceId> running_;  // in order of arrival
  std::deque<SequenceId> waiting_;   // in order of arrival, all behind those that run
  std::vector<SequenceId> expired_;
  StepPlan plan_;
  bool planned_ = false;    // a plan waits for its commit
  bool preempted_ = false;  // by this plan
  uint64_t arrivals_ = 0;
  int64_t preemptions_ = 0;
};

}  // namespace mill::scheduler
