#include "app/house_energy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "app/books/tariff_file.h"
#include "ledger/ledger_for_test.h"

namespace mill::app {
namespace {

using namespace std::chrono_literals;

constexpr const char* kTariff = R"(currency: EUR
zone: Europe/Berlin
price_per_kwh: 0.3217
grams_co2_per_kwh: 363.5
bands:
  - name: night
    hours:
      - {from: "22:00", to: "06:00"}
    price_per_kwh: 0.21
  - name: sun
    days: [sun]
    except: [2026-12-20]
    hours: [{from: "11:00", to: "15:00"}]
    grams_co2_per_kwh: 95
)";

class HouseEnergyTest : public testing::Test {
 protected:
  // Words apart by spaces: "--energy model".
  Result<HouseEnergy> house(std::map<std::string, std::string> flags) {
    Given given;
    given.environment["HOME"] = (folder / "home").string();
    for (const auto& [name, value] : flags) given.flags[name] = {value};
    const auto settings = Settings::resolve(given);
    if (!settings) return fail(settings.error());
    return house_energy(*settings, busy, folder / "root");
  }
  Error failure(std::map<std::string, std::string> flags) {
    const auto made = house(std::move(flags));
    EXPECT_FALSE(made.has_value());
    return made ? Error{} : made.error();
  }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  void count(int64_t microjoules) {
    const auto counter = folder / "root/sys/class/powercap/intel-rapl:0";
    std::filesystem::create_directories(counter);
    std::ofstream(counter / "name") << "package-0\n";
    std::ofstream(counter / "max_energy_range_uj") << "1000000000000\n";
    std::ofstream(counter / "energy_uj") << microjoules << "\n";
  }

  ledger::Folder folder;
  std::shared_ptr<work::BusyProbe> busy = std::make_shared<work::BusyProbe>();
};

TEST_F(HouseEnergyTest, NothingIsRecordedUnlessItIsAskedFor) {
  const auto made = house({});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->meter, nullptr);
  count(5);
  EXPECT_EQ(house({})->meter, nullptr) << "counters or not";
}

TEST_F(HouseEnergyTest, WhatWouldBeOfNoUseIsASlip) {
  for (const char* name : {"power-idle-watts", "power-active-watts", "tariff"}) {
    const Error error = failure({{name, "1"}});
    EXPECT_EQ(error.param, name);
    EXPECT_NE(error.message.find("--energy"), std::string::npos) << error.message;
  }
  EXPECT_EQ(failure({{"energy", "model"}, {"open", "true"}}).param, "energy");
}

TEST_F(HouseEnergyTest, AModelNeedsItsWatts) {
  const auto made =
      house({{"energy", "model"}, {"power-idle-watts", "35"}, {"power-active-watts", "120.5"}});
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->words, "model, 35 W idle, 120.5 W active");
  const auto energy = made->meter->end(made->meter->begin(), 2s, 0);
  ASSERT_TRUE(energy);
  EXPECT_EQ(energy->microjoules, 241'000'000);
  EXPECT_FALSE(energy->priced) << "there is no tariff";
  EXPECT_EQ(failure({{"energy", "model"}, {"power-idle-watts", "35"}}).param, "power-active-watts");
  EXPECT_EQ(failure({{"energy", "model"}, {"power-active-watts", "35"}}).param, "power-idle-watts");
  for (const char* wrong : {"nan", "-1", "1e3", "many", "1000001"}) {
    const Error error =
        failure({{"energy", "model"}, {"power-idle-watts", wrong}, {"power-active-watts", "9"}});
    EXPECT_EQ(error.param, "power-idle-watts") << wrong;
    EXPECT_TRUE(error.message.starts_with("power-idle-watts")) << error.message;
  }
  EXPECT_EQ(
      failure({{"energy", "model"}, {"power-idle-watts", "9"}, {"power-active-watts", "8"}}).param,
      "power-active-watts");
}

TEST_F(HouseEnergyTest, CountersWhereThereAreSome) {
  EXPECT_EQ(failure({{"energy", "rapl"}}).code, Code::kNotFound);
  const Error none = failure({{"energy", "auto"}});
  EXPECT_NE(none.message.find("power-active-watts"), std::string::npos) << none.message;
  const std::map<std::string, std::string> either = {
      {"energy", "auto"}, {"power-idle-watts", "1"}, {"power-active-watts", "2"}};
  EXPECT_EQ(house(either)->meter->source(), maas::EnergySource::kModel);
  count(5'000'000);
  for (const auto& flags : {either, {{"energy", "rapl"}}}) {
    const auto made = house(flags);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(made->meter->source(), maas::EnergySource::kRapl);
    EXPECT_EQ(made->words, "RAPL, package-0");
    count(7'500'000);
    EXPECT_EQ(made->meter->overhead(0).microjoules, 2'500'000);
    count(5'000'000);
  }
}

