// A request that was understood and checked: what the worker is to be asked, and how the answer is
// to look.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/model_directory.h"
#include "maas/catalog/rates.h"
#include "work/order.h"

namespace mill::gateway {

struct Prompt {
  std::vector<TokenId> ids;  // not empty
  std::string text;          // as the client gave it; only for `echo`
};

struct Call {
  ModelLease model;  // null: `absent` has to be loaded, and nothing else was read
  std::string absent;
  std::string asked;           // the model's name as the client wrote it: its id or an alias
  int32_t context_tokens = 0;  // of the model, or less where the price book says so
  int32_t most_output = 0;  // tokens of one answer, by the price book; 0: what the context leaves
  std::vector<Prompt> prompts;        // one, but for a batch of completions
  int32_t choices = 1;                // answers to each prompt
  work::Sampling sampling;            // of choice 0
  std::optional<int32_t> max_tokens;  // not set: as many as the context has room for
  std::vector<std::string> stops;
  bool ignore_end = false;  // goes on past the tokens that end an answer
  bool echo = false;        // the prompt comes first in the answer
  int32_t priority = 0;     // as of work::Order: higher goes first
  work::CacheSalt salt;     // of the caches of prompts and of their tokens
  bool speculate = true;
  std::optional<maas::Tier> tier;  // the client's wish; none: its project's
  bool stream = false;
  bool include_usage = false;  // of a stream

  // What one answer to `prompt` may have at most.
  int32_t room(const Prompt& prompt) const;
  int64_t prompt_tokens() const;  // of all prompts
  int64_t output_tokens() const;  // of all answers, at most
  size_t answers() const { return prompts.size() * static_cast<size_t>(choices); }
};

// What a request brings besides its body.
struct Terms {
  RequestId id;
  Instant deadline = kNever;
};

// The orders for the worker, prompt by prompt, choice by choice. More than one get the request's id
// with "-0", "-1", … behind it.
std::vector<work::Order> orders_of(const Call& call, const Terms& terms);

}  // namespace mill::gateway
