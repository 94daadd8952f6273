#include <fmt/format.h>

#include "maas/office/office.h"

namespace mill::maas {
namespace {

// The meters that acts set by name; budgets have acts of their own.
constexpr Meter kNamed[] = {Meter::kRequestsPerMinute,     Meter::kRequestsPerDay,
                            Meter::kInputTokensPerMinute,  Meter::kUncachedTokensPerMinute,
                            Meter::kOutputTokensPerMinute, Meter::kConcurrentRequests};

std::optional<int64_t>& field(Limits& limits, Meter meter) {
  switch (meter) {
    case Meter::kRequestsPerMinute:
      return limits.requests_per_minute;
    case Meter::kRequestsPerDay:
      return limits.requests_per_day;
    case Meter::kInputTokensPerMinute:
      return limits.input_tokens_per_minute;
    case Meter::kUncachedTokensPerMinute:
      return limits.uncached_tokens_per_minute;
    case Meter::kOutputTokensPerMinute:
      return limits.output_tokens_per_minute;
    case Meter::kDailyBudget:
      return limits.daily_budget;
    case Meter::kMonthlyBudget:
      return limits.monthly_budget;
    case Meter::kConcurrentRequests:
      break;
  }
  return limits.concurrent_requests;
}

LimitScope limit_scope(const Scope& scope) {
  switch (scope.level) {
    case Level::kKey:
      return {.key = scope.id};
    case Level::kProjectModel:
    case Level::kProject:
      return {.project = scope.id, .model = scope.model};
    case Level::kOrganization:
      break;
  }
  return {.org = scope.id};
}

}  // namespace

Result<Meter> parse_rate(std::string_view text) {
  std::string known;
  for (const Meter meter : kNamed) {
    if (name(meter) == text) return meter;
    known += (known.empty() ? "" : ", ") + std::string(name(meter));
  }
  return fail(Code::kInvalid,
              fmt::format("there is no limit '{}'; there are {}", text.substr(0, 64), known),
              "limit");
}

Result<Scope> scope_of(const LimitScope& scope) {
  if (!scope.model.empty() && (scope.key != 0 || scope.project == 0))
    return fail(Code::kInvalid, "a limit of a model is one of a project", "scope");
  if (scope.key != 0) return Scope{Level::kKey, scope.key, {}};
  if (scope.project != 0 && !scope.model.empty())
    return Scope{Level::kProjectModel, scope.project, scope.model};
  if (scope.project != 0) return Scope{Level::kProject, scope.project, {}};
  if (scope.org != 0) return Scope{Level::kOrganization, scope.org, {}};
  return fail(Code::kInvalid, "a limit is one of a key, a project or an organization", "scope");
}

Limits limits_of(const Directory& directory, const Scope& scope) {
  Limits limits;
  // An act names the narrowest thing, and may name what is above it too.
  for (const auto& [place, value] : directory.limits()) {
    const auto of = scope_of(place.first);
    const auto meter = parse_rate(place.second);
    if (of && meter && *of == scope) field(limits, *meter) = value;
  }
  const LimitScope at = limit_scope(scope);
  if (scope.level != Level::kProject && scope.level != Level::kOrganization) return limits;
  for (const auto& [key, amount] : directory.spend_limits()) {
    const bool here = scope.level == Level::kProject ? key.project == at.project
                                                     : key.project == 0 && key.org == at.org;
    if (!here) continue;
    limits.budget_currency = key.currency;
    field(limits, key.period == Period::kDay ? Meter::kDailyBudget : Meter::kMonthlyBudget) =
        amount;
  }
  return limits;
}

}  // namespace mill::maas
