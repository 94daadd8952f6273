// One answer in progress as the planner sees it: its tokens, how many of them are computed, and the
// blocks that hold what was computed.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace mill::scheduler {

using BlockId = int32_t;
using SequenceId = int32_t;  // a place in the planner's table; given again once its answer is over

struct Sequence {
  enum class State : uint8_t { kNone, kWaiting, kRunning };

  std::vector<TokenId> tokens;  // the prompt, then what was generated
  std::vector<BlockId> blocks;  // token p lies in blocks[p / block_tokens]; empty while waiting
  int64_t prompt_tokens = 0;
  int64_t computed = 0;     // tokens[0 .. computed) are in the cache
  int64_t logits_from = 0;  // logits are wanted for the tokens from here on, up to the goal
  bool generates = true;    // false: the prompt is scored and nothing follows
  uint64_t arrival = 0;     // grows with every sequence that was added
  Instant deadline = kNever;
  State state = State::kNone;

  // What `computed` is to catch up with. Nobody asks what follows the last token of a prompt that
  // is only scored.
  int64_t goal() const { return static_cast<int64_t>(tokens.size()) - (generates ? 0 : 1); }
};

}  // namespace mill::scheduler
