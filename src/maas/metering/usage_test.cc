
#include "maas/metering/usage.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

#include "maas/catalog/civil_time.h"
#include "maas/metering/month_for_test.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;

const int64_t kDay = *parse_instant("2026-11-10", "at");

ledger::Entry settle(int64_t at_ns, uint64_t project, const std::string& model) {
  ledger::Entry entry;
  entry.at_ns = at_ns;
  entry.kind = ledger::Kind::kSettle;
  entry.payer = {1, project, project * 10};
  entry.currency = "USD"_currency;
  entry.amount = 1000;
  entry.tokens = {.input_uncached = 5,
                  .input_cache_read = 4,
                  .input_cache_write = 3,
                  .output_text = 2,
                  .output_reasoning = 1};
  entry.model = model;
  entry.microjoules = 7;
  return entry;
}

std::vector<UsageBucket> table(const UsageQuery& query, const std::vector<ledger::Entry>& entries) {
  auto made = UsageTable::open(query);
  EXPECT_TRUE(made) << made.error().message;
  for (const ledger::Entry& entry : entries) EXPECT_TRUE(made->add(entry));
  return made->buckets();
}

TEST(Usage, MinutesHoursAndDays) {
  const std::vector<ledger::Entry> entries = {
      settle(kDay + 59 * kNanosPerSecond, 11, "flash"), settle(kDay + kNanosPerMinute, 11, "flash"),
      settle(kDay + kNanosPerHour - 1, 11, "flash"), settle(kDay + kNanosPerHour, 11, "flash")};
  UsageQuery query{.from_ns = kDay, .to_ns = kDay + 2 * kNanosPerHour, .width = Width::kMinute};
  const auto minutes = table(query, entries);
  ASSERT_EQ(minutes.size(), 120u);
  for (const size_t used : {0, 1, 59, 60}) ASSERT_EQ(minutes[used].rows.size(), 1u) << used;
  EXPECT_TRUE(minutes[2].rows.empty());
  query.width = Width::kHour;
  const auto hours = table(query, entries);
  ASSERT_EQ(hours.size(), 2u);
  EXPECT_EQ(hours[0].rows[0].sums.requests, 3);
  EXPECT_EQ(hours[0].rows[0].sums.input_tokens(), 36);
  EXPECT_EQ(hours[0].rows[0].sums.output_tokens(), 9);
  query.width = Width::kDay;
  const auto days = table(query, entries);
  ASSERT_EQ(days.size(), 1u) << "the time asked for grows to a whole day";
  EXPECT_EQ(days[0].from_ns, kDay);
  EXPECT_EQ(days[0].to_ns, kDay + kNanosPerDay);
  EXPECT_TRUE(days[0].rows[0].sums.charge == 4000);
  EXPECT_EQ(days[0].rows[0].sums.microjoules, 28);
}

TEST(Usage, GroupsAndFilters) {
  auto batch = settle(kDay, 12, "pro");
  batch.flags = ledger::kBatch;
  auto of_tier = settle(kDay, 12, "pro");
  of_tier.tier = 3;
  auto stranger = settle(kDay, 99, "pro");
  stranger.payer.org = 2;
  const std::vector<ledger::Entry> entries = {settle(kDay, 11, "flash"), settle(kDay, 11, "pro"),
                                              batch, of_tier, stranger};
  UsageQuery query{.from_ns = kDay, .to_ns = kDay + 1, .filter = {.org = 1}};
  ASSERT_EQ(table(query, entries)[0].rows.size(), 1u);
  EXPECT_EQ(table(query, entries)[0].rows[0].sums.requests, 4) << "not the stranger's";
  EXPECT_EQ(table(query, entries)[0].rows[0].key.project, 0u);
  query.groups = {.project = true, .model = true};
  const auto rows = table(query, entries)[0].rows;
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].key.model, "flash");
  EXPECT_EQ(rows[2].key.project, 12u);
  EXPECT_EQ(rows[2].sums.requests, 2);
  query.filter.batch = true;
  EXPECT_EQ(table(query, entries)[0].rows[0].sums.requests, 2) << "by flag, or by tier";
  query.filter = {.org = 1, .models = {"pro"}, .tiers = {0}};
  EXPECT_EQ(table(query, entries)[0].rows.size(), 2u);
  query.filter = {.projects = {99}, .keys = {990}};
  EXPECT_EQ(table(query, entries)[0].rows.size(), 1u);
}

