#include "maas/admission/admission.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <random>
#include <string>

namespace mill::maas {
namespace {

using namespace ledger;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kNoon =
    int64_t{20'000} * 86'400 * 1'000'000'000 + int64_t{43'200} * 1'000'000'000;  // 2024-10-04
constexpr Currency kUsd = "USD"_currency;
const Payer kPayer{.org = 1, .project = 2, .key = 3};
const Scope kKey{Level::kKey, 3, {}}, kProject{Level::kProject, 2, {}},
    kOrg{Level::kOrganization, 1, {}};

Times at(double after) {
  return {Instant{} + std::chrono::hours(1) +
              std::chrono::duration_cast<Duration>(std::chrono::duration<double>(after)),
          kNoon + static_cast<int64_t>(after * 1e9)};
}
Shape shape(int64_t prompt = 10, int64_t output = 10, Nano hold = 100) {
  return {.model = "m",
          .prompt_tokens = prompt,
          .output_tokens = output,
          .currency = kUsd,
          .hold = hold};
}
bool granted(const std::variant<Grant, Refusal>& decision) {
  return decision.index() == 0;
}

TEST(Admission, WithoutLimitsAllIsGranted) {
  Admission admission;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(granted(admission.admit(kPayer, shape(), at(0))));
}

TEST(Admission, RequestsPerMinuteRefillEvenlyAndSayWhenAgain) {
  Admission admission;
  admission.set(kKey, {.requests_per_minute = 6});
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(granted(admission.admit(kPayer, shape(), at(0))));
  const auto refused = admission.admit(kPayer, shape(), at(4));
  ASSERT_FALSE(granted(refused));
  const auto& refusal = std::get<Refusal>(refused);
  EXPECT_EQ(refusal.meter, Meter::kRequestsPerMinute);
  EXPECT_EQ(refusal.level, Level::kKey);
  EXPECT_EQ(refusal.limit, 6);
  EXPECT_EQ(refusal.retry_after, seconds(6));
  EXPECT_FALSE(refusal.exhausted);
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(), at(9.9))));
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(), at(10.001))));
}

TEST(Admission, ARefusalByAnyLevelTakesNothingFromTheOthers) {
  Admission admission;
  admission.set(kKey, {.requests_per_minute = 100, .concurrent_requests = 50});
  admission.set(kOrg,
                {.input_tokens_per_minute = 15, .budget_currency = kUsd, .daily_budget = 1000});
  ASSERT_TRUE(granted(admission.admit(kPayer, shape(), at(0))));
  const RateViews before = admission.view(kPayer, "m", at(0));
  ASSERT_FALSE(granted(admission.admit(kPayer, shape(), at(0))));
  const RateViews after = admission.view(kPayer, "m", at(0));
  EXPECT_EQ(before.requests->remaining, after.requests->remaining);
  EXPECT_EQ(admission.running(kKey), 1);
  EXPECT_EQ(admission.money(kOrg, kUsd, kNoon).held, 100);
}

TEST(Admission, UnusedTokensComeBackAndCachedOnesAreNotFresh) {
  Admission admission;
  admission.set(kProject, {.uncached_tokens_per_minute = 1000, .output_tokens_per_minute = 1000});
  const auto decision = admission.admit(kPayer, shape(800, 900), at(0));
  ASSERT_TRUE(granted(decision));
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(300, 1), at(0))));
  admission.finish(std::get<Grant>(decision),
                   {.prompt_tokens = 800, .cached_tokens = 700, .output_tokens = 100}, at(0));
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(900, 900), at(0))));
}

TEST(Admission, ARequestLargerThanTheAllowanceGoesWhenItIsFullAndLeavesADebt) {
  Admission admission;
  admission.set(kKey, {.input_tokens_per_minute = 60});
  const auto decision = admission.admit(kPayer, shape(600), at(0));
  ASSERT_TRUE(granted(decision));
  admission.finish(std::get<Grant>(decision), {.prompt_tokens = 600}, at(1));
  const auto refused = admission.admit(kPayer, shape(1), at(60));
  ASSERT_FALSE(granted(refused));
  EXPECT_GT(std::get<Refusal>(refused).retry_after, seconds(400));
}

TEST(Admission, ConcurrencyCountsWhatRuns) {
  Admission admission;
  admission.set(kKey, {.concurrent_requests = 2});
  const auto first = admission.admit(kPayer, shape(), at(0));
  const auto second = admission.admit(kPayer, shape(), at(0));
  ASSERT_TRUE(granted(first) && granted(second));
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(), at(0))));
  admission.undo(std::get<Grant>(first), at(0));
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(), at(0))));
}

