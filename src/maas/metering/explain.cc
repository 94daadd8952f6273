#include "maas/metering/explain.h"

namespace mill::maas {
namespace {

Result<Explained> by_the_book(const ledger::Entry& settle, const PriceVersion& version) {
  MILL_TRY(const Pin pin, version.pin({.model = settle.model,
                                       .currency = settle.currency,
                                       .tier = Tier(settle.tier),
                                       .batch = (settle.flags & ledger::kBatch) != 0,
                                       .accepted_ns = accepted_at(settle.hold)}));
  MILL_TRY(Charge bill, charge(pin, settle.tokens));
  Explained why{.band = std::string(pin.band), .lines = std::move(bill.lines)};
  const Femto difference = Femto(settle.amount) * kFemtoPerNano - bill.exact;
  // Recovery settles the rounded charge of a progress without its residue.
  const bool rounded = difference >= -ledger::kMaxResidue && difference <= ledger::kMaxResidue;
  if (rounded) {
    why.rounding = difference;
    return why;
  }
  if (difference > 0)
    return fail(Code::kInvalid, "the entry charges more than the price book", "amount");
  why.rounding = -Femto(bill.residue);
  why.capped = difference - why.rounding;
  return why;
}

}  // namespace

bool is_batch(const ledger::Entry& entry) {
  return (entry.flags & ledger::kBatch) != 0 || entry.tier == uint8_t(Tier::kBatch);
}

Explained explain(const ledger::Entry& settle, const Prices& prices) {
  if (const auto version = prices(settle.price_version); version && settle.tier < kTierCount) {
    if (auto why = by_the_book(settle, *version)) return *std::move(why);
  }
  return {.other = Femto(settle.amount) * kFemtoPerNano};
}

}  // namespace mill::maas
