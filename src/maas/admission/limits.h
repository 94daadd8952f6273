// What a key, a project or an organization may use, and how a request is measured against it.
//
// Rates are token buckets: they hold a minute's (a day's) allowance and refill evenly, so that
// there is no edge of a window at which everybody starts at once. Budgets are calendar days and
// months in UTC. Plain data; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "ledger/entry.h"
#include "ledger/money.h"

namespace mill::maas {

// What can run out. The names are those of refusals and of the admin API.
enum class Meter : uint8_t {
  kRequestsPerMinute,
  kRequestsPerDay,
  kInputTokensPerMinute,     // of prompts, cached ones too
  kUncachedTokensPerMinute,  // of prompts, without what the prefix cache had
  kOutputTokensPerMinute,
  kConcurrentRequests,
  kDailyBudget,
  kMonthlyBudget,
};
inline constexpr size_t kRateCount = 5;  // the first so many meters are rates
inline constexpr size_t kMeterCount = 8;
std::string_view name(Meter meter);  // "requests_per_minute", …

// The levels of a request's chain, from the narrowest.
enum class Level : uint8_t { kKey, kProjectModel, kProject, kOrganization };
inline constexpr size_t kLevelCount = 4;
std::string_view name(Level level);  // "key", "project and model", …

// Nothing: no limit. 0 lets nothing through.
struct Limits {
  std::optional<int64_t> requests_per_minute;
  std::optional<int64_t> requests_per_day;
  std::optional<int64_t> input_tokens_per_minute;
  std::optional<int64_t> uncached_tokens_per_minute;
  std::optional<int64_t> output_tokens_per_minute;
  std::optional<int64_t> concurrent_requests;
  ledger::Currency budget_currency;  // of both budgets
  std::optional<ledger::Nano> daily_budget;
  std::optional<ledger::Nano> monthly_budget;

  std::optional<int64_t> of(Meter meter) const;
  friend bool operator==(const Limits&, const Limits&) = default;
};
// kInvalid names the field: a negative number, one above kMostLimit, a budget without a currency.
Status check(const Limits& limits);
inline constexpr int64_t kMostLimit = int64_t{1} << 53;  // what JSON's numbers hold

// Both clocks: rates go by the steady one, which no administrator can set back; budgets by the
// calendar.
struct Times {
  Instant steady;
  int64_t unix_ns = 0;
};

// What a request wants, at most.
struct Shape {
  std::string model;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;  // at most, of all answers
  ledger::Currency currency;
  ledger::Nano hold = 0;  // what is reserved of the credit for it
};

// What it took.
struct Taken {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt
  int64_t output_tokens = 0;
  ledger::Nano charge = 0;
};

struct Refusal {
  Meter meter{};
  Level level{};
  int64_t limit = 0;
  int64_t used = 0;  // of the limit, reservations included
  int64_t wanted = 0;
  Duration retry_after{};
  bool exhausted = false;     // a budget: trying again before retry_after is of no use
  ledger::Currency currency;  // of budgets

  // One sentence for the client: which limit, how far, when again.
  std::string sentence() const;
};

// For the headers x-ratelimit-*: the limit of the chain of which the smallest part is left.
struct RateView {
  int64_t limit = 0;
  int64_t remaining = 0;
  Duration reset{};  // until it is full again
};
struct RateViews {
  std::optional<RateView> requests;
  std::optional<RateView> tokens;  // of input and output, whichever is scarcer
};

// As Go's time.Duration prints it, which clients parse: "12ms", "1.5s", "6m0s", "0s".
std::string go_duration(Duration duration);

}  // namespace mill::maas
