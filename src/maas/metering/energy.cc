#include "maas/metering/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace mill::maas {
namespace {

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kMostWatts = 1'000'000 * kNano;

// In microwatts.
Result<int64_t> parse_watts(const std::string& text, const std::string& field) {
  const auto nano = ledger::parse_amount(text);
  if (!nano || *nano < 0 || text.starts_with('-') || *nano > kMostWatts || *nano % 1000 != 0)
    return fail(Code::kInvalid,
                fmt::format("{}: '{}' is not a number of watts from 0 to 1000000 with at most six "
                            "decimals",
                            field, text),
                field);
  return *nano / 1000;
}

Result<int64_t> microjoules(ledger::Wide microwatt_nanoseconds) {
  ledger::Wide whole = microwatt_nanoseconds / kNano;
  const ledger::Wide twice = microwatt_nanoseconds % kNano * 2;
  if (twice > kNano || (twice == kNano && whole % 2 != 0)) ++whole;
  if (whole > std::numeric_limits<int64_t>::max())
    return fail(Code::kTooLarge, "the energy does not fit", "microjoules");
  return int64_t(whole);
}

}  // namespace

std::string_view name(EnergySource source) {
  return source == EnergySource::kRapl ? "rapl" : "model";
}

Result<PowerModel> PowerModel::check(const PowerDraft& draft, const std::string& field) {
  PowerModel model;
  MILL_TRY(model.idle_, parse_watts(draft.idle_watts, field + ".idle_watts"));
  MILL_TRY(model.active_, parse_watts(draft.active_watts, field + ".active_watts"));
  if (model.active_ < model.idle_)
    return fail(Code::kInvalid,
                fmt::format("{}.active_watts: a machine that works draws at least the {} W that it "
                            "draws idle",
                            field, draft.idle_watts),
                field + ".active_watts");
  return model;
}

Result<int64_t> PowerModel::request_microjoules(int64_t busy_ns) const {
  if (busy_ns < 0) return fail(Code::kInvalid, "the busy time may not be negative", "busy_ns");
  return microjoules(ledger::Wide(busy_ns) * active_);
}

Result<int64_t> PowerModel::span_microjoules(int64_t span_ns, int64_t busy_ns) const {
  if (busy_ns < 0 || span_ns < busy_ns)
    return fail(Code::kInvalid, "the busy time must lie within its span", "busy_ns");
  return microjoules(ledger::Wide(busy_ns) * active_ + ledger::Wide(span_ns - busy_ns) * idle_);
}

std::vector<int64_t> split(int64_t microjoules, std::span<const int64_t> weights) {
  std::vector<int64_t> parts(weights.size(), 0);
  ledger::Wide total = 0;
  for (const int64_t weight : weights) {
    MILL_CHECK(weight >= 0);
    total += weight;
  }
  if (total == 0 || microjoules <= 0) return parts;
  std::vector<ledger::Wide> rest(weights.size());
  int64_t left = microjoules;
  for (size_t i = 0; i < weights.size(); ++i) {
    const ledger::Wide exact = ledger::Wide(microjoules) * weights[i];
    parts[i] = int64_t(exact / total);
    rest[i] = exact % total;
    left -= parts[i];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&rest](size_t a, size_t b) { return rest[a] > rest[b]; });
  for (size_t i = 0; left > 0; ++i, --left) ++parts[order[i]];
  return parts;
}

Result<Energy> account_energy(EnergySource source, int64_t microjoules, const Tariff& tariff,
                              int64_t at_ns) {
  const ElectricityPrice& price = tariff.at(at_ns);
  Energy energy{.source = source, .microjoules = microjoules, .band = price.band};
  MILL_TRY(energy.cost, per_kwh(microjoules, price.per_kwh));
  MILL_TRY(energy.co2_micrograms, per_kwh(microjoules, price.co2_micrograms_per_kwh));
  return energy;
}

void note_energy(const Energy& energy, ledger::Entry& settle) {
  settle.microjoules = energy.microjoules;
  settle.energy_cost = energy.cost;
  settle.co2_micrograms = energy.co2_micrograms;
}

}  // namespace mill::maas
