// Calendar text and the nanoseconds of the books: RFC 3339 in and out, days, months.
//
// The books count time as int64 nanoseconds since 1970-01-01T00:00:00Z without leap seconds (POSIX
// time), which reaches from 1678 to 2262. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::maas {

inline constexpr int64_t kNanosPerSecond = 1'000'000'000;
inline constexpr int64_t kNanosPerMinute = 60 * kNanosPerSecond;
inline constexpr int64_t kNanosPerHour = 60 * kNanosPerMinute;
inline constexpr int64_t kNanosPerDay = 24 * kNanosPerHour;

// "2026-12-01", "2026-12-01T00:00:00Z", "2026-12-01T08:00:00+08:00", with up to nine decimals of a
// second. A date alone is its first instant in UTC. Fails with kInvalid; `param` is the field's
// name as given.
Result<int64_t> parse_instant(std::string_view text, std::string_view field);

// "2026-10-01". Fails with kInvalid like parse_instant.
Result<std::chrono::sys_days> parse_date(std::string_view text, std::string_view field);

// "2026-12", as the first instants of that month and of the next one.
struct Month {
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  std::string name;  // "2026-12"
};
Result<Month> parse_month(std::string_view text, std::string_view field);

// "2026-12-01T00:00:00Z"; decimals of a second only where there are any, nine of them.
std::string format_instant(int64_t at_ns);
// "2026-12-01", the day in UTC.
std::string format_date(int64_t at_ns);

// Rounds toward the past: before 1970 too.
constexpr int64_t floor_to(int64_t at_ns, int64_t width_ns) {
  const int64_t rest = at_ns % width_ns;
  return at_ns - (rest < 0 ? rest + width_ns : rest);
}

}  // namespace mill::maas