TEST(Admission, BudgetsEndTheDayAndTheMonth) {
  Admission admission;
  admission.set(kKey, {.budget_currency = kUsd, .daily_budget = 250, .monthly_budget = 400});
  for (int i = 0; i < 2; ++i) {
    const auto decision = admission.admit(kPayer, shape(), at(0));
    ASSERT_TRUE(granted(decision));
    admission.finish(std::get<Grant>(decision), {.charge = 90}, at(0));
  }
  const auto refused = admission.admit(kPayer, shape(), at(0));
  ASSERT_FALSE(granted(refused));
  EXPECT_EQ(std::get<Refusal>(refused).meter, Meter::kDailyBudget);
  EXPECT_EQ(std::get<Refusal>(refused).used, 180);
  EXPECT_TRUE(std::get<Refusal>(refused).exhausted);
  EXPECT_EQ(std::get<Refusal>(refused).retry_after, std::chrono::hours(12));
  const double tomorrow = 12 * 3600;
  const auto decision = admission.admit(kPayer, shape(), at(tomorrow));
  ASSERT_TRUE(granted(decision));
  admission.finish(std::get<Grant>(decision), {.charge = 90}, at(tomorrow));
  ASSERT_TRUE(granted(admission.admit(kPayer, shape(1, 1, 130), at(tomorrow))));
  const auto month = admission.admit(kPayer, shape(1, 1, 1), at(tomorrow));
  ASSERT_FALSE(granted(month));
  EXPECT_EQ(std::get<Refusal>(month).meter, Meter::kMonthlyBudget);
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(1, 1, 100), at(28.0 * 86'400))));
}

TEST(Admission, AClockThatIsSetBackOpensNoWindowAgain) {
  Admission admission;
  admission.set(kOrg, {.requests_per_minute = 1, .budget_currency = kUsd, .daily_budget = 100});
  const auto decision = admission.admit(kPayer, shape(), at(86'400));
  ASSERT_TRUE(granted(decision));
  admission.finish(std::get<Grant>(decision), {.charge = 100}, at(86'400));
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(), at(0))));
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(), {at(2 * 86'400).steady, kNoon})));
}

TEST(Admission, AClockThatRanAheadAndWasSetRightDoesNotLockTheBudget) {
  constexpr double kYear = 365 * 86'400.0;
  Admission admission;
  admission.set(kOrg, {.budget_currency = kUsd, .daily_budget = 100});
  const auto decision = admission.admit(kPayer, shape(), at(kYear));
  ASSERT_TRUE(granted(decision));
  admission.finish(std::get<Grant>(decision), {.charge = 100}, at(kYear));
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(), at(0))));  // opens no window
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(), at(86'400))));
  EXPECT_EQ(admission.money(kOrg, kUsd, at(86'400).unix_ns).this_month, 100);
}

TEST(Admission, ALimitThatIsLoweredWhileARequestRunsLeavesNoDebt) {
  Admission admission;
  admission.set(kKey, {.output_tokens_per_minute = 100'000});
  const auto decision = admission.admit(kPayer, shape(10, 50'000), at(0));
  ASSERT_TRUE(granted(decision));
  admission.set(kKey, {.output_tokens_per_minute = 1'000});
  admission.finish(std::get<Grant>(decision), {.output_tokens = 10'000}, at(0));
  // A tenth of the allowance was used, and nine tenths are left of the new one.
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(10, 900), at(0))));
}

TEST(Admission, LookingAtALimitMakesNoRoomForIt) {
  Admission admission;
  for (int i = 0; i < 100; ++i) admission.view(kPayer, "m" + std::to_string(i), at(0));
  EXPECT_EQ(admission.scopes(), 0u);
}

TEST(Admission, LoweredLimitsRefuseWhileMoreIsInUse) {
  Admission admission;
  std::vector<Grant> grants;
  for (int i = 0; i < 5; ++i)
    grants.push_back(std::get<Grant>(admission.admit(kPayer, shape(), at(0))));
  admission.set(kKey, {.concurrent_requests = 2, .budget_currency = kUsd, .daily_budget = 50});
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(1, 1, 0), at(0))));
  for (const Grant& grant : grants) admission.finish(grant, {.charge = 10}, at(0));
  const auto decision = admission.admit(kPayer, shape(1, 1, 1), at(0));
  ASSERT_FALSE(granted(decision));
  EXPECT_EQ(std::get<Refusal>(decision).meter, Meter::kDailyBudget);
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(1, 1, 0), at(0))));
}

TEST(Admission, ChargesOfTheJournalCountInTheirOwnDay) {
  Admission admission;
  admission.set(kKey, {.budget_currency = kUsd, .daily_budget = 100, .monthly_budget = 1000});
  admission.spent(kPayer, kUsd, 500, kNoon - int64_t{86'400} * 1'000'000'000);
  admission.spent(kPayer, kUsd, 40, kNoon);
  EXPECT_EQ(admission.money(kKey, kUsd, kNoon).today, 40);
  EXPECT_EQ(admission.money(kKey, kUsd, kNoon).this_month, 540);
  EXPECT_FALSE(granted(admission.admit(kPayer, shape(1, 1, 61), at(0))));
  EXPECT_TRUE(granted(admission.admit(kPayer, shape(1, 1, 60), at(0))));
}

TEST(Admission, ARunningRequestGetsMoreOnlyWithinTheBudget) {
  Admission admission;
  admission.set(kProject, {.budget_currency = kUsd, .daily_budget = 150});
  Grant grant = std::get<Grant>(admission.admit(kPayer, shape(), at(0)));
  EXPECT_FALSE(admission.extend(grant, 50, at(0)));
  EXPECT_TRUE(admission.extend(grant, 1, at(0)));
  EXPECT_EQ(grant.shape.hold, 150);
  admission.finish(grant, {.charge = 120}, at(0));
  EXPECT_EQ(admission.money(kProject, kUsd, kNoon).held, 0);
  EXPECT_EQ(admission.money(kProject, kUsd, kNoon).today, 120);
}

TEST(Admission, WrongLimitsAreNamed) {
  EXPECT_EQ(check({.requests_per_day = -1}).error().param, "requests_per_day");
  EXPECT_EQ(check({.output_tokens_per_minute = kMostLimit + 1}).error().param,
            "output_tokens_per_minute");
  EXPECT_EQ(check({.daily_budget = 5}).error().param, "budget_currency");
  EXPECT_TRUE(check({.budget_currency = kUsd, .daily_budget = 0}).has_value());
}

TEST(Limits, DurationsReadAsGoWritesThem) {
  EXPECT_EQ(go_duration(milliseconds(0)), "0s");
  EXPECT_EQ(go_duration(milliseconds(12)), "12ms");
  EXPECT_EQ(go_duration(milliseconds(1000)), "1s");
  EXPECT_EQ(go_duration(milliseconds(1500)), "1.5s");
  EXPECT_EQ(go_duration(milliseconds(59'999)), "59.999s");
  EXPECT_EQ(go_duration(milliseconds(360'000)), "6m0s");
  EXPECT_EQ(go_duration(milliseconds(3'600'000)), "1h0m0s");
  EXPECT_EQ(go_duration(milliseconds(90'061'001)), "25h1m1.001s");
}

// Random life of several tenants, against books kept the plain way: what is running and held is
// what was granted and not finished; what is spent is the sum of the charges of the day; no budget
// is ever exceeded by spent + held; a refusal is due.
TEST(Admission, RandomLifeKeepsTheBooks) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Admission admission;
  struct Open {
    Grant grant;
  };
  std::vector<Open> open;
  std::map<uint64_t, Nano> budget, spent;
  std::map<uint64_t, int64_t> most;
  double time = 0;
  int64_t today = 0;
  for (int step = 0; step < 20'000; ++step) {
    time += static_cast<double>(pick(0, 2000)) / 100;
    const int64_t day = at(time).unix_ns / (int64_t{86'400} * 1'000'000'000);
    if (day != today) spent.clear(), today = day;
    const uint64_t key = static_cast<uint64_t>(pick(1, 4));
    const Payer payer{.org = 1, .project = 1 + key % 2, .key = key};
    const int64_t what = pick(0, 9);
    if (what == 0) {
      budget[key] = pick(0, 3000);
      most[key] = pick(0, 5);
      admission.set(
          {Level::kKey, key, {}},
          {.concurrent_requests = most[key], .budget_currency = kUsd, .daily_budget = budget[key]});
    } else if (what < 6) {
      const Nano hold = pick(0, 400);
      Nano held = 0;
      int64_t running = 0;
      for (const Open& each : open) {
        if (each.grant.payer.key == key) held += each.grant.shape.hold, ++running;
      }
      const bool due =
          !budget.contains(key) || (running < most[key] && spent[key] + held + hold <= budget[key]);
      const auto decision = admission.admit(payer, shape(pick(0, 50), pick(0, 50), hold), at(time));
      ASSERT_EQ(granted(decision), due) << "step " << step;
      if (due) open.push_back({std::get<Grant>(decision)});
    } else if (!open.empty()) {
      const auto which = static_cast<size_t>(pick(0, static_cast<int64_t>(open.size()) - 1));
      const Grant grant = open[which].grant;
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
      if (pick(0, 3) == 0) {
        admission.undo(grant, at(time));
      } else {
        const Nano charge = pick(0, grant.shape.hold);
        admission.finish(grant, {.charge = charge}, at(time));
        spent[grant.payer.key] += charge;
      }
    }
    Nano held = 0;
    for (const Open& each : open) held += each.grant.shape.hold;
    ASSERT_EQ(admission.money(kOrg, kUsd, at(time).unix_ns).held, held);
    ASSERT_EQ(admission.running(kOrg), static_cast<int64_t>(open.size()));
  }
}

}  // namespace
}  // namespace mill::maas
