// What comes back from a worker. Every stream is Piece* Finished; Finished comes exactly once, also after cancel or fault.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace mill::work {

struct TokenLogprob {
  TokenId token = kNoToken;
  float logprob = 0.0F;  // natural logarithm
};

struct Piece {
  TokenId token = kNoToken;
  bool of_prompt = false;         // a scored prompt token (Order::score_prompt), not an answer's
  std::optional<float> logprob;   // set when asked for; never for the first token of a scored prompt
  std::vector<TokenLogprob> top;  // the most likely tokens at this place, best first
};

enum class FinishReason { kStop, kLength, kCancelled, kDeadline, kFault };
std::string_view name(FinishReason reason);  // "stop", "length", "cancelled", "deadline", "fault"

// The only count of tokens; nobody else counts. The parts of the prompt are disjoint: prompt = cached + computed.
struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;      // of the prompt, found in the prefix cache
  int64_t completion_tokens = 0;  // every token that was sampled, the stop token included
  int64_t accepted_drafts = 0;    // of the completion, guessed before they were sampled
  int64_t rejected_drafts = 0;    // guessed and computed in vain; not in completion_tokens
  Duration busy{};                // its part of the wall time of its steps: see busy_time.h
};

struct Finished {
  FinishReason reason = FinishReason::kStop;
  Usage usage;
  std::optional<Error> fault;  // set for kFault
};

using Event = std::variant<Piece, Finished>;

}  // namespace mill::work
