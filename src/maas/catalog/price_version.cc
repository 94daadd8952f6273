#include "maas/catalog/price_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "maas/catalog/civil_time.h"

namespace mill::maas {

int64_t accepted_at(const ledger::HoldId& id) {
  constexpr int64_t kNanosPerMilli = 1'000'000;
  constexpr int64_t kLatest = std::numeric_limits<int64_t>::max() / kNanosPerMilli;
  return std::min(ledger::ulid_ms(id), kLatest) * kNanosPerMilli;
}

Result<Charge> charge(const Pin& pin, const ledger::Buckets& tokens) {
  const Quantities of = quantities(tokens);
  Charge charge;
  MILL_TRY(charge.exact, exact_charge(pin.rates, of));
  MILL_TRY(const Rounded rounded, round_half_even(charge.exact));
  charge.amount = rounded.amount;
  charge.residue = rounded.residue;
  for (size_t i = 0; i < kItemCount; ++i) {
    const bool a_line = of[i] != 0 && pin.rates[i] != kNotSold;
    const bool no_fee = Item(i) == Item::kRequest && pin.rates[i] == 0;
    if (a_line && !no_fee)
      charge.lines.push_back({.item = Item(i),
                              .quantity = of[i],
                              .rate = pin.rates[i],
                              .exact = Femto(of[i]) * pin.rates[i]});
  }
  return charge;
}

Result<ledger::Nano> hold_amount(const Pin& pin, const HoldShape& shape) {
  const auto rate = [&](Item item) { return pin.rates[size_t(item)]; };
  Rates dearest = pin.rates;
  dearest[size_t(Item::kInput)] =
      std::max({rate(Item::kInput), rate(Item::kCacheRead), rate(Item::kCacheWrite)});
  dearest[size_t(Item::kOutput)] = std::max(rate(Item::kOutput), rate(Item::kReasoning));
  Quantities most{};
  most[size_t(Item::kInput)] = shape.prompt_tokens;
  most[size_t(Item::kOutput)] = shape.max_output_tokens;
  most[size_t(Item::kInputImage)] = shape.input_image_tokens;
  most[size_t(Item::kOutputImage)] = shape.output_image_tokens;
  most[size_t(Item::kRequest)] = 1;
  MILL_TRY(const Femto exact, exact_charge(dearest, most));
  const Femto up = (exact + kFemtoPerNano - 1) / kFemtoPerNano;
  if (up > std::numeric_limits<ledger::Nano>::max())
    return fail(Code::kTooLarge, "the amount to hold is over 9.2 billion currency units");
  return ledger::Nano(up);
}

const Model* PriceVersion::find(std::string_view name) const {
  const auto found = names_.find(std::string(name));
  return found == names_.end() ? nullptr : &models_[found->second];
}

const ModelPrice* PriceVersion::price_of(size_t model, ledger::Currency currency) const {
  const auto& currencies = models_[model].currencies;
  const auto found = std::find(currencies.begin(), currencies.end(), currency);
  return found == currencies.end() ? nullptr : &prices_[model][size_t(found - currencies.begin())];
}

Pin PriceVersion::pin_of(size_t model, ledger::Currency currency, const ModelPrice& price,
                         Tier tier, bool batch, int32_t band) const {
  return {.price_version = number_,
          .model = models_[model].id,
          .currency = currency,
          .tier = tier,
          .batch = batch,
          .band = band < 0 ? std::string_view("base") : price.bands[size_t(band)].name(),
          .rates = *price.at(tier, batch, band)};
}

Result<Pin> PriceVersion::pin(const Terms& terms) const {
  const auto found = names_.find(std::string(terms.model));
  if (found == names_.end())
    return fail(Code::kNotFound, fmt::format("the price book has no model '{}'", terms.model),
                "model");
  const ModelPrice* price = price_of(found->second, terms.currency);
  if (price == nullptr)
    return fail(Code::kUnsupported,
                fmt::format("the model '{}' has no price in the organization's currency {}",
                            terms.model, ledger::to_string(terms.currency)),
                "currency");
  const bool batch = terms.batch || terms.tier == Tier::kBatch;
  const int32_t band = band_at(price->bands, terms.accepted_ns);
  if (size_t(terms.tier) >= kTierCount || !price->at(terms.tier, batch, band))
    return fail(Code::kUnsupported,
                fmt::format("the model '{}' is not sold in the tier {}{}", terms.model,
                            name(terms.tier), terms.batch ? " in a batch" : ""),
                "service_tier");
  return pin_of(found->second, terms.currency, *price, terms.tier, batch, band);
}

std::vector<Pin> PriceVersion::prices(std::string_view model, ledger::Currency currency) const {
  std::vector<Pin> all;
  const auto found = names_.find(std::string(model));
  if (found == names_.end()) return all;
  const ModelPrice* price = price_of(found->second, currency);
  if (price == nullptr) return all;
  for (size_t tier = 0; tier < kTierCount; ++tier)
    for (const bool batch : {false, true})
      for (int32_t band = -1; band < int32_t(price->bands.size()); ++band)
        if (price->at(Tier(tier), batch, band))
          all.push_back(pin_of(found->second, currency, *price, Tier(tier), batch, band));
  return all;
}

}  // namespace mill::maas
