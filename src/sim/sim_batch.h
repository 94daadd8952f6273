// The answers of a simulated model and its step, as engine::Batch has them, without arithmetic.
//
// Who runs next is simple: higher priorities first, equal ones by rank (arrival, later or earlier by
// Order::yield); all that runs and generates gets a token per step, prompts share what is left of
// the step's tokens in the same order. Memory never runs short (there is as much as max_running
// sequences of `context` tokens can use), so nothing is preempted; nothing is guessed ahead. Pure
// and single-threaded: no clock (time is an argument), no waiting.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "sim/prefix_memory.h"
#include "sim/profile.h"
#include "work/order.h"
#include "work/token_stream.h"
#include "work/worker.h"

namespace mill::sim {

struct BatchLimits {
  int64_t max_running = 32;
  int64_t step_tokens = 512;     // of one step, prompts and answers
  int64_t prefill_tokens = 256;  // of prompts in a step in which somebody generates
  bool prefix_cache = true;
};

// An order with what can be worked out about its prompt beforehand, on any thread.
struct Prepared {
  Prepared(work::Order of, bool prefix_cache);
  work::Order order;
  Instant rank{};  // among those of one priority, before their number
  int64_t prompt_tokens = 0;
  uint64_t digest = 0;
  std::vector<uint64_t> blocks;
};

class SimBatch {
 public:
  // `alphabet`: the tokens that answers are made of, not empty.
  SimBatch(const Profile& profile, const BatchLimits& limits, std::vector<TokenId> alphabet);

  // Takes charge of an answer; it ends in some step, or in end_all().
  void take(Prepared order, work::TokenSink sink);

  // Ends the answers whose reader has left or whose deadline has passed, and says how long the next
  // step takes; end_step() must follow. Nothing: there is nothing to compute (those that hang, if
  // any, wait for their reader).
  std::optional<Duration> begin_step(Instant now);
  // What was planned has been computed: tokens are delivered, endings are put by. The step's time
  // is its answers' Usage::busy, all of it (work/busy_time.h).
  void end_step();

  void end_all(work::FinishReason reason);
  // Lets the readers of the answers that have ended know; for when the owner's books are in order.
  void deliver_endings();

  int64_t size() const { return static_cast<int64_t>(waiting_.size() + running_.size()); }
  int64_t ended() const { return ended_; }  // answers, since the start
  work::Load load() const;                  // waiting: of those taken; no drain_seconds

 private:
  struct Answer {
    Prepared what;
    work::TokenSink sink;
    work::Usage usage;
    int64_t number = 0;      // of all that were taken
    int64_t computed = 0;    // of the prompt, or found in the cache
    int64_t scored = 0;      // of the prompt, delivered
    int64_t planned = 0;     // prompt tokens of the step in progress
    bool generates = false;  // in the step in progress
    bool hit = false;        // by the profile's fault
  };
  struct Place {
    int32_t priority;
    Instant rank;
    int64_t number;
    friend bool operator<(const Place& a, const Place& b) {
      return std::tuple(-int64_t{a.priority}, a.rank, a.number) <
             std::tuple(-int64_t{b.priority}, b.rank, b.number);
    }
  };
  using Line = std::vector<Answer>;

  bool hangs(const Answer& answer) const;
  void end_those_who_left(Line& line, Instant now);
  void admit();
  void plan();
  void share_out();
  bool advance(Answer& answer);
  void score_prompt(Answer& answer);
  bool generate(Answer& answer);
  void end(Answer& answer, work::FinishReason reason, std::optional<Error> fault = {});
  work::Usage reported(const Answer& answer) const;

  const Profile profile_;
  const BatchLimits limits_;
  const std::vector<TokenId> alphabet_;
  PrefixMemory prefixes_;
  Line waiting_;  // in order of Place
  Line running_;  // in order of Place
  std::vector<std::pair<work::TokenSink, work::Finished>> endings_;
  work::Load totals_;
  int64_t taken_ = 0;
  int64_t ended_ = 0;
  int64_t step_prompt_tokens_ = 0;
  int64_t step_generating_ = 0;
  Duration step_time_{};
};

}  // namespace mill::sim
