#include "maas/metering/tariff.h"

#include <fmt/format.h>

#include <limits>

namespace mill::maas {
namespace {

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kMostPrice = 1'000'000 * kNano;
constexpr int64_t kMostGrams = 100'000 * kNano;

// A decimal in 1e-9, from 0 to `most`.
Result<int64_t> parse(const std::string& text, const std::string& field, int64_t most) {
  const auto amount = ledger::parse_amount(text);
  if (!amount || *amount < 0 || text.starts_with('-') || *amount > most)
    return fail(Code::kInvalid,
                fmt::format("{}: '{}' is not a decimal from 0 to {}", field, text, most / kNano),
                field);
  return *amount;
}

Result<int64_t> parse_grams(const std::string& text, const std::string& field) {
  MILL_TRY(const int64_t nanograms, parse(text, field, kMostGrams));
  if (nanograms % 1000 != 0)
    return fail(Code::kInvalid, fmt::format("{}: '{}' has more than six decimals", field, text),
                field);
  return nanograms / 1000;
}

Status check_apart(const std::vector<Band>& bands, const Band& band, const std::string& field) {
  for (const Band& other : bands) {
    if (!(other.zone() == band.zone()))
      return fail(Code::kInvalid, fmt::format("{}: all bands of a tariff are of one zone", field),
                  field + ".band.zone");
    if (other.overlaps(band))
      return fail(
          Code::kInvalid,
          fmt::format("{}: the bands '{}' and '{}' overlap", field, other.name(), band.name()),
          field + ".band.hours");
  }
  return {};
}

}  // namespace

Result<Tariff> Tariff::check(const TariffDraft& draft, const std::string& field) {
  Tariff tariff;
  const auto currency = ledger::parse_currency(draft.currency);
  if (!currency)
    return fail(Code::kInvalid,
                fmt::format("{}.currency: '{}' is no currency", field, draft.currency),
                field + ".currency");
  tariff.currency_ = *currency;
  ElectricityPrice base{.band = "base"};
  MILL_TRY(base.per_kwh, parse(draft.price_per_kwh, field + ".price_per_kwh", kMostPrice));
  MILL_TRY(base.co2_micrograms_per_kwh,
           parse_grams(draft.grams_co2_per_kwh, field + ".grams_co2_per_kwh"));
  tariff.prices_.push_back(base);
  for (size_t i = 0; i < draft.bands.size(); ++i) {
    const TariffBandDraft& of = draft.bands[i];
    const std::string at = fmt::format("{}.bands[{}]", field, i);
    MILL_TRY(Band band, Band::check(of.band, at + ".band"));
    MILL_TRY_DO(check_apart(tariff.bands_, band, at));
    ElectricityPrice price = base;
    price.band = band.name();
    if (!of.price_per_kwh.empty()) {
      MILL_TRY(price.per_kwh, parse(of.price_per_kwh, at + ".price_per_kwh", kMostPrice));
    }
    if (!of.grams_co2_per_kwh.empty()) {
      MILL_TRY(price.co2_micrograms_per_kwh,
               parse_grams(of.grams_co2_per_kwh, at + ".grams_co2_per_kwh"));
    }
    tariff.bands_.push_back(std::move(band));
    tariff.prices_.push_back(std::move(price));
  }
  return tariff;
}

const ElectricityPrice& Tariff::at(int64_t at_ns) const {
  return prices_[size_t(band_at(bands_, at_ns) + 1)];
}

Result<int64_t> per_kwh(int64_t microjoules, int64_t per_kwh) {
  if (microjoules < 0 || per_kwh < 0)
    return fail(Code::kInvalid, "energy and its price may not be negative", "microjoules");
  const ledger::Wide exact = ledger::Wide(microjoules) * per_kwh;
  ledger::Wide whole = exact / kMicrojoulesPerKwh;
  const ledger::Wide twice = exact % kMicrojoulesPerKwh * 2;
  if (twice > kMicrojoulesPerKwh || (twice == kMicrojoulesPerKwh && whole % 2 != 0)) ++whole;
  if (whole > std::numeric_limits<int64_t>::max())
    return fail(Code::kTooLarge, "the energy costs more than fits", "microjoules");
  return int64_t(whole);
}

}  // namespace mill::maas
