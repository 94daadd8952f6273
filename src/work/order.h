// What a worker is asked for: token ids in, and how to choose the ids that come out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace mill::work {

// How the next token is chosen from the logits. The order of application: logit_bias and penalties, then temperature, then the
// filters (top_k, typical_p, top_p, min_p), then one draw. Reported logprobs are those of the model before any of it: log_softmax(logits).
struct Sampling {
  float temperature = 1.0F;        // 0 is greedy: the first of the highest logits
  float top_p = 1.0F;              // (0, 1]
  int32_t top_k = 0;               // 0: off
  float min_p = 0.0F;              // [0, 1]
  float typical_p = 1.0F;          // (0, 1], locally typical sampling (Meister et al. 2022); 1: off
  float repetition_penalty = 1.0F;  // (0, 10], divides positive and multiplies negative logits of tokens seen in prompt or answer (Keskar et al. 2019); 1: off
  float presence_penalty = 0.0F;   // [-2, 2], once per token id that was generated (OpenAI's formula)
  float frequency_penalty = 0.0F;  // [-2, 2], times how often it was generated
  uint64_t seed = 0;               // draw i of choice c is a function of (seed, c, i): see base/rng.h
  uint32_t choice = 0;             // which of the n answers to one prompt this is
  std::vector<std::pair<TokenId, float>> logit_bias;  // added to the logit, [-100, 100]
  std::optional<int32_t> top_logprobs;  // set: every Piece carries its logprob and this many (0..20) alternatives
};

// Whose cached prefixes an answer may use: those of its own salt alone.
struct CacheSalt {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const CacheSalt&, const CacheSalt&) = default;
};

// Bounds of Order::yield: what is beyond counts as its end.
inline constexpr Duration kLongestYield = std::chrono::minutes(10);
inline constexpr Duration kLongestHeadStart = std::chrono::seconds(10);

struct Order {
  RequestId id;
  std::vector<TokenId> prompt;  // not empty
  Sampling sampling;
  int32_t max_tokens = 0;            // at most this many are generated; 0 scores the prompt alone
  std::vector<TokenId> stop_tokens;  // generation ends with the first of them, which is counted and not delivered as text
  bool score_prompt = false;         // first deliver one Piece per prompt token, with its logprob given those before it
  Instant deadline = kNever;         // past it the answer ends with kDeadline
  int32_t priority = 0;              // higher goes first; equal ones in order of arrival
  // Goes behind those who arrive up to so much later; negative: ahead of those who came up to so much earlier. A matter of fair
  // shares alone: no client has a say in it. -kLongestHeadStart … kLongestYield
  Duration yield{};
  uint64_t tenant = 0;               // whose: what yields makes room for other tenants' answers, not for its own
  CacheSalt cache_salt;              // of the tenant
  bool speculate = true;             // tokens may be guessed and verified; the answer is the same with and without
};

}  // namespace mill::work