TEST_F(HouseEnergyTest, ATariffFromItsFile) {
  const auto tariff = read_tariff(file("t.yaml", kTariff));
  ASSERT_TRUE(tariff.has_value()) << tariff.error().message;
  constexpr int64_t kSunday = int64_t{1'793'534'400} * 1'000'000'000;  // 2026-11-01T12:00Z
  EXPECT_EQ(tariff->at(kSunday).band, "sun");
  EXPECT_EQ(tariff->at(kSunday).per_kwh, 321'700'000) << "as in the base";
  EXPECT_EQ(tariff->at(kSunday).co2_micrograms_per_kwh, 95'000'000);
  EXPECT_EQ(tariff->at(kSunday - int64_t{12 * 3600} * 1'000'000'000).band, "night");
  EXPECT_TRUE(house({{"energy", "model"},
                     {"power-idle-watts", "1"},
                     {"power-active-watts", "2"},
                     {"tariff", file("t.yaml", kTariff)}})
                  ->meter->end({}, 1s, kSunday)
                  ->priced);
}

TEST_F(HouseEnergyTest, AWrongTariffIsToldByLineAndField) {
  const auto says = [](const std::string& what, const std::string& by) {
    std::string text = kTariff;
    text.replace(text.find(what), what.size(), by);
    const auto tariff = parse_tariff(text, "t.yaml");
    return tariff ? std::string("good") : tariff.error().message;
  };
  EXPECT_EQ(says("0.3217", "NaN"),
            "t.yaml:3: price_per_kwh: 'NaN' is not a decimal from 0 to 1000000");
  EXPECT_TRUE(says("0.21", "-1").starts_with("t.yaml:9: bands[0].price_per_kwh: '-1'"));
  EXPECT_TRUE(says("\"06:00\"", "six").starts_with("t.yaml:8: bands[0].hours[0].to"));
  EXPECT_TRUE(says("Europe/Berlin", "Mars").starts_with("t.yaml:2: "))
      << says("Europe/Berlin", "Mars");
  EXPECT_TRUE(says("\"11:00\"", "\"05:00\"").starts_with("t.yaml:13: bands[1]: the bands 'night' and 'sun'"));
  EXPECT_TRUE(says("currency: EUR", "currency: euro").starts_with("t.yaml:1: currency"));
  EXPECT_TRUE(says("currency: EUR", "valuta: EUR").starts_with("t.yaml:1: valuta is not"));
  EXPECT_TRUE(says("grams_co2_per_kwh: 95", "co2: 95").starts_with("t.yaml:14: co2 is not"));
  EXPECT_TRUE(says("[sun]", "sun").starts_with("t.yaml:11: days must be a list"));
  EXPECT_TRUE(says("price_per_kwh: 0.3217\n", "").starts_with("t.yaml:1: price_per_kwh"));
  EXPECT_FALSE(parse_tariff("", "t.yaml").has_value());
  EXPECT_FALSE(parse_tariff("- a", "t.yaml").has_value());
  EXPECT_EQ(read_tariff(folder / "none.yaml").error().code, Code::kNotFound);
}

TEST_F(HouseEnergyTest, TheOverheadIsBookedWhileTheServerRunsAndWhenItEnds) {
  const auto made =
      house({{"energy", "model"}, {"power-idle-watts", "50"}, {"power-active-watts", "100"}});
  auto book = ledger::open_book(folder / "j", {});
  ASSERT_TRUE(book.has_value());
  maas::Till till(**book, {.meter = made->meter});
  const auto booked = [&] { return (*book)->health().booked_seq; };
  {
    const EnergyWatch watch(till, 150ms);
    for (int i = 0; i < 1000 && booked() < 1; ++i) std::this_thread::sleep_for(5ms);
    EXPECT_GE(booked(), 1);
  }
  const int64_t last = booked();
  EXPECT_GE(last, 2) << "and what was left at the end";
  int64_t sum = 0;
  ASSERT_TRUE((*book)->durable_blocking({.seq = last}));
  ASSERT_TRUE((*book)->scan({.kinds = {ledger::Kind::kOverhead}},
                            [&](const ledger::Entry& entry) -> Status {
                              sum += entry.microjoules;
                              return {};
                            }));
  EXPECT_EQ(sum, made->meter->totals().overhead_microjoules);
  EXPECT_GT(sum, 50'000'000 / 10) << "some tenths of a second at 50 W";
}

}  // namespace
}  // namespace mill::app
