#include "maas/admission/admission.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <utility>

namespace mill::maas {
namespace {

constexpr int64_t kDayNs = int64_t{86'400} * 1'000'000'000;
constexpr Duration kConcurrencyHint = std::chrono::seconds(1);  // nobody knows when one ends

int64_t day_of(int64_t unix_ns) {
  return unix_ns / kDayNs - (unix_ns % kDayNs < 0 ? 1 : 0);
}
std::chrono::year_month month_at(int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return {date.year(), date.month()};
}
int64_t month_of(int64_t day) {
  const auto month = month_at(day);
  return int64_t{static_cast<int>(month.year())} * 12 + static_cast<unsigned>(month.month());
}
int64_t first_day_after(std::chrono::year_month month) {
  const std::chrono::sys_days next{(month + std::chrono::months(1)) / std::chrono::day(1)};
  return next.time_since_epoch().count();
}

double window_seconds(Meter meter) {
  return meter == Meter::kRequestsPerDay ? 86'400 : 60;
}

int64_t wanted_of(Meter meter, const Shape& shape) {
  switch (meter) {
    case Meter::kRequestsPerMinute:
    case Meter::kRequestsPerDay:
      return 1;
    case Meter::kInputTokensPerMinute:
    case Meter::kUncachedTokensPerMinute:
      return shape.prompt_tokens;
    default:
      return shape.output_tokens;
  }
}

int64_t used_of(Meter meter, const Taken& taken) {
  switch (meter) {
    case Meter::kRequestsPerMinute:
    case Meter::kRequestsPerDay:
      return 1;
    case Meter::kInputTokensPerMinute:
      return taken.prompt_tokens;
    case Meter::kUncachedTokensPerMinute:
      return std::max<int64_t>(taken.prompt_tokens - taken.cached_tokens, 0);
    default:
      return taken.output_tokens;
  }
}

Duration from_seconds(double seconds) {
  constexpr double kMost = 400.0 * 86'400;
  const double ns = std::ceil(std::clamp(seconds, 0.0, kMost) * 1e3) * 1e6;  // whole milliseconds
  return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(static_cast<int64_t>(ns)));
}

// A request larger than a whole allowance may go when the allowance is full, or it never could.
double taken_from(int64_t limit, int64_t wanted) {
  return static_cast<double>(std::min(wanted, limit));
}

}  // namespace

size_t Admission::ScopeHash::operator()(const Scope& scope) const {
  const size_t place = scope.id * 0x9E3779B97F4A7C15ull + static_cast<size_t>(scope.level);
  return place ^ (scope.model.empty() ? 0 : std::hash<std::string>{}(scope.model));
}

void Admission::set(const Scope& scope, const Limits& limits) {
  State& state = states_[scope];
  // A rate whose allowance changes goes on with the same part of it.
  for (size_t i = 0; i < kRateCount; ++i) {
    const auto meter = static_cast<Meter>(i);
    const auto before = state.limits.of(meter), after = limits.of(meter);
    Bucket& bucket = state.buckets[i];
    if (!after || !before || *before == 0) {
      bucket = {};
    } else if (bucket.begun) {
      bucket.left *= static_cast<double>(*after) / static_cast<double>(*before);
    }
  }
  state.limits = limits;
}

Limits Admission::limits(const Scope& scope) const {
  const auto found = states_.find(scope);
  return found == states_.end() ? Limits{} : found->second.limits;
}

std::array<Scope, kLevelCount> Admission::scopes_of(const ledger::Payer& payer,
                                                    const std::string& model) {
  return {Scope{Level::kKey, payer.key, {}}, Scope{Level::kProjectModel, payer.project, model},
          Scope{Level::kProject, payer.project, {}}, Scope{Level::kOrganization, payer.org, {}}};
}

Admission::Chain Admission::chain(const ledger::Payer& payer, const std::string& model) {
  Chain states{};
  size_t level = 0;
  // References into an unordered_map stay valid while it grows.
  for (Scope& scope : scopes_of(payer, model)) states[level++] = &states_[std::move(scope)];
  return states;
}

bool Admission::counts_money(const State& state, const Chain& states) {
  return &state != states[static_cast<size_t>(Level::kProjectModel)];
}

double Admission::refilled(State& state, Meter meter, int64_t limit, Instant now) {
  Bucket& bucket = state.buckets[static_cast<size_t>(meter)];
  const auto full = static_cast<double>(limit);
  if (!bucket.begun) {
    bucket = {full, now, true};
  } else if (now > bucket.at) {
    bucket.left += to_seconds(now - bucket.at) * full / window_seconds(meter);
    bucket.left = std::min(bucket.left, full);
    bucket.at = now;
  }
  return bucket.left;
}

Admission::Spending& Admission::spending(State& state, ledger::Currency currency, int64_t unix_ns) {
  auto found = std::find_if(state.spending.begin(), state.spending.end(),
                            [&](const Spending& each) { return each.currency == currency; });
  if (found == state.spending.end()) {
    state.spending.push_back({.currency = currency});
    found = std::prev(state.spending.end());
    found->day = day_of(unix_ns);
    found->month = month_of(found->day);
  }
  // A clock that was set back does not open a window again; one that had run ahead by more than a
  // day and was set right does not keep the window of a day that is yet to come.
  const int64_t day = day_of(unix_ns);
  if (day < found->day - 1) {
    found->day = day;
    found->month = month_of(day);
  }
  if (day > found->day) {
    found->day = day;
    found->today = 0;
    if (const int64_t month = month_of(day); month > found->month) {
      found->month = month;
      found->this_month = 0;
    }
  }
  return *found;
}

std::optional<Refusal> Admission::refuse_money(State& state, Level level, ledger::Currency currency,
                                               ledger::Nano wanted, Times now) {
  const bool budget = state.limits.daily_budget || state.limits.monthly_budget;
  if (!budget || state.limits.budget_currency != currency) return std::nullopt;
  const Spending& money = spending(state, currency, now.unix_ns);
  const auto over = [&](Meter meter, ledger::Nano limit, ledger::Nano so_far,
                        int64_t next_day) -> std::optional<Refusal> {
    const ledger::Wide used = ledger::Wide{so_far} + money.held;
    if (used + wanted <= limit) return std::nullopt;
    const double wait = static_cast<double>(next_day * kDayNs - now.unix_ns) * 1e-9;
    return Refusal{.meter = meter,
                   .level = level,
                   .limit = limit,
                   .used = static_cast<int64_t>(std::min<ledger::Wide>(used, INT64_MAX)),
                   .wanted = wanted,
                   .retry_after = from_seconds(wait),
                   .exhausted = true,
                   .currency = currency};
  };
  if (state.limits.daily_budget) {
    if (auto refusal =
            over(Meter::kDailyBudget, *state.limits.daily_budget, money.today, money.day + 1)) {
      return refusal;
    }
  }
  if (!state.limits.monthly_budget) return std::nullopt;
  return over(Meter::kMonthlyBudget, *state.limits.monthly_budget, money.this_month,
              first_day_after(month_at(money.day)));
}

std::optional<Refusal> Admission::refuse(State& state, Level level, const Shape& shape, Times now) {
  const Limits& limits = state.limits;
  if (limits.concurrent_requests && state.running >= *limits.concurrent_requests) {
    return Refusal{.meter = Meter::kConcurrentRequests,
                   .level = level,
                   .limit = *limits.concurrent_requests,
                   .used = state.running,
                   .wanted = 1,
                   .retry_after = kConcurrencyHint};
  }
  for (size_t i = 0; i < kRateCount; ++i) {
    const auto meter = static_cast<Meter>(i);
    const std::optional<int64_t> limit = limits.of(meter);
    if (!limit) continue;
    const int64_t wanted = wanted_of(meter, shape);
    if (wanted == 0) continue;
    const double left = refilled(state, meter, *limit, now.steady);
    const double missing = taken_from(*limit, wanted) - left;
    if (*limit > 0 && missing <= 0) continue;
    const double rate = static_cast<double>(*limit) / window_seconds(meter);
    return Refusal{.meter = meter,
                   .level = level,
                   .limit = *limit,
                   .used = *limit - static_cast<int64_t>(std::floor(left)),
                   .wanted = wanted,
                   .retry_after = from_seconds(*limit > 0 ? missing / rate : 86'400),
                   .exhausted = *limit == 0};
  }
  return refuse_money(state, level, shape.currency, shape.hold, now);
}

std::variant<Grant, Refusal> Admission::admit(const ledger::Payer& payer, const Shape& shape,
                                              Times now) {
  const Chain states = chain(payer, shape.model);
  for (size_t i = 0; i < kLevelCount; ++i) {
    if (auto refusal = refuse(*states[i], static_cast<Level>(i), shape, now)) return *refusal;
  }
  Grant grant{.payer = payer, .shape = shape};
  for (size_t level = 0; level < kLevelCount; ++level) {
    State& state = *states[level];
    for (size_t i = 0; i < kRateCount; ++i) {
      const auto meter = static_cast<Meter>(i);
      const std::optional<int64_t> limit = state.limits.of(meter);
      if (!limit) continue;
      const double taken = taken_from(*limit, wanted_of(meter, shape));
      refilled(state, meter, *limit, now.steady);
      state.buckets[i].left -= taken;
      grant.reserved[level][i] = {taken, *limit};
    }
    ++state.running;
    if (counts_money(state, states)) {
      spending(state, shape.currency, now.unix_ns).held += shape.hold;
    }
  }
  return grant;
}

std::optional<Refusal> Admission::extend(Grant& grant, ledger::Nano by, Times now) {
  const Chain states = chain(grant.payer, grant.shape.model);
  for (size_t i = 0; i < kLevelCount; ++i) {
    auto refusal = refuse_money(*states[i], static_cast<Level>(i), grant.shape.currency, by, now);
    if (refusal) return refusal;
  }
  for (State* state : states) {
    if (counts_money(*state, states)) {
      spending(*state, grant.shape.currency, now.unix_ns).held += by;
    }
  }
  grant.shape.hold += by;
  return std::nullopt;
}

void Admission::shrink(Grant& grant, ledger::Nano by, Times now) {
  const Chain states = chain(grant.payer, grant.shape.model);
  for (State* state : states) {
    if (counts_money(*state, states)) {
      spending(*state, grant.shape.currency, now.unix_ns).held -= by;
    }
  }
  grant.shape.hold -= by;
}

void Admission::give_back(const Grant& grant, const Taken& taken, bool began, Times now) {
  const Chain states = chain(grant.payer, grant.shape.model);
  for (size_t level = 0; level < kLevelCount; ++level) {
    State& state = *states[level];
    for (size_t i = 0; i < kRateCount; ++i) {
      const auto meter = static_cast<Meter>(i);
      const std::optional<int64_t> limit = state.limits.of(meter);
      const Grant::Reserved& was = grant.reserved[level][i];
      Bucket& bucket = state.buckets[i];
      if (!limit || !bucket.begun || was.limit == 0) continue;
      refilled(state, meter, *limit, now.steady);
      // set() has scaled what was left, and with it what was taken.
      const double scale = static_cast<double>(*limit) / static_cast<double>(was.limit);
      const double used = began ? static_cast<double>(used_of(meter, taken)) : 0;
      bucket.left =
          std::min(bucket.left + (was.taken - used) * scale, static_cast<double>(*limit));
    }
    --state.running;
    if (!counts_money(state, states)) continue;
    Spending& money = spending(state, grant.shape.currency, now.unix_ns);
    money.held -= grant.shape.hold;
    money.today += taken.charge;
    money.this_month += taken.charge;
  }
}

void Admission::finish(const Grant& grant, const Taken& taken, Times now) {
  give_back(grant, taken, true, now);
}

void Admission::undo(const Grant& grant, Times now) {
  give_back(grant, {}, false, now);
}

void Admission::spent(const ledger::Payer& payer, ledger::Currency currency, ledger::Nano amount,
                      int64_t at_ns) {
  const Scope scopes[] = {{Level::kKey, payer.key, {}},
                          {Level::kProject, payer.project, {}},
                          {Level::kOrganization, payer.org, {}}};
  for (const Scope& scope : scopes) {
    Spending& money = spending(states_[scope], currency, at_ns);
    if (day_of(at_ns) == money.day) money.today += amount;
    if (month_of(day_of(at_ns)) == money.month) money.this_month += amount;
  }
}

RateViews Admission::view(const ledger::Payer& payer, const std::string& model, Times now) {
  RateViews views;
  const auto consider = [&](State& state, Meter meter, std::optional<RateView>& scarcest) {
    const std::optional<int64_t> limit = state.limits.of(meter);
    if (!limit) return;
    const double left = std::max(refilled(state, meter, *limit, now.steady), 0.0);
    const double full = static_cast<double>(std::max<int64_t>(*limit, 1));
    const RateView made{
        .limit = *limit,
        .remaining = static_cast<int64_t>(std::floor(left)),
        .reset = from_seconds((static_cast<double>(*limit) - left) * window_seconds(meter) / full)};
    const auto part = [](const RateView& each) {
      return static_cast<double>(each.remaining) /
             static_cast<double>(std::max<int64_t>(each.limit, 1));
    };
    if (!scarcest || part(made) < part(*scarcest)) scarcest = made;
  };
  for (const Scope& scope : scopes_of(payer, model)) {
    const auto found = states_.find(scope);
    if (found == states_.end()) continue;
    State& state = found->second;
    consider(state, Meter::kRequestsPerMinute, views.requests);
    consider(state, Meter::kRequestsPerDay, views.requests);
    consider(state, Meter::kInputTokensPerMinute, views.tokens);
    consider(state, Meter::kUncachedTokensPerMinute, views.tokens);
    consider(state, Meter::kOutputTokensPerMinute, views.tokens);
  }
  return views;
}

Admission::Money Admission::money(const Scope& scope, ledger::Currency currency, int64_t unix_ns) {
  const auto found = states_.find(scope);
  if (found == states_.end()) return {};
  const Spending& money = spending(found->second, currency, unix_ns);
  return {money.today, money.this_month, money.held};
}

int64_t Admission::running(const Scope& scope) const {
  const auto found = states_.find(scope);
  return found == states_.end() ? 0 : found->second.running;
}

}  // namespace mill::maas
