// The factory's own account of some usage (usage.h): where its joules are from, what is left of the
// money when the electricity is paid, how far a kWh goes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ledger/money.h"
#include "maas/metering/usage.h"

namespace mill::maas {

// "model", "rapl", "mixed" of both; "" where nothing was metered.
std::string_view energy_source(const UsageSums& sums);

// Charged less given back, less electricity, in nano-units. Nothing where a request's electricity
// has no known cost, or the tariff is in another currency than the charges.
std::optional<ledger::Wide> margin(const UsageSums& sums, ledger::Currency charged,
                                   ledger::Currency tariff);

// Rounded down. Nothing where no energy is known.
std::optional<int64_t> tokens_per_kwh(int64_t tokens, int64_t microjoules);

}  // namespace mill::maas