TEST(Usage, TwoCurrenciesAreTwoRows) {
  auto yuan = settle(kDay, 11, "flash");
  yuan.currency = "CNY"_currency;
  const UsageQuery query{.from_ns = kDay, .to_ns = kDay + 1};
  EXPECT_EQ(table(query, {settle(kDay, 11, "flash"), yuan})[0].rows.size(), 2u);
}

TEST(Usage, OnlySettlesAndReversalsCount) {
  std::vector<ledger::Entry> entries;
  for (int kind = 1; kind <= 11; ++kind) {
    entries.push_back(settle(kDay, 11, "flash"));
    entries.back().kind = ledger::Kind(kind);
  }
  const UsageQuery query{.from_ns = kDay, .to_ns = kDay + 1};
  const UsageSums sums = table(query, entries)[0].rows[0].sums;
  EXPECT_EQ(sums.requests, 1);
  EXPECT_TRUE(sums.charge == 0) << "charged, and given back";
  EXPECT_EQ(sums.input_tokens(), 12) << "the tokens were used all the same";
}

TEST(Usage, CountsThatDoNotFitStayAtTheEnd) {
  auto huge = settle(kDay, 11, "flash");
  huge.tokens.input_uncached = INT64_MAX;
  huge.amount = INT64_MAX;
  const UsageQuery query{.from_ns = kDay, .to_ns = kDay + 1};
  const UsageSums sums = table(query, {huge, huge})[0].rows[0].sums;
  EXPECT_EQ(sums.tokens.input_uncached, INT64_MAX);
  EXPECT_EQ(sums.input_tokens(), INT64_MAX);
  EXPECT_TRUE(sums.charge == ledger::Wide(INT64_MAX) * 2) << "money does not saturate";
}

TEST(Usage, QueriesThatMakeNoSense) {
  const auto code = [](const UsageQuery& query) {
    const auto made = whole_buckets(query);
    return made ? std::string("good") : std::string(name(made.error().code));
  };
  EXPECT_EQ(code({.from_ns = 5, .to_ns = 5}), "invalid");
  EXPECT_EQ(code({.from_ns = 6, .to_ns = 5}), "invalid");
  EXPECT_EQ(code({.from_ns = INT64_MIN, .to_ns = 5}), "invalid");
  EXPECT_EQ(code({.from_ns = 5, .to_ns = INT64_MAX}), "invalid");
  EXPECT_EQ(code({.from_ns = 0, .to_ns = 32 * kNanosPerDay, .width = Width::kMinute}), "too_large");
  EXPECT_EQ(code({.from_ns = 0, .to_ns = 31 * kNanosPerDay, .width = Width::kMinute}), "good");
  EXPECT_EQ(*parse_width("1h", "bucket_width"), Width::kHour);
  EXPECT_EQ(parse_width("2h", "bucket_width").error().param, "bucket_width");
}

TEST(Usage, PagesJoinToTheWhole) {
  const UsageQuery query{
      .from_ns = kDay + 5, .to_ns = kDay + 10 * kNanosPerHour, .width = Width::kHour};
  std::vector<std::pair<int64_t, int64_t>> pages;
  std::optional<int64_t> cursor;
  do {
    const auto page = page_of(query, cursor, 4);
    ASSERT_TRUE(page);
    pages.emplace_back(page->query.from_ns, page->query.to_ns);
    cursor = page->next;
  } while (cursor);
  ASSERT_EQ(pages.size(), 3u);
  EXPECT_EQ(pages[0].first, kDay);
  EXPECT_EQ(pages[1], std::pair(kDay + 4 * kNanosPerHour, kDay + 8 * kNanosPerHour));
  EXPECT_EQ(pages[2].second, kDay + 10 * kNanosPerHour);
  for (const int64_t wrong : {kDay - kNanosPerHour, kDay + 1, kDay + 10 * kNanosPerHour, INT64_MIN})
    EXPECT_EQ(page_of(query, wrong, 4).error().param, "page") << wrong;
}

TEST(Usage, AnAnswerIsBounded) {
  auto made = UsageTable::open({.from_ns = kDay, .to_ns = kDay + 1, .groups = {.model = true}}, 2);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->add(settle(kDay, 1, "a")));
  EXPECT_TRUE(made->add(settle(kDay, 1, "b")));
  EXPECT_EQ(made->add(settle(kDay, 1, "c")).error().code, Code::kTooLarge);
  EXPECT_TRUE(made->add(settle(kDay, 1, "b")));
}

}  // namespace
}  // namespace mill::maas
