// Guesses of what an answer says next, for speculative decoding (Leviathan et al., "Fast inference
// from transformers via speculative decoding", 2023): the batch computes the guessed tokens
// together with the last one and keeps those that it would have sampled anyway. An answer is
// therefore the same with and without; only how many steps it takes depends on the guesses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.h"

namespace mill::engine {

// One per answer; used by the step thread alone.
class Drafter {
 public:
  virtual ~Drafter() = default;

  // Replaces `draft` by tokens that may follow `tokens` (prompt and answer so far), `most` at the
  // most; by none when a guess would not pay. From call to call `tokens` only grows at its end.
  virtual void propose(std::span<const TokenId> tokens, int64_t most,
                       std::vector<TokenId>& draft) = 0;

  // How the last guess fared: so many tokens of it were computed, the first so many of these were
  // right.  Requires: 0 <= accepted <= computed.
  virtual void learn(int64_t computed, int64_t accepted) = 0;
};

// Makes the drafter of a new answer; empty: nothing is guessed.
using DrafterFactory = std::function<std::unique_ptr<Drafter>()>;

}  // namespace mill::engine
