#include "maas/metering/factory.h"

#include <limits>

#include "maas/metering/energy.h"

namespace mill::maas {

std::string_view energy_source(const UsageSums& sums) {
  if (sums.metered == 0) return "";
  if (sums.measured == 0) return name(EnergySource::kModel);
  return sums.measured == sums.metered ? name(EnergySource::kRapl) : "mixed";
}

std::optional<ledger::Wide> margin(const UsageSums& sums, ledger::Currency charged,
                                   ledger::Currency tariff) {
  if (tariff.empty() || charged != tariff || sums.priced < sums.requests) return std::nullopt;
  return sums.charge - sums.energy_cost;
}

std::optional<int64_t> tokens_per_kwh(int64_t tokens, int64_t microjoules) {
  if (microjoules <= 0) return std::nullopt;
  const ledger::Wide rate = ledger::Wide(tokens) * kMicrojoulesPerKwh / microjoules;
  return rate > std::numeric_limits<int64_t>::max() ? std::numeric_limits<int64_t>::max()
                                                    : int64_t(rate);
}

}  // namespace mill::maas
