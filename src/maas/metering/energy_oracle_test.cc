// The electricity of one day of 25 hours against tests/oracle/energy.py, which works it out with
// Python's fractions and zoneinfo: testdata/metering/energy_day.csv.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "maas/metering/energy.h"
#include "maas/metering/factory.h"
#include "maas/metering/month_for_test.h"
#include "maas/metering/usage.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;
using Cells = std::vector<std::string>;

Tariff berlin() {
  TariffDraft draft;
  draft.price_per_kwh = "0.3217";
  draft.grams_co2_per_kwh = "363.5";
  draft.bands = {{.band = {.name = "night",
                           .zone = "Europe/Berlin",
                           .days = {},
                           .hours = {{"22:00", "06:00"}},
                           .except = {}},
                  .price_per_kwh = "0.2119",
                  .grams_co2_per_kwh = "301.25"},
                 {.band = {.name = "noon",
                           .zone = "Europe/Berlin",
                           .days = {"sun"},
                           .hours = {{"11:00", "15:00"}},
                           .except = {}},
                  .price_per_kwh = "0.0877",
                  .grams_co2_per_kwh = "95.125"}};
  return *Tariff::check(draft, "tariff");
}

int64_t number(const std::string& cell) {
  return std::strtoll(cell.c_str(), nullptr, 10);
}

std::vector<Cells> lines_of(std::string_view what) {
  std::vector<Cells> all;
  for (const std::string& line : split_for_test(metering_file("energy_day.csv"), '\n')) {
    Cells cells = split_for_test(line, ';');
    if (cells[0] == what) all.push_back(std::move(cells));
  }
  EXPECT_FALSE(all.empty()) << what;
  return all;
}

// As the till writes it.
ledger::Entry entry_of(const Cells& cells, const Tariff& tariff) {
  const bool request = cells[0] == "request";
  const PowerModel power =
      *PowerModel::check({.idle_watts = "41.5", .active_watts = "188.25"}, "power");
  const int64_t at_ns = number(cells[1]), span_ns = number(cells[2]);
  const int64_t microjoules =
      request ? *power.request_microjoules(span_ns) : *power.span_microjoules(span_ns, 0);
  const Energy energy = *account_energy(EnergySource::kModel, microjoules, tariff, at_ns);
  EXPECT_EQ(energy.microjoules, number(cells[5]));
  EXPECT_EQ(energy.cost, number(cells[6])) << cells[1];
  EXPECT_EQ(energy.co2_micrograms, number(cells[7])) << cells[1];
  EXPECT_EQ(energy.band, cells[8]) << cells[1];
  ledger::Entry entry;
  entry.kind = request ? ledger::Kind::kSettle : ledger::Kind::kOverhead;
  entry.at_ns = at_ns;
  entry.currency = "EUR"_currency;
  entry.tokens.output_text = number(cells[3]);
  entry.amount = number(cells[4]);
  note_energy(energy, entry);
  return entry;
}

TEST(EnergyOracle, EveryRequestAndHourAsPythonAddsThem) {
  const Tariff tariff = berlin();
  std::vector<ledger::Entry> entries;
  for (const char* what : {"request", "overhead"})
    for (const Cells& cells : lines_of(what)) entries.push_back(entry_of(cells, tariff));
  const std::vector<Cells> hours = lines_of("hour");
  ASSERT_EQ(hours.size(), 25u) << "clocks went back";
  auto table = UsageTable::open({.from_ns = number(hours.front()[1]),
                                 .to_ns = number(hours.back()[1]) + 1,
                                 .width = Width::kHour,
                                 .filter = {},
                                 .groups = {}});
  ASSERT_TRUE(table);
  for (const ledger::Entry& entry : entries) ASSERT_TRUE(table->add(entry));
  EXPECT_EQ(table->tariff(), "EUR"_currency) << "the journal says what costs are in";
  const std::vector<UsageBucket> buckets = table->buckets();
  ASSERT_EQ(buckets.size(), hours.size());
  for (size_t i = 0; i < hours.size(); ++i) {
    const Cells& want = hours[i];
    const UsageBucket& bucket = buckets[i];
    SCOPED_TRACE(want[1]);
    EXPECT_EQ(bucket.from_ns, number(want[1]));
    const UsageSums sums = bucket.rows.empty() ? UsageSums{} : bucket.rows[0].sums;
    EXPECT_EQ(sums.requests, number(want[2]));
    EXPECT_EQ(sums.metered, sums.requests);
    EXPECT_EQ(sums.metered_tokens, number(want[3]));
    EXPECT_TRUE(sums.charge == number(want[4]));
    EXPECT_EQ(sums.microjoules, number(want[5]));
    EXPECT_TRUE(sums.energy_cost == number(want[6]));
    EXPECT_EQ(sums.co2_micrograms, number(want[7]));
    EXPECT_TRUE(*margin(sums, "EUR"_currency, tariff.currency()) == number(want[8]));
    const auto rate = tokens_per_kwh(sums.metered_tokens, sums.microjoules);
    EXPECT_EQ(rate ? std::to_string(*rate) : "-", want[9]);
    EXPECT_EQ(bucket.overhead.microjoules, number(want[10]));
    EXPECT_TRUE(bucket.overhead.energy_cost == number(want[11]));
    EXPECT_EQ(bucket.overhead.co2_micrograms, number(want[12]));
  }
}

}  // namespace
}  // namespace mill::maas
