#include "maas/metering/energy.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "maas/catalog/civil_time.h"
#include "maas/metering/factory.h"
#include "maas/metering/month_for_test.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;

int64_t at(const char* instant) {
  return *parse_instant(instant, "at");
}

TariffDraft berlin() {
  TariffDraft draft;
  draft.price_per_kwh = "0.3217";
  draft.grams_co2_per_kwh = "363.5";
  draft.bands = {{.band = {.name = "night",
                           .zone = "Europe/Berlin",
                           .days = {},
                           .hours = {{"22:00", "06:00"}},
                           .except = {}},
                  .price_per_kwh = "0.21",
                  .grams_co2_per_kwh = ""}};
  return draft;
}

TEST(Tariff, ByTheClockOnTheWall) {
  const auto tariff = Tariff::check(berlin(), "tariff");
  ASSERT_TRUE(tariff) << tariff.error().message;
  EXPECT_EQ(tariff->currency(), "EUR"_currency);
  // The night ends at 04:00 UTC in summer and at 05:00 UTC in winter.
  EXPECT_EQ(tariff->at(at("2026-10-24T03:59:59Z")).per_kwh, 210'000'000);
  EXPECT_EQ(tariff->at(at("2026-10-24T04:00:00Z")).per_kwh, 321'700'000);
  EXPECT_EQ(tariff->at(at("2026-10-25T04:30:00Z")).per_kwh, 210'000'000) << "clocks went back";
  EXPECT_EQ(tariff->at(at("2026-10-25T05:00:00Z")).band, "base");
  EXPECT_EQ(tariff->at(at("2026-03-29T04:00:00Z")).band, "base") << "clocks went forward";
  EXPECT_EQ(tariff->at(at("2026-11-10T23:00:00Z")).co2_micrograms_per_kwh, 363'500'000)
      << "as in the base";
}

TEST(Tariff, WrongFieldsAreNamed) {
  const auto param = [](const TariffDraft& draft) {
    const auto tariff = Tariff::check(draft, "tariff");
    return tariff ? std::string("good") : tariff.error().param;
  };
  EXPECT_EQ(param(berlin()), "good");
  for (const char* wrong : {"", "nan", "-0.3", "-0", "1e3", "1000000.1", "0.1234567891", "abc"}) {
    TariffDraft draft = berlin();
    draft.price_per_kwh = wrong;
    EXPECT_EQ(param(draft), "tariff.price_per_kwh") << wrong;
    if (*wrong == 0) continue;
    draft = berlin();
    draft.bands[0].price_per_kwh = wrong;
    EXPECT_EQ(param(draft), "tariff.bands[0].price_per_kwh") << wrong;
  }
  TariffDraft draft = berlin();
  draft.currency = "euro";
  EXPECT_EQ(param(draft), "tariff.currency");
  draft = berlin();
  draft.grams_co2_per_kwh = "0.1234567";
  EXPECT_EQ(param(draft), "tariff.grams_co2_per_kwh");
  draft = berlin();
  draft.bands[0].band.zone = "Mars/Olympus";
  EXPECT_EQ(param(draft), "tariff.bands[0].band.zone");
  draft = berlin();
  draft.bands.push_back(draft.bands[0]);
  EXPECT_EQ(param(draft), "tariff.bands[1].band.hours");
  draft.bands[1].band.zone = "UTC";
  EXPECT_EQ(param(draft), "tariff.bands[1].band.zone");
}

TEST(Energy, AKilowattHourCostsWhatTheTariffSays) {
  EXPECT_EQ(*per_kwh(kMicrojoulesPerKwh, 321'700'000), 321'700'000);
  EXPECT_EQ(*per_kwh(0, 5), 0);
  EXPECT_EQ(*per_kwh(kMicrojoulesPerKwh / 2, 1), 0) << "half to the even one";
  EXPECT_EQ(*per_kwh(kMicrojoulesPerKwh / 2, 3), 2);
  EXPECT_EQ(*per_kwh(kMicrojoulesPerKwh / 2 + 1, 1), 1);
  EXPECT_EQ(per_kwh(-1, 1).error().code, Code::kInvalid);
  EXPECT_EQ(per_kwh(INT64_MAX, INT64_MAX).error().code, Code::kTooLarge);
}

