// A bill explained line by line, as text for a person: what `tokenmill price quote` prints.
#pragma once

#include <string>

#include "base/result.h"
#include "maas/catalog/price_version.h"

namespace mill::maas {

// Which prices apply and why, each line with count, price and amount, the exact sum and the rounded
// one. Fails as charge does.
Result<std::string> quote(const Pin& pin, int64_t accepted_ns, const ledger::Buckets& tokens);

// A rate as a price per 1,000,000 (per request for the fee), such as "0.15".
std::string print_rate(Item item, int64_t rate);

}  // namespace mill::maas
