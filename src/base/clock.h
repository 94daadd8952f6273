// The only place that asks the time. Everything else takes an Instant as an argument, so that a test or the simulator can supply
// its own.
#pragma once

#include <chrono>
#include <cstdint>

namespace mill {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr Instant kNever = Instant::max();

Instant now();
// Seconds since 1970-01-01 UTC, for what people and wires read; never for measuring.
int64_t unix_seconds();
int64_t unix_nanoseconds();
double to_seconds(Duration duration);

}  // namespace mill
