// The factory's own account: what each model took in and what its electricity cost, by hour or day.
//
// A view of usage rows that are grouped by model (usage.h); nothing is counted twice. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ledger/money.h"
#include "maas/metering/energy.h"
#include "maas/metering/usage.h"

namespace mill::maas {

struct FactoryRow {
  int64_t from_ns = 0;
  std::string model;
  ledger::Currency currency;  // of money_in
  int64_t requests = 0;
  int64_t input_tokens = 0, output_tokens = 0;
  ledger::Wide money_in = 0;           // nano-units: charged minus given back
  ledger::Wide energy_cost = 0;        // nano-units of the tariff's currency
  std::optional<ledger::Wide> margin;  // money in minus energy cost, where they are of one currency
  int64_t microjoules = 0;
  int64_t co2_micrograms = 0;
  // Output tokens, and all tokens, per kWh, rounded down; nothing where no energy is known.
  std::optional<int64_t> output_tokens_per_kwh;
  std::optional<int64_t> tokens_per_kwh;
};

// What the whole machine drew in a bucket: RAPL's counter over it, or PowerModel::span_microjoules,
// priced by the tariff.
struct HouseEnergy {
  int64_t from_ns = 0;
  int64_t microjoules = 0;
  ledger::Wide cost = 0;
};

// What no request answers for: the house less its requests. Below zero where a request is booked in
// another bucket than it ran in, or where the model of requests and the meter disagree.
struct FactoryOverhead {
  int64_t from_ns = 0;
  ledger::Wide microjoules = 0;
  ledger::Wide cost = 0;
};

struct FactoryAccount {
  EnergySource source{};                  // what the server that wrote the entries was set to
  ledger::Currency tariff;                // of energy_cost
  std::vector<FactoryRow> rows;           // by time, model, currency
  std::vector<FactoryRow> totals;         // by currency, with an empty model
  std::vector<FactoryOverhead> overhead;  // of the buckets that `house` has, in its order
};

// Rows of the same hour, model and currency become one, whatever else the query grouped by.
FactoryAccount factory_account(std::span<const UsageBucket> usage, EnergySource source,
                               ledger::Currency tariff, std::span<const HouseEnergy> house = {});

}  // namespace mill::maas
