// One answer in progress as the planner sees it: its tokens, how many of them are computed, and the
// blocks that hold what was computed.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "scheduler/siphash.h"

namespace mill::scheduler {

using BlockId = int32_t;
inline constexpr BlockId kNoBlock = -1;
using SequenceId = int32_t;  // a place in the planner's table; given again once its answer is over

struct Sequence {
  enum class State : uint8_t { kNone, kWaiting, kRunning };

  std::vector<TokenId> tokens;  // the prompt, then what was generated
  std::vector<BlockId> blocks;  // token p lies in blocks[p / block_tokens]; empty while waiting
  // The same for layers with a window, if there are such: as long as `blocks`, but the first `slid`
  // are kNoBlock: every token to come sees only what lies behind them.
  std::vector<BlockId> window_blocks;
  int64_t slid = 0;
  int64_t lent = 0;  // of window_blocks[0 .. lent) some were others' when it took them over
  int64_t prompt_tokens = 0;
  int64_t computed = 0;     // tokens[0 .. computed) are in the cache
  int64_t logits_from = 0;  // logits are wanted for the tokens from here on, up to the goal
  bool generates = true;    // false: the prompt is scored and nothing follows
  State state = State::kNone;

  int64_t cached_tokens = 0;  // of the prompt, found in the prefix cache and never computed for it
  int64_t prompt_seen = 0;    // of the prompt, the most that ever were in the cache

  uint64_t tenant = 0;
  uint64_t turn = 0;  // grows with every slice; of the last one of it

  // The place in the line: smaller ranks come first, among equals the earlier arrival.
  Instant rank{};
  uint64_t arrival = 0;  // grows with every sequence that was added
  Instant arrived{};
  Instant deadline = kNever;

  // The names of full blocks of `tokens` in the prefix index: of the whole prompt's, and of the
  // answer's as far as they were computed.
  std::vector<Hash128> chain;
  Hash128 root;  // what chain[0] builds on
  int64_t published =
      0;  // so many leading blocks were offered to the prefix index, or came from it

  // Drafts: guesses of the tokens behind the last one. drafts[0] is that last token itself, so that
  // what a step verifies lies in one piece; they are valid while there are `drafted_at` tokens.
  std::vector<TokenId> drafts;
  int64_t drafted_at = 0;
  int64_t ahead = 0;  // drafts that are in the cache behind `computed`, not confirmed yet
  int64_t taken = 0;  // drafts of the last step, confirmed, refused or open

  uint64_t saved_by = 0;  // the plan that has a copy of what it changes (StepPlanner::abort)

  // What `computed` is to catch up with. Nobody asks what follows the last token of a prompt that
  // is only scored.
  int64_t goal() const { return static_cast<int64_t>(tokens.size()) - (generates ? 0 : 1); }
  bool one_behind() const { return goal() - computed == 1; }
};

}  // namespace mill::scheduler
