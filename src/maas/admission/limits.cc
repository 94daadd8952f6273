#include "maas/admission/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace mill::maas {
namespace {

constexpr std::string_view kMeterNames[kMeterCount] = {"requests_per_minute",
                                                       "requests_per_day",
                                                       "input_tokens_per_minute",
                                                       "uncached_tokens_per_minute",
                                                       "output_tokens_per_minute",
                                                       "concurrent_requests",
                                                       "daily_budget",
                                                       "monthly_budget"};
constexpr std::string_view kLevelNames[kLevelCount] = {"key", "project and model", "project",
                                                       "organization"};

std::string amount(const Refusal& refusal, int64_t value) {
  if (refusal.meter != Meter::kDailyBudget && refusal.meter != Meter::kMonthlyBudget) {
    return std::to_string(value);
  }
  return ledger::format_amount(value) + " " + ledger::to_string(refusal.currency);
}

}  // namespace

std::string_view name(Meter meter) {
  return kMeterNames[static_cast<size_t>(meter)];
}
std::string_view name(Level level) {
  return kLevelNames[static_cast<size_t>(level)];
}

std::optional<int64_t> Limits::of(Meter meter) const {
  switch (meter) {
    case Meter::kRequestsPerMinute:
      return requests_per_minute;
    case Meter::kRequestsPerDay:
      return requests_per_day;
    case Meter::kInputTokensPerMinute:
      return input_tokens_per_minute;
    case Meter::kUncachedTokensPerMinute:
      return uncached_tokens_per_minute;
    case Meter::kOutputTokensPerMinute:
      return output_tokens_per_minute;
    case Meter::kConcurrentRequests:
      return concurrent_requests;
    case Meter::kDailyBudget:
      return daily_budget;
    case Meter::kMonthlyBudget:
      return monthly_budget;
  }
  return std::nullopt;
}

Status check(const Limits& limits) {
  for (size_t i = 0; i < kMeterCount; ++i) {
    const auto meter = static_cast<Meter>(i);
    const std::optional<int64_t> limit = limits.of(meter);
    const bool money = meter == Meter::kDailyBudget || meter == Meter::kMonthlyBudget;
    if (!limit) continue;
    const std::string field(name(meter));
    if (*limit < 0) return fail(Code::kInvalid, field + " must not be negative", field);
    if (!money && *limit > kMostLimit) {
      return fail(Code::kInvalid, fmt::format("{} must be at most {}", field, kMostLimit), field);
    }
    if (money && !ledger::is_valid(limits.budget_currency)) {
      return fail(Code::kInvalid, field + " needs a currency", "budget_currency");
    }
  }
  return {};
}

std::string Refusal::sentence() const {
  const std::string again = go_duration(retry_after);
  if (meter == Meter::kConcurrentRequests) {
    return fmt::format("{} of {} concurrent requests of this {} are running; try again in {}", used,
                       limit, name(level), again);
  }
  return fmt::format("limit {} of this {}: {} of {} used, {} wanted; try again in {}", name(meter),
                     name(level), amount(*this, used), amount(*this, limit), amount(*this, wanted),
                     again);
}

std::string go_duration(Duration duration) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const int64_t ms = std::max<int64_t>(duration_cast<milliseconds>(duration).count(), 0);
  if (ms == 0) return "0s";
  if (ms < 1000) return fmt::format("{}ms", ms);
  const int64_t hours = ms / 3'600'000, minutes = ms / 60'000 % 60;
  std::string seconds = fmt::format("{}", ms / 1000 % 60);
  if (ms % 1000 != 0) {
    std::string part = fmt::format(".{:03}", ms % 1000);
    part.erase(part.find_last_not_of('0') + 1);
    seconds += part;
  }
  if (hours > 0) return fmt::format("{}h{}m{}s", hours, minutes, seconds);
  if (minutes > 0) return fmt::format("{}m{}s", minutes, seconds);
  return seconds + "s";
}

}  // namespace mill::maas
