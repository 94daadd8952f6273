#include "maas/metering/energy.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

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
  note_energy(*energy, entry);
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

TEST(Energy, PartsAddUpToWhatWasMeasured) {
  EXPECT_EQ(split(10, std::vector<int64_t>{1, 1, 1}), (std::vector<int64_t>{4, 3, 3}));
  EXPECT_EQ(split(5, std::vector<int64_t>{0, 0}), (std::vector<int64_t>{0, 0}));
  EXPECT_TRUE(split(5, {}).empty());
  EXPECT_EQ(split(INT64_MAX, std::vector<int64_t>{INT64_MAX, INT64_MAX}),
            (std::vector<int64_t>{INT64_MAX / 2 + 1, INT64_MAX / 2}));
  const uint64_t seed = seed_for_test();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<int64_t> weights(1 + random() % 20);
    for (int64_t& weight : weights) weight = int64_t(random() % 1000);
    weights[0] = 1;
    const int64_t total = int64_t(random() >> (1 + random() % 62));
    const auto parts = split(total, weights);
    ASSERT_EQ(std::accumulate(parts.begin(), parts.end(), int64_t{0}), total);
    const int64_t all = std::accumulate(weights.begin(), weights.end(), int64_t{0});
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto fair = int64_t(ledger::Wide(total) * weights[i] / all);
      ASSERT_TRUE(parts[i] == fair || parts[i] == fair + 1) << i;
    }
  }
}

UsageBucket hour(int64_t from_ns, const std::string& model, const char* currency,
                 const UsageSums& sums) {
  UsageKey key{.model = model, .currency = *ledger::parse_currency(currency)};
  return {.from_ns = from_ns, .to_ns = from_ns + kNanosPerHour, .rows = {{key, sums}}};
}

TEST(Factory, MoneyInLessElectricity) {
  const UsageSums sums{.tokens = {.input_uncached = 900, .output_text = 100},
                       .requests = 2,
                       .charge = 5000,
                       .microjoules = kMicrojoulesPerKwh / 4,
                       .energy_cost = 6000,
                       .co2_micrograms = 9};
  const std::vector<UsageBucket> usage = {hour(0, "flash", "EUR", sums),
                                          hour(0, "flash", "CREDITS", sums),
                                          hour(kNanosPerHour, "flash", "EUR", sums),
                                          hour(kNanosPerHour, "pro", "EUR", {.requests = 1})};
  const FactoryAccount account = factory_account(usage, EnergySource::kModel, "EUR"_currency);
  ASSERT_EQ(account.rows.size(), 4u);
  const FactoryRow& euro =
      account.rows[0].currency == "EUR"_currency ? account.rows[0] : account.rows[1];
  const FactoryRow& credits = &euro == &account.rows[0] ? account.rows[1] : account.rows[0];
  ASSERT_TRUE(euro.margin);
  EXPECT_TRUE(*euro.margin == -1000) << "the electricity cost more";
  EXPECT_FALSE(credits.margin) << "credits and euros do not subtract";
  EXPECT_EQ(euro.output_tokens_per_kwh, 400);
  EXPECT_EQ(euro.tokens_per_kwh, 4000);
  EXPECT_FALSE(account.rows[3].tokens_per_kwh) << "no energy is known";
  ASSERT_EQ(account.totals.size(), 2u);
  for (const FactoryRow& total : account.totals) {
    if (total.currency != "EUR"_currency) continue;
    EXPECT_EQ(total.requests, 5);
    EXPECT_TRUE(total.money_in == 10'000 && *total.margin == -2000);
  }
}

TEST(Factory, WhatNoRequestAnswersForIsOverhead) {
  const std::vector<UsageBucket> usage = {
      hour(0, "flash", "EUR", {.microjoules = 300, .energy_cost = 30}),
      hour(0, "pro", "EUR", {.microjoules = 200, .energy_cost = 20})};
  const std::vector<HouseEnergy> house = {
      {.from_ns = 0, .microjoules = 900, .cost = 90},
      {.from_ns = kNanosPerHour, .microjoules = 400, .cost = 40}};
  const auto account = factory_account(usage, EnergySource::kRapl, "EUR"_currency, house);
  ASSERT_EQ(account.overhead.size(), 2u);
  EXPECT_TRUE(account.overhead[0].microjoules == 400 && account.overhead[0].cost == 40);
  EXPECT_TRUE(account.overhead[1].microjoules == 400) << "an hour without requests";
}

}  // namespace
}  // namespace mill::maas
