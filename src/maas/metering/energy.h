// The energy of one request: measured, or by a model of the machine's power; its cost and its CO2.
//
// A request answers for the time in which the machine was busy with it (work::Usage::busy).
// Measured: at the mean draw of the span in which it ran, by the counter of the package (RAPL).
// Modelled: at `active_watts`; the machine draws `idle_watts` when it does not work. Nobody answers
// for the rest, which is booked as overhead (energy_meter.h). Entries say which of the two it was.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"
#include "maas/metering/tariff.h"

namespace mill::maas {

enum class EnergySource : uint8_t { kModel, kRapl };
std::string_view name(EnergySource source);  // "model", "rapl"

struct PowerDraft {
  std::string idle_watts;    // "35"
  std::string active_watts;  // "120.5"; at least the idle ones
};

class PowerModel {
 public:
  // Fails with kInvalid; `param` is `field` and the part at fault. Watts are 0 to 1,000,000.
  static Result<PowerModel> check(const PowerDraft& draft, const std::string& field);

  // `busy_ns` at the active draw, half to even. Fails with kInvalid where it is negative, kTooLarge
  // where the result does not fit.
  Result<int64_t> request_microjoules(int64_t busy_ns) const;
  // What the machine draws in a span of which `busy_ns` was work. Fails also where busy is longer
  // than the span.
  Result<int64_t> span_microjoules(int64_t span_ns, int64_t busy_ns) const;

 private:
  PowerModel() = default;
  int64_t idle_ = 0, active_ = 0;  // microwatts
};

// `span_microjoules` x busy_ns / span_ns, half to even: what fell to a request that the machine was
// busy with for so long of a span. kInvalid for what is negative or an empty span, kTooLarge.
Result<int64_t> part_of_span(int64_t span_microjoules, int64_t span_ns, int64_t busy_ns);

// Energy as an entry has it.
struct Energy {
  EnergySource source{};
  int64_t microjoules = 0;
  bool priced = false;    // there was a tariff; else the cost and the CO2 are not known
  ledger::Nano cost = 0;  // in the tariff's currency
  int64_t co2_micrograms = 0;
  std::string band;  // of the tariff
};

// Fails as per_kwh does.
Result<Energy> account_energy(EnergySource source, int64_t microjoules, const Tariff& tariff,
                              int64_t at_ns);

// Writes it into an entry before it is posted, with the flags that say where it is from.
void note_energy(const Energy& energy, ledger::Entry& entry);
// Where the joules of an entry are from. Nothing: they are not known.
std::optional<EnergySource> source_of(const ledger::Entry& entry);

}  // namespace mill::maas
