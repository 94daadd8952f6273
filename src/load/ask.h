// One request of a load: what is asked, how much, and when. Prompts are recipes, so that a million
// requests cost no memory and every run of a seed asks the same.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace mill::load {

// A stretch of a prompt. Its tokens are a function of (seed, source, place within the stretch):
// prompts that have a source at the same place share those tokens.
struct Segment {
  uint32_t source = 0;
  int32_t tokens = 0;
};

// Sources from here on belong to one request alone; those below may be shared.
inline constexpr uint32_t kOwnSource = 1U << 31;

struct Ask {
  int64_t index = 0;
  Duration at{};                  // after the run's begin; closed loops pass it over
  std::vector<Segment> segments;  // the prompt, unless there is a text
  std::string text;               // a prompt in words, as it is
  int32_t output_tokens = 0;

  int64_t prompt_tokens() const {  // 0 for a text: nobody has counted it
    int64_t sum = 0;
    for (const Segment& segment : segments) sum += segment.tokens;
    return sum;
  }
};

// Gives the requests of a run one by one, in the order of `at`; nothing when there are no more.
using AskSource = std::function<std::optional<Ask>()>;

// Those of a list.
AskSource from_list(std::vector<Ask> asks);

}  // namespace mill::load
