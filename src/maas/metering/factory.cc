#include "maas/metering/factory.h"

#include <limits>
#include <map>
#include <tuple>

namespace mill::maas {
namespace {

std::optional<int64_t> rate_per_kwh(ledger::Wide tokens, int64_t microjoules) {
  if (microjoules <= 0) return std::nullopt;
  const ledger::Wide rate = tokens * kMicrojoulesPerKwh / microjoules;
  return rate > std::numeric_limits<int64_t>::max() ? std::numeric_limits<int64_t>::max()
                                                    : int64_t(rate);
}

FactoryRow row_of(int64_t from_ns, const std::string& model, ledger::Currency currency,
                  const UsageSums& sums, ledger::Currency tariff) {
  FactoryRow row{.from_ns = from_ns,
                 .model = model,
                 .currency = currency,
                 .requests = sums.requests,
                 .input_tokens = sums.input_tokens(),
                 .output_tokens = sums.output_tokens(),
                 .money_in = sums.charge,
                 .energy_cost = sums.energy_cost,
                 .margin = std::nullopt,
                 .microjoules = sums.microjoules,
                 .co2_micrograms = sums.co2_micrograms,
                 .output_tokens_per_kwh = rate_per_kwh(sums.output_tokens(), sums.microjoules),
                 .tokens_per_kwh = rate_per_kwh(
                     ledger::Wide(sums.input_tokens()) + sums.output_tokens(), sums.microjoules)};
  if (currency == tariff) row.margin = row.money_in - row.energy_cost;
  return row;
}

std::vector<FactoryOverhead> overhead(std::span<const UsageBucket> usage,
                                      std::span<const HouseEnergy> house) {
  std::map<int64_t, UsageSums> requests;
  for (const UsageBucket& bucket : usage)
    for (const UsageRow& row : bucket.rows) requests[bucket.from_ns].add(row.sums);
  std::vector<FactoryOverhead> left;
  for (const HouseEnergy& all : house) {
    const UsageSums& of = requests[all.from_ns];
    left.push_back({.from_ns = all.from_ns,
                    .microjoules = ledger::Wide(all.microjoules) - of.microjoules,
                    .cost = all.cost - of.energy_cost});
  }
  return left;
}

}  // namespace

FactoryAccount factory_account(std::span<const UsageBucket> usage, EnergySource source,
                               ledger::Currency tariff, std::span<const HouseEnergy> house) {
  std::map<std::tuple<int64_t, std::string, ledger::Currency>, UsageSums> rows;
  std::map<ledger::Currency, UsageSums> totals;
  for (const UsageBucket& bucket : usage) {
    for (const UsageRow& row : bucket.rows) {
      rows[{bucket.from_ns, row.key.model, row.key.currency}].add(row.sums);
      totals[row.key.currency].add(row.sums);
    }
  }
  FactoryAccount account{.source = source,
                         .tariff = tariff,
                         .rows = {},
                         .totals = {},
                         .overhead = overhead(usage, house)};
  for (const auto& [key, sums] : rows)
    account.rows.push_back(
        row_of(std::get<0>(key), std::get<1>(key), std::get<2>(key), sums, tariff));
  const int64_t from_ns = usage.empty() ? 0 : usage.front().from_ns;
  for (const auto& [currency, sums] : totals)
    account.totals.push_back(row_of(from_ns, {}, currency, sums, tariff));
  return account;
}

}  // namespace mill::maas
