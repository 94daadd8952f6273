// How the wall time of a step is shared out among the answers in it.
//
// One pass over the weights serves all tokens of a step, so each answer gets the part that its tokens are of those that were
// computed: tokens of prompts and answers alike, guesses included, for whoever they were made (a wrong one is the answer's own
// cost). A token that is found in a cache takes no time. What is computed a second time, since the mill took an answer's blocks
// away in between or gave up a row of logits, is nobody's: the mill answers for it, as it does for idle time. The parts and the
// mill's own add up to the step, to the nanosecond.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace mill::work {

// Gives the parts of one step, one after the other. Rounded so that any number of them adds up to the exact sum, less than a
// nanosecond short. O(1), no allocation.
class TimeShares {
 public:
  // `tokens`: all that the step computed.  Requires: neither is negative.
  TimeShares(Duration whole, int64_t tokens) : whole_(whole.count()), tokens_(tokens) {
    MILL_CHECK(whole_ >= 0 && tokens_ >= 0);
  }

  // The part of the next `tokens`.  Requires: no more than are left.
  Duration next(int64_t tokens) {
    passed_ += tokens;
    MILL_CHECK(tokens >= 0 && passed_ <= tokens_);
    if (tokens_ == 0) return Duration::zero();
    const auto upto = static_cast<int64_t>(Wide(whole_) * passed_ / tokens_);
    return Duration(upto - std::exchange(given_, upto));
  }
  // What nobody was given so far.
  Duration left() const { return Duration(whole_ - given_); }

 private:
  __extension__ typedef __int128 Wide;

  const int64_t whole_, tokens_;
  int64_t passed_ = 0;
  int64_t given_ = 0;
};

// The time of all steps of all workers that share it, for whoever accounts for the machine. Any thread.
struct BusyProbe {
  std::atomic<int64_t> step_ns{0};
  void add(Duration step) { step_ns.fetch_add(step.count(), std::memory_order_relaxed); }
};

}  // namespace mill::work
