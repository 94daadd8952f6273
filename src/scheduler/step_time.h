// How long a step takes, learned from the steps that were taken.
//
//   seconds = c0 + c1 * tokens + c2 * logit rows + c3 * reads + c4 * pairs + c5 * (any of a prompt)
//
// A read is one token of context that a slice goes through, a pair one token looking back at one
// token of its context. What a step takes for having any of a prompt, however little, is much where
// prompts go another way than answers (weights are expanded for them) and nothing elsewhere. The
// costs are the non-negative least squares over the recent steps, each weighed by its own length
// (so that short steps are predicted as well, relatively, as long ones); solved by a few sweeps of
// coordinate descent from the last solution. Steps in which everybody computes one token and the
// others fade apart, so that an hour of the former does not wash out what the latter taught; when
// the former become slower or faster than they were, because something else uses the machine, what
// is remembered of the others is taken to have changed alike. Pure: the caller measures.
#pragma once

#include <array>
#include <cstdint>

namespace mill::scheduler {

struct StepShape {
  int64_t slices = 0;
  int64_t tokens = 0;
  int64_t rows = 0;     // of logits
  int64_t reads = 0;    // sum over the slices of the position of their last token, plus 1
  int64_t pairs = 0;    // sum over the tokens of their position, plus 1
  int64_t prompts = 0;  // slices with tokens of a prompt

  // With a slice of `count` tokens from position `first`, and `rows` of logits.
  void add(int64_t first, int64_t count, int64_t more_rows, bool of_prompt = false);
};

class StepTime {
 public:
  // A step of this shape took so long. A time far above the prediction is taken for a disturbance
  // and counts as three times the prediction.
  void learn(const StepShape& shape, double seconds);

  // Whether it can tell what one more token costs: that takes steps of different shapes.
  bool known() const { return costs_[1] > 0.0; }

  double seconds(const StepShape& shape) const;

  // What a step takes for having any of a prompt.
  double prompt_seconds() const { return costs_[5]; }

  // How many tokens of one more sequence, from position `first`, without logits, fit into so many
  // more seconds, in a step that has some of a prompt.  Requires: known().
  int64_t tokens_within(double seconds, int64_t first) const;

 private:
  static constexpr int kTerms = 6;
  using Terms = std::array<double, kTerms>;
  struct Past {
    std::array<Terms, kTerms> products{};  // faded sums of w x x'
    Terms targets{};                       // faded sums of w x y
  };
  static Terms terms(const StepShape& shape);
  void solve();

  std::array<Past, 2> past_;  // of steps of one token each, and of the others
  Terms costs_{};             // seconds per term, of the scaled terms
  int64_t steps_ = 0;
};

}  // namespace mill::scheduler
