// What a simulated model says: a token is a function of the prompt, the seed and the place in the
// answer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "work/event.h"
#include "work/order.h"

namespace mill::sim {

// 64 bits of a prompt, the same for the same tokens; no secret in it.
uint64_t digest(std::span<const TokenId> prompt);

// Token number `position` of an answer, out of `alphabet`. As with a real model, a temperature of 0
// has one answer whatever the seed and the choice.  Requires: `alphabet` is not empty.
TokenId token_at(std::span<const TokenId> alphabet, uint64_t prompt_digest,
                 const work::Sampling& sampling, int64_t position);

// `token` as a Piece; where `sampling` asks for it, with a likelihood (all of the alphabet are
// equally likely) and so many alternatives.
work::Piece piece_of(std::span<const TokenId> alphabet, TokenId token,
                     const work::Sampling& sampling);

}  // namespace mill::sim
