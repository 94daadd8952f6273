// Loads that are made up: lengths from a distribution, arrivals from a process, all from one seed.
#pragma once

#include <cstdint>

#include "load/ask.h"
#include "load/lengths.h"

namespace mill::load {

struct Synthetic {
  Lengths prompt;
  Lengths output;
  int32_t shared_prefix =
      0;                    // tokens that all prompts begin with; each has at least one of its own
  int64_t requests = 0;     // 0: without end
  int64_t first_index = 0;  // of the first request; another range draws other lengths and prompts
  uint64_t seed = 1;
};
AskSource synthetic(const Synthetic& shape);

enum class Process { kPoisson, kEven };

struct Arrivals {
  double per_second = 1;  // above 0
  Process process = Process::kPoisson;
  uint64_t seed = 1;
};
// The same requests with `at` set: gaps drawn from an exponential distribution, or all alike.
AskSource arriving(AskSource asks, const Arrivals& arrivals);

// The same requests about other things: what two points of a sweep ask shares no prefix, so that
// the second doesn't live on what a server remembers of the first. `point`: 0 (as they are) to 31.
AskSource at_point(AskSource asks, uint32_t point);

}  // namespace mill::load
