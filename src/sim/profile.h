// What a simulated model is like: how long its steps take, what it holds, and what goes wrong with
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace mill::sim {

// The time of a step in which so many sequences generate.
struct StepPoint {
  double sequences = 0;
  double seconds = 0;
};

// What is to go wrong, for tests of whoever keeps books on answers. Off by default.
//
// Two faults that one might wish for can't happen, as the types forbid them: a second Finished
// (TokenSink::finish ends the process on it, and the channel is closed behind the first) and a
// Finished without a Usage (it is a member, not an option: kMissing is the nearest, one that
// nobody has filled in).
struct Faults {
  enum class Kind {
    kNone,
    kFault,     // the answer ends with kFault after `after` tokens
    kHang,      // no token comes after `after` ones, until the reader or the deadline ends it
    kDie,       // the process is killed (SIGKILL) after `after` tokens
    kMissing,   // Usage as it is made: zeros, the prompt's too
    kZero,      // no completion tokens, whatever was delivered
    kNegative,  // both counts below zero
    kHuge,      // both counts at the end of int64
  };
  Kind kind = Kind::kNone;
  int64_t after = 0;  // tokens of the answer; for the first three
  int64_t every = 1;  // the answers hit: each so many-th one, the first of them included
};

struct Profile {
  double prefill_rate = 0;       // prompt tokens per second beside the steps; 0: they take no time
  std::vector<StepPoint> steps;  // rising, interpolated and prolonged; empty: no time at all
  int64_t context = 131072;      // tokens of prompt and answer
  int64_t answer_tokens = 64;    // then it ends by itself, where the order has a token for that
  std::string vocabulary;        // path of the model file whose tokenizer is used; "": a plain one
  Faults faults;

  bool takes_no_time() const { return prefill_rate == 0 && steps.empty(); }
  // Of a step that computes so many prompt tokens while so many sequences generate.
  double seconds_of(int64_t prompt_tokens, int64_t generating) const;
};

// Whether a model's name asks for a simulated one.
inline constexpr std::string_view kPrefix = "sim:";
inline bool is_sim(std::string_view model) {
  return model.starts_with(kPrefix);
}

// Reads what stands behind "sim:": a name and then changes to it, or changes alone (to `instant`):
//
//   instant | smollm2 | qwen-coder    the named ones; the latter by docs/performance.md
//   prefill=TOKENS_PER_SECOND   step=DURATION   per_sequence=DURATION
//   context=TOKENS   answer=TOKENS   vocabulary=PATH
//   fault=K | hang=K | die=K | usage=missing|zero|negative|huge      every=N
//
// as in `smollm2,answer=20` and `prefill=1800,step=7ms,per_sequence=0.2ms`. kInvalid, and which
// part it is.
Result<Profile> parse_profile(std::string_view text);

}  // namespace mill::sim
