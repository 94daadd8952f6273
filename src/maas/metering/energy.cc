#include "maas/metering/energy.h"

#include <fmt/format.h>

#include <limits>

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

// a / b, half to even.  Requires: a >= 0, b > 0.
Result<int64_t> divided(ledger::Wide a, ledger::Wide b) {
  ledger::Wide whole = a / b;
  const ledger::Wide twice = a % b * 2;
  if (twice > b || (twice == b && whole % 2 != 0)) ++whole;
  if (whole > std::numeric_limits<int64_t>::max())
    return fail(Code::kTooLarge, "the energy does not fit", "microjoules");
  return int64_t(whole);
}

Result<int64_t> microjoules(ledger::Wide microwatt_nanoseconds) {
  return divided(microwatt_nanoseconds, kNano);
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

Result<int64_t> part_of_span(int64_t span_microjoules, int64_t span_ns, int64_t busy_ns) {
  if (span_microjoules < 0 || span_ns <= 0 || busy_ns < 0)
    return fail(Code::kInvalid, "a span of time takes some, and energy is not negative", "busy_ns");
  return divided(ledger::Wide(span_microjoules) * busy_ns, span_ns);
}

Result<Energy> account_energy(EnergySource source, int64_t microjoules, const Tariff& tariff,
                              int64_t at_ns) {
  const ElectricityPrice& price = tariff.at(at_ns);
  Energy energy{.source = source, .microjoules = microjoules, .priced = true, .band = price.band};
  MILL_TRY(energy.cost, per_kwh(microjoules, price.per_kwh));
  MILL_TRY(energy.co2_micrograms, per_kwh(microjoules, price.co2_micrograms_per_kwh));
  return energy;
}

void note_energy(const Energy& energy, ledger::Entry& entry) {
  entry.microjoules = energy.microjoules;
  entry.energy_cost = energy.cost;
  entry.co2_micrograms = energy.co2_micrograms;
  entry.flags |= energy.source == EnergySource::kRapl ? ledger::kEnergyRapl : ledger::kEnergyModel;
  if (energy.priced) entry.flags |= ledger::kEnergyPriced;
}

std::optional<EnergySource> source_of(const ledger::Entry& entry) {
  if ((entry.flags & ledger::kEnergyRapl) != 0) return EnergySource::kRapl;
  if ((entry.flags & ledger::kEnergyModel) != 0) return EnergySource::kModel;
  return std::nullopt;
}

}  // namespace mill::maas
