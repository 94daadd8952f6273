// What electricity costs and how much carbon dioxide it stands for, by time of day in a named zone.
//
// Prices are nano-units of the tariff's currency per kWh, factors micrograms of CO2 per kWh;
// energy is in microjoules (1 kWh = 3.6e12 of them). Amounts are rounded once, half to even. Energy
// is priced at one instant, that of its booking: a request across the edge of a band counts wholly
// to the band in which it ends. Pure and immutable; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/money.h"
#include "maas/catalog/band.h"

namespace mill::maas {

inline constexpr int64_t kMicrojoulesPerKwh = 3'600'000'000'000;

// What the bands do not say is as in the base: an empty text is "not given".
struct TariffBandDraft {
  BandDraft band;
  std::string price_per_kwh;
  std::string grams_co2_per_kwh;
};

// As an operator writes it: decimals in currency units and grams, at most nine and six places.
struct TariffDraft {
  std::string currency = "EUR";
  std::string price_per_kwh;            // outside of all bands; required
  std::string grams_co2_per_kwh = "0";  // of the grid, or of the contract
  std::vector<TariffBandDraft> bands;   // of one zone, without overlap
};

struct ElectricityPrice {
  ledger::Nano per_kwh = 0;
  int64_t co2_micrograms_per_kwh = 0;
  std::string band;  // "base" outside of all bands
};

class Tariff {
 public:
  // Fails with kInvalid; `param` is `field` and the part at fault, such as
  // "tariff.bands[1].price_per_kwh". A price is 0 to 1,000,000 per kWh, a factor 0 to 100,000 g.
  static Result<Tariff> check(const TariffDraft& draft, const std::string& field);

  const ElectricityPrice& at(int64_t at_ns) const;
  ledger::Currency currency() const { return currency_; }

 private:
  Tariff() = default;
  ledger::Currency currency_;
  std::vector<Band> bands_;
  std::vector<ElectricityPrice> prices_;  // the base, then each band's
};

// microjoules x per_kwh / 3.6e12, half to even. Fails with kInvalid for negative energy, kTooLarge
// where the result does not fit.
Result<int64_t> per_kwh(int64_t microjoules, int64_t per_kwh);

}  // namespace mill::maas
