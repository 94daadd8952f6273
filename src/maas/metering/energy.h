// The energy of one request: measured, or by a model of the machine's power; its cost and its CO2.
//
// Measured: the counter of the package (RAPL) says how much a span of time took, and split() gives
// each request its part by the work it had done in it. Modelled: the machine draws `idle_watts`
// always and `active_watts` when it works; a request answers for the time that was its own at the
// active draw, and nobody for the rest, which the factory's account shows as overhead (factory.h).
// Both say which they are. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

// `microjoules` in parts by weight, that add up to it exactly (largest remainder; of equal
// remainders the first). All weights zero: parts of zero, since nobody took it.  Requires: no
// weight is negative.
std::vector<int64_t> split(int64_t microjoules, std::span<const int64_t> weights);

// A request's energy as a settle entry has it.
struct Energy {
  EnergySource source{};
  int64_t microjoules = 0;
  ledger::Nano cost = 0;  // in the tariff's currency
  int64_t co2_micrograms = 0;
  std::string band;  // of the tariff
};

// Fails as per_kwh does.
Result<Energy> account_energy(EnergySource source, int64_t microjoules, const Tariff& tariff,
                              int64_t at_ns);

// Writes it into the entry of a settle before it is posted.
void note_energy(const Energy& energy, ledger::Entry& settle);

}  // namespace mill::maas
