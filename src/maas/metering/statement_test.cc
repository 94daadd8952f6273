#include "maas/metering/statement.h"

#include <gtest/gtest.h>

#include <random>

#include "maas/catalog/civil_time.h"
#include "maas/metering/costs.h"
#include "maas/metering/month_for_test.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;

const int64_t kNoon = *parse_instant("2026-11-10T03:00:00Z", "at");  // a Tuesday; not in a band

ledger::Entry settle(ledger::Nano amount, const ledger::Buckets& tokens) {
  ledger::Entry entry;
  entry.seq = 1;
  entry.at_ns = kNoon;
  entry.kind = ledger::Kind::kSettle;
  entry.hold = ledger::ulid(kNoon / 1'000'000, std::array<uint8_t, 10>{1});
  entry.payer = {1, 11, 101};
  entry.currency = "USD"_currency;
  entry.amount = amount;
  entry.tokens = tokens;
  entry.model = "flash";
  entry.price_version = 1;
  return entry;
}

Femto sum(const Explained& why) {
  Femto all = why.rounding + why.capped + why.other;
  for (const ChargeLine& line : why.lines) all += line.exact;
  return all;
}

TEST(Explain, ASettleIsItsPricesAndTheRounding) {
  // 3 x 0.15 + 1 x 0.003 per million is 0.453 micro-units: 453 nano-units exactly.
  const Explained exact =
      explain(settle(453, {.input_uncached = 3, .input_cache_read = 1}), prices_for_test());
  ASSERT_EQ(exact.lines.size(), 2u);
  EXPECT_EQ(exact.band, "base");
  EXPECT_TRUE(exact.rounding == 0 && exact.capped == 0 && exact.other == 0);
  // One token written to the cache is 187.5 nano-units, and half goes to the even one.
  const Explained half = explain(settle(188, {.input_cache_write = 1}), prices_for_test());
  EXPECT_TRUE(half.rounding == 500'000);
  EXPECT_TRUE(sum(half) == Femto(188) * kFemtoPerNano);
}

TEST(Explain, AChargeAboveTheHoldIsCutAndSaysSo) {
  const Explained why = explain(settle(100, {.input_cache_write = 1}), prices_for_test());
  ASSERT_EQ(why.lines.size(), 1u);
  EXPECT_TRUE(why.rounding == 500'000);
  EXPECT_TRUE(why.capped == -Femto(88) * kFemtoPerNano);
  EXPECT_TRUE(sum(why) == Femto(100) * kFemtoPerNano);
}

TEST(Explain, WhatThePriceBookDoesNotSayIsOther) {
  const auto is_other = [](const ledger::Entry& entry) {
    const Explained why = explain(entry, prices_for_test());
    return why.lines.empty() && why.band.empty() && why.rounding == 0 && why.capped == 0 &&
           why.other == Femto(entry.amount) * kFemtoPerNano;
  };
  const ledger::Entry good = settle(453, {.input_uncached = 3, .input_cache_read = 1});
  EXPECT_FALSE(is_other(good));
  auto bad = good;
  bad.price_version = 3;
  EXPECT_TRUE(is_other(bad));
  bad = good;
  bad.model = "nobody";
  EXPECT_TRUE(is_other(bad));
  bad = good;
  bad.currency = "CNY"_currency;
  EXPECT_TRUE(is_other(bad));
  for (const int tier : {2, 4, 255}) {
    bad = good;
    bad.tier = uint8_t(tier);
    EXPECT_TRUE(is_other(bad)) << tier;
  }
  bad = good;
  bad.tokens.input_image = 1;  // not sold
  EXPECT_TRUE(is_other(bad));
  bad = good;
  bad.amount = 455;  // more than the prices say
  EXPECT_TRUE(is_other(bad));
  bad = good;
  bad.tokens.input_uncached = INT64_MAX;  // a price beyond all money
  bad.tokens.output_text = INT64_MAX;
  EXPECT_TRUE(is_other(bad));
}

TEST(Statement, NeverLosesANanoOfRandomEntries) {
  const uint64_t seed = seed_for_test();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const Prices prices = prices_for_test();
  const std::vector<std::string> models = {"flash", "pro", "gratis", "nobody", ""};
  Statement statement({.from_ns = 0, .to_ns = INT64_MAX}, prices);
  Femto booked = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto few = [&random] { return int64_t(random() % (uint64_t{1} << (random() % 30))); };
    auto entry = settle(few(), {few(), few(), few(), few() / 1000, few(), few(), few() / 1000});
    entry.seq = i + 1;
    entry.at_ns += int64_t(random() % (40 * 24)) * kNanosPerHour;
    entry.hold = ledger::ulid(entry.at_ns / 1'000'000 - few(), std::array<uint8_t, 10>{});
    entry.model = models[random() % models.size()];
    entry.price_version = int64_t(random() % 4);
    entry.tier = random() % 4 == 0 ? uint8_t(random()) : uint8_t(random() % 2);
    entry.flags = uint32_t(random() % 16);
    entry.payer = {1 + random() % 2, random() % 3, random() % 3};
    if (random() % 8 == 0) entry.kind = ledger::Kind::kReversal;
    if (random() % 16 == 0) entry.kind = ledger::Kind::kVoid;
    if (entry.kind == ledger::Kind::kSettle) {
      booked += Femto(entry.amount) * kFemtoPerNano;
      EXPECT_TRUE(sum(explain(entry, prices)) == Femto(entry.amount) * kFemtoPerNano);
    }
    if (entry.kind == ledger::Kind::kReversal) booked -= Femto(entry.amount) * kFemtoPerNano;
    ASSERT_TRUE(statement.add(entry));
  }
  Femto lines = 0;
  for (const Line& line : statement.lines()) {
    lines += line.amount;
    if (line.kind == LineKind::kItem) {
      EXPECT_TRUE(line.amount == line.quantity * line.rate) << line.model;
    }
  }
  EXPECT_TRUE(lines == booked);
}

TEST(Statement, TooManyLinesAreRefusedAndLeaveNoTrace) {
  Statement statement({.from_ns = 0, .to_ns = INT64_MAX}, prices_for_test(), 5);
  ASSERT_TRUE(statement.add(settle(453, {.input_uncached = 3, .input_cache_read = 1})));
  auto other = settle(1, {.input_uncached = 1, .output_text = 1});
  other.payer.key = 102;
  const auto refused = statement.add(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  EXPECT_EQ(statement.lines().size(), 2u);
  EXPECT_EQ(statement.requests(), 1);
}

TEST(Statement, TheScopeIsATenantsAndATimes) {
  Statement statement({.from_ns = kNoon, .to_ns = kNoon + 1, .org = 1, .project = 11},
                      prices_for_test());
  auto entry = settle(453, {.input_uncached = 3, .input_cache_read = 1});
  ASSERT_TRUE(statement.add(entry));
  for (const auto& [org, project, at] : std::vector<std::tuple<uint64_t, uint64_t, int64_t>>{
           {2, 11, kNoon}, {1, 12, kNoon}, {1, 11, kNoon - 1}, {1, 11, kNoon + 1}}) {
    entry.payer = {org, project, 101};
    entry.at_ns = at;
    ASSERT_TRUE(statement.add(entry));
  }
  EXPECT_EQ(statement.requests(), 1);
}

TEST(Statement, AFreeModelStillHasItsRows) {
  Statement statement({.from_ns = 0, .to_ns = INT64_MAX}, prices_for_test());
  auto entry = settle(0, {.input_uncached = 3, .output_text = 4});
  entry.model = "gratis";
  entry.price_version = 2;
  ASSERT_TRUE(statement.add(entry));
  ASSERT_EQ(statement.lines().size(), 2u);
  EXPECT_TRUE(statement.lines()[0].quantity == 3 && statement.lines()[0].amount == 0);
}

TEST(Costs, DaysWithoutChargesAreThereAndFiltersHold) {
  const StatementScope scope{.from_ns = kNoon, .to_ns = kNoon + 3 * kNanosPerDay};
  Statement statement(scope, prices_for_test());
  auto entry = settle(453, {.input_uncached = 3, .input_cache_read = 1});
  ASSERT_TRUE(statement.add(entry));
  entry.payer = {1, 12, 103};
  entry.at_ns += kNanosPerDay;
  ASSERT_TRUE(statement.add(entry));
  const auto lines = statement.lines();
  const auto all = costs(scope, lines, {}, {});
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 4u) << "from noon to noon touches four days";
  ASSERT_EQ((*all)[0].rows.size(), 1u);
  EXPECT_TRUE((*all)[0].rows[0].amount == Femto(453) * kFemtoPerNano);
  EXPECT_EQ((*all)[0].rows[0].line_item, "");
  EXPECT_TRUE((*all)[2].rows.empty());
  const auto one = costs(scope, lines, {.projects = {12}}, {.project = true, .line_item = true});
  ASSERT_TRUE(one);
  EXPECT_TRUE((*one)[0].rows.empty());
  ASSERT_EQ((*one)[1].rows.size(), 2u);
  EXPECT_EQ((*one)[1].rows[0].line_item, "flash, cache_read");
  EXPECT_EQ((*one)[1].rows[0].unit, "tokens");
  EXPECT_TRUE((*one)[1].rows[1].quantity == 3);
  const auto none = costs(scope, lines, {.projects = {11}, .keys = {103}}, {});
  ASSERT_TRUE(none);
  for (const CostDay& day : *none) EXPECT_TRUE(day.rows.empty());
  EXPECT_FALSE(costs({.from_ns = 5, .to_ns = 5}, lines, {}, {}));
  EXPECT_FALSE(costs({.from_ns = 0, .to_ns = INT64_MAX}, lines, {}, {}));
}

}  // namespace
}  // namespace mill::maas