TEST(Energy, OfARequestWithItsSource) {
  const auto tariff = Tariff::check(berlin(), "tariff");
  // 50 J at night: 50e6 uJ x 0.21 / 3.6e12 of a unit is 2916.67 nano-units; 363.5 g is 5048.6 ug.
  const auto energy =
      account_energy(EnergySource::kRapl, 50'000'000, *tariff, at("2026-11-10T23:00:00Z"));
  ASSERT_TRUE(energy);
  EXPECT_EQ(energy->cost, 2917);
  EXPECT_EQ(energy->co2_micrograms, 5049);
  EXPECT_EQ(energy->band, "night");
  EXPECT_EQ(name(energy->source), "rapl");
  ledger::Entry entry;
  EXPECT_FALSE(source_of(entry));
  note_energy(*energy, entry);
  EXPECT_EQ(source_of(entry), EnergySource::kRapl);
  EXPECT_EQ(entry.flags, ledger::kEnergyRapl | ledger::kEnergyPriced);
  EXPECT_EQ(entry.microjoules, 50'000'000);
  EXPECT_EQ(entry.energy_cost, 2917);
  EXPECT_EQ(entry.co2_micrograms, 5049);
  EXPECT_EQ(name(EnergySource::kModel), "model");
}

TEST(Energy, ThePowerModel) {
  const auto model = PowerModel::check({.idle_watts = "35", .active_watts = "120.5"}, "power");
  ASSERT_TRUE(model);
  EXPECT_EQ(*model->request_microjoules(1'000'000'000), 120'500'000);
  EXPECT_EQ(*model->request_microjoules(0), 0);
  EXPECT_EQ(*model->span_microjoules(2'000'000'000, 1'000'000'000), 155'500'000);
  EXPECT_EQ(*model->span_microjoules(2'000'000'000, 0), 70'000'000);
  EXPECT_FALSE(model->request_microjoules(-1));
  EXPECT_FALSE(model->span_microjoules(1, 2));
  const auto town = PowerModel::check({.idle_watts = "0", .active_watts = "1000000"}, "power");
  EXPECT_EQ(town->request_microjoules(INT64_MAX).error().code, Code::kTooLarge);
  const auto param = [](const PowerDraft& draft) {
    const auto made = PowerModel::check(draft, "power");
    return made ? std::string("good") : made.error().param;
  };
  EXPECT_EQ(param({.idle_watts = "", .active_watts = "1"}), "power.idle_watts");
  EXPECT_EQ(param({.idle_watts = "1", .active_watts = "inf"}), "power.active_watts");
  EXPECT_EQ(param({.idle_watts = "2", .active_watts = "1.9"}), "power.active_watts");
  EXPECT_EQ(param({.idle_watts = "-1", .active_watts = "1"}), "power.idle_watts");
}

TEST(Energy, APartOfASpan) {
  EXPECT_EQ(*part_of_span(10'000'000, 1000, 250), 2'500'000);
  EXPECT_EQ(*part_of_span(3, 2, 1), 2) << "half to the even one";
  EXPECT_EQ(*part_of_span(5, 2, 1), 2);
  EXPECT_EQ(*part_of_span(100, 10, 15), 150) << "busy since before the first reading";
  EXPECT_EQ(*part_of_span(INT64_MAX, INT64_MAX, INT64_MAX), INT64_MAX);
  EXPECT_EQ(part_of_span(1, 0, 0).error().code, Code::kInvalid);
  EXPECT_EQ(part_of_span(1, 1, -1).error().code, Code::kInvalid);
  EXPECT_EQ(part_of_span(INT64_MAX, 1, 2).error().code, Code::kTooLarge);
}

TEST(Factory, MoneyInLessElectricity) {
  UsageSums sums{.requests = 2, .charge = 5000, .energy_cost = 6000, .metered = 2, .priced = 2};
  EXPECT_TRUE(*margin(sums, "EUR"_currency, "EUR"_currency) == -1000) << "electricity cost more";
  EXPECT_FALSE(margin(sums, "CREDITS"_currency, "EUR"_currency)) << "these do not subtract";
  EXPECT_FALSE(margin(sums, ledger::Currency{}, ledger::Currency{})) << "no tariff";
  sums.requests = 3;
  EXPECT_FALSE(margin(sums, "EUR"_currency, "EUR"_currency))
      << "nobody knows what one of them cost";
  EXPECT_TRUE(*margin({.charge = -5}, "EUR"_currency, "EUR"_currency) == -5) << "given back";
}

TEST(Factory, TokensOfAKilowattHour) {
  EXPECT_EQ(tokens_per_kwh(1000, kMicrojoulesPerKwh / 4), 4000);
  EXPECT_EQ(tokens_per_kwh(2, kMicrojoulesPerKwh * 3), 0);
  EXPECT_EQ(tokens_per_kwh(INT64_MAX, 1), INT64_MAX);
  EXPECT_FALSE(tokens_per_kwh(1000, 0)) << "no energy is known";
}

TEST(Factory, TheSourceIsThatOfAll) {
  EXPECT_EQ(energy_source({.requests = 5}), "");
  EXPECT_EQ(energy_source({.metered = 5}), "model");
  EXPECT_EQ(energy_source({.metered = 5, .measured = 5}), "rapl");
  EXPECT_EQ(energy_source({.metered = 5, .measured = 1}), "mixed");
}

}  // namespace
}  // namespace mill::maas
