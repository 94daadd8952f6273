// What one request may ask for at most.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mill::gateway {

struct RequestLimits {
  int json_depth = 32;   // nesting of the body
  int32_t choices = 16;  // n
  int32_t answers = 64;  // prompts × n of a batch of completions
  int32_t messages = 16384;
  int32_t stops = 16;
  size_t stop_bytes = 1024;  // of one stop string
  int32_t logit_biases = 1024;
  size_t cache_salt_bytes = 1024;
  int32_t prompt_tokens = 0;  // 0: what the model's context has room for
};

}  // namespace mill::gateway
