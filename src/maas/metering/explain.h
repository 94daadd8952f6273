// Why a request was charged what it was charged: its settle entry as lines of the price book, to
// the last femto-unit.
//
// The entry names price version, tier and batch, and the instant in its id the time band, so the
// journal and the price book reproduce every bill (catalog/price_version.h). Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ledger/entry.h"
#include "maas/catalog/price_version.h"

namespace mill::maas {

// The version of that number, or nullptr. PriceBook::number behind its owner's lock.
using Prices = std::function<std::shared_ptr<const PriceVersion>(int64_t number)>;

// lines + rounding + capped + other is the entry's amount, exactly.
struct Explained {
  std::string band;               // "base", "peak"; empty where nothing explains the entry
  std::vector<ChargeLine> lines;  // what its tokens cost by the price book
  Femto rounding = 0;             // from the exact sum to a whole number of nano-units
  Femto capped = 0;               // at most zero: what was above the hold, and so is not charged
  Femto other = 0;                // the whole amount, where the price book does not come to it
};

// Never fails: an entry whose version, model, currency, tier or bucket the price book does not
// have, or that charges more than the prices say, is all `other`.  Requires: a kSettle.
Explained explain(const ledger::Entry& settle, const Prices& prices);

// Whether the request was part of a batch: by its flag or by its tier.
bool is_batch(const ledger::Entry& entry);

}  // namespace mill::maas
