#include "maas/metering/energy_meter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <vector>

#include "maas/metering/month_for_test.h"

namespace mill::maas {
namespace {

using namespace std::chrono_literals;
using ledger::operator""_currency;

// A house whose counter and steps are set by hand.
struct House {
  HouseReading reading{.step_ns = 7'000, .microjoules = 123};  // neither begins at 0
  Instant clock{};
  int reads = 0;

  EnergyMeter::Options options(std::optional<PowerModel> model, bool tariff = true) {
    EnergyMeter::Options options;
    options.model = model;
    if (tariff) {
      TariffDraft draft;
      draft.price_per_kwh = "0.36";     // 1 J is 100 nano-units
      draft.grams_co2_per_kwh = "360";  // and 100 micrograms
      options.tariff = *Tariff::check(draft, "tariff");
    }
    options.read = [this] {
      ++reads;
      return reading;
    };
    options.clock = [this] { return clock; };
    return options;
  }
  void pass(Duration time, double watts, Duration steps = {}) {
    clock += time;
    reading.step_ns += std::chrono::nanoseconds(steps).count();
    *reading.microjoules += static_cast<int64_t>(watts * to_seconds(time) * 1e6);
  }
};

PowerModel model_of(const char* idle, const char* active) {
  return *PowerModel::check({.idle_watts = idle, .active_watts = active}, "power");
}

TEST(EnergyMeter, AModelledRequestIsItsBusyTimeAtTheActiveDraw) {
  House house;
  EnergyMeter meter(house.options(model_of("20", "100")));
  EXPECT_EQ(meter.source(), EnergySource::kModel);
  EXPECT_EQ(meter.currency(), "EUR"_currency);
  house.pass(10s, 0, 4s);
  const auto energy = meter.end(meter.begin(), 3s, 0);
  ASSERT_TRUE(energy);
  EXPECT_EQ(energy->microjoules, 300'000'000);
  EXPECT_EQ(energy->cost, 30'000);
  EXPECT_EQ(energy->co2_micrograms, 30'000);
  EXPECT_TRUE(energy->priced);
  // 4 s of steps, 3 of them a request's: 100 J, and 6 s idle: 120 J.
  EXPECT_EQ(meter.overhead(0).microjoules, 220'000'000);
  EXPECT_EQ(meter.overhead(0).microjoules, 0);
  house.pass(1s, 0);
  EXPECT_EQ(meter.overhead(0).cost, 2'000);
  EXPECT_EQ(meter.totals().requests_microjoules, 300'000'000);
  EXPECT_EQ(meter.totals().overhead_microjoules, 240'000'000);
}

TEST(EnergyMeter, AMeasuredRequestIsItsPartOfTheSpanInWhichItRan) {
  House house;
  EnergyMeter meter(house.options(std::nullopt));
  EXPECT_EQ(meter.source(), EnergySource::kRapl);
  house.pass(5s, 10);  // nobody is here
  meter.sample();
  const auto mark = meter.begin();
  house.pass(2s, 90);
  meter.sample();
  // Two that ran side by side for two seconds have half of it each.
  EXPECT_EQ(meter.end(mark, 1s, 0)->microjoules, 90'000'000);
  EXPECT_EQ(meter.end(mark, 1s, 0)->microjoules, 90'000'000);
  EXPECT_EQ(meter.overhead(0).microjoules, 50'000'000);
}

TEST(EnergyMeter, AShortRequestHasADrawToo) {
  House house;
  EnergyMeter meter(house.options(std::nullopt));
  house.pass(100ms, 50);
  meter.sample();
  const auto mark = meter.begin();
  house.pass(1ms, 50);
  const int before = house.reads;
  // Its span is shorter than readings are apart: the draw is that of the last two.
  EXPECT_EQ(meter.end(mark, 1ms, 0)->microjoules, 50'000);
  EXPECT_EQ(house.reads, before) << "a counter is not read for each of thousands";
  house.pass(20ms, 200);
  // 50 W for a millisecond and 200 W for 20 are 4.05 J, and 20 of the 21 are its own.
  EXPECT_EQ(meter.end(mark, 20ms, 0)->microjoules, 3'857'143);
  EXPECT_EQ(house.reads, before + 1);
}

TEST(EnergyMeter, WithoutAReadingNothingIsInvented) {
  House house;
  EnergyMeter meter(house.options(std::nullopt));
  EXPECT_FALSE(meter.end(meter.begin(), 5ms, 0));
  EXPECT_FALSE(meter.end(meter.begin(), -5ms, 0));
  EXPECT_EQ(meter.totals().requests_microjoules, 0);
}

TEST(EnergyMeter, WithoutATariffThereAreJoulesAlone) {
  House house;
  EnergyMeter meter(house.options(model_of("0", "1"), false));
  const auto energy = meter.end(meter.begin(), 1s, 0);
  EXPECT_EQ(energy->microjoules, 1'000'000);
  EXPECT_FALSE(energy->priced);
  EXPECT_EQ(energy->cost, 0);
  EXPECT_TRUE(meter.currency().empty());
}

TEST(EnergyMeter, ACounterThatStopsOrGoesBackIsNoEnergy) {
  House house;
  EnergyMeter meter(house.options(std::nullopt));
  house.pass(1s, 10);
  meter.sample();
  house.reading.microjoules = 5;
  house.clock += 1s;
  meter.sample();
  EXPECT_EQ(meter.overhead(0).microjoules, 10'000'000);
}

// What still runs is part of the overhead for a while; in the end all that the house took is a
// request's or nobody's.
TEST(EnergyMeter, RequestsAndOverheadAddUpToTheHouse) {
  const uint64_t seed = seed_for_test();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (const bool measured : {true, false}) {
    House house;
    const PowerModel model = model_of("12.5", "77.7");
    EnergyMeter meter(house.options(measured ? std::nullopt : std::optional<PowerModel>(model)));
    struct Running {
      EnergyMeter::Mark mark;
      Duration busy;
    };
    std::vector<Running> running;
    int64_t sum = 0;
    Duration all{}, steps{};
    for (int i = 0; i < 5000; ++i) {
      const auto time = Duration(1 + random() % 200'000'000);
      const Duration step = running.empty() ? Duration() : time / 2;
      for (Running& one : running) one.busy += step / static_cast<int64_t>(running.size());
      house.pass(time, running.empty() ? 12.5 : 45.1, step);
      all += time;
      steps += step;
      meter.sample();
      if (random() % 3 == 0) running.push_back({meter.begin(), {}});
      if (!running.empty() && random() % 3 == 0) {
        const size_t which = random() % running.size();
        const auto energy = meter.end(running[which].mark, running[which].busy, 0);
        if (energy) sum += energy->microjoules;
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
      }
      if (random() % 50 == 0) sum += meter.overhead(0).microjoules;
    }
    for (const Running& one : running) sum += meter.end(one.mark, one.busy, 0)->microjoules;
    house.pass(100'000s, 12.5);  // until what was overhead too early is made up for
    all += 100'000s;
    sum += meter.overhead(0).microjoules;
    const int64_t house_microjoules =
        measured ? *house.reading.microjoules - 123
                 : *model.span_microjoules(std::chrono::nanoseconds(all).count(),
                                           std::chrono::nanoseconds(steps).count());
    EXPECT_EQ(sum, house_microjoules);
    EXPECT_EQ(meter.totals().requests_microjoules + meter.totals().overhead_microjoules, sum);
  }
}

}  // namespace
}  // namespace mill::maas
