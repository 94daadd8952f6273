// A month's usage, costs and invoices against tests/oracle/invoice.py, which adds them up by hand
// with Python's fractions, decimal and zoneinfo: testdata/metering/expected.csv.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "maas/catalog/quote.h"
#include "maas/metering/costs.h"
#include "maas/metering/invoice.h"
#include "maas/metering/month_for_test.h"
#include "maas/metering/text.h"
#include "maas/metering/usage.h"

namespace mill::maas {
namespace {

const Month kNovember = *parse_month("2026-11", "month");

// A decimal without needless zeros, as the script writes it.
std::string shortest(const std::string& decimal) {
  std::string text = decimal;
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}
std::string shortest(Femto amount) {
  return shortest(print_femto(amount));
}

std::set<std::string> expected(std::initializer_list<std::string_view> kinds) {
  std::set<std::string> lines;
  for (const std::string& line : split_for_test(metering_file("expected.csv"), '\n'))
    for (const std::string_view kind : kinds)
      if (line.starts_with(fmt::format("{};", kind))) lines.insert(line);
  return lines;
}

void expect_same(const std::set<std::string>& ours, const std::set<std::string>& theirs) {
  EXPECT_FALSE(theirs.empty());
  for (const std::string& line : ours) EXPECT_TRUE(theirs.contains(line)) << "only ours: " << line;
  for (const std::string& line : theirs)
    EXPECT_TRUE(ours.contains(line)) << "only theirs: " << line;
}

void put_invoice(uint64_t org, const std::string& currency, std::set<std::string>& into) {
  InvoiceBuilder builder(
      {.org = org, .month = kNovember, .currency = *ledger::parse_currency(currency)},
      prices_for_test());
  for (const ledger::Entry& entry : month_for_test()) ASSERT_TRUE(builder.add(entry));
  const Invoice invoice = builder.finish(NamesForTest(), {}, kNovember.end_ns);
  for (const InvoiceProject& project : invoice.projects) {
    const std::string of = fmt::format("{};{};{}", org, currency, project.serial);
    for (const InvoiceLine& line : project.lines)
      into.insert(fmt::format("line;{};{};{};{};{};{};{};{};{};{}", of, line.model, name(line.item),
                              tier_name(line.tier), int(line.batch), line.band, line.price_version,
                              shortest(print_rate(line.item, line.rate)),
                              print_count(line.quantity), shortest(line.amount)));
    for (const InvoiceExtra& extra : project.extras)
      into.insert(fmt::format("extra;{};{};{}", of, name(extra.kind), shortest(extra.amount)));
    into.insert(fmt::format("subtotal;{};{}", of, shortest(project.subtotal)));
  }
  into.insert(fmt::format("total;{};{};{}", org, currency, shortest(invoice.total)));
}

TEST(MonthOracle, InvoicesAsPythonAddsThem) {
  std::set<std::string> ours;
  put_invoice(1, "USD", ours);
  put_invoice(2, "CREDITS", ours);
  put_invoice(3, "USD", ours);
  expect_same(ours, expected({"line", "extra", "subtotal", "total"}));
}

TEST(MonthOracle, CostsOfEveryDayAsPythonAddsThem) {
  const StatementScope scope{.from_ns = kNovember.begin_ns, .to_ns = kNovember.end_ns};
  Statement statement(scope, prices_for_test());
  for (const ledger::Entry& entry : month_for_test()) ASSERT_TRUE(statement.add(entry));
  const auto days =
      costs(scope, statement.lines(), {}, {.org = true, .project = true, .line_item = true});
  ASSERT_TRUE(days);
  EXPECT_EQ(days->size(), 30u);
  std::set<std::string> ours;
  for (const CostDay& day : *days)
    for (const CostRow& row : day.rows)
      ours.insert(fmt::format("cost;{};{};{};{};{}", format_date(day.from_ns), row.org, row.project,
                              row.line_item, shortest(row.amount)));
  expect_same(ours, expected({"cost"}));
}

std::set<std::string> usage_lines(const std::vector<UsageBucket>& buckets) {
  std::set<std::string> ours;
  for (const UsageBucket& bucket : buckets)
    for (const UsageRow& row : bucket.rows) {
      const ledger::Buckets& t = row.sums.tokens;
      ours.insert(fmt::format(
          "usage;{};{};{};{};{};{};{};{};{};{};{};{};{};{};{};{};{};{};{};{}",
          bucket.from_ns / kNanosPerSecond, row.key.org, row.key.project, row.key.key,
          row.key.model, row.key.tier, int(row.key.batch), ledger::to_string(row.key.currency),
          t.input_uncached, t.input_cache_read, t.input_cache_write, t.input_image, t.output_text,
          t.output_reasoning, t.output_image, row.sums.requests, print_count(row.sums.charge),
          row.sums.microjoules, print_count(row.sums.energy_cost), row.sums.co2_micrograms));
    }
  return ours;
}

TEST(MonthOracle, UsageOfEveryHourAsPythonAddsIt) {
  const UsageQuery query{
      .from_ns = kNovember.begin_ns,
      .to_ns = kNovember.end_ns,
      .width = Width::kHour,
      .groups = {
          .org = true, .project = true, .key = true, .model = true, .tier = true, .batch = true}};
  auto table = UsageTable::open(query);
  ASSERT_TRUE(table);
  for (const ledger::Entry& entry : month_for_test()) ASSERT_TRUE(table->add(entry));
  expect_same(usage_lines(table->buckets()), expected({"usage"}));
}

}  // namespace
}  // namespace mill::maas
