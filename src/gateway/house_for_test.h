// A house for tests: 100 W when it works, 20 W when not; by its tariff a joule costs 100
// nano-dollars and stands for 50 micrograms of CO2.
#pragma once

#include <memory>
#include <string>

#include "gateway/scripted_worker_for_test.h"
#include "maas/metering/energy_meter.h"

namespace mill::gateway {

inline std::shared_ptr<maas::EnergyMeter> house_for_test() {
  maas::TariffDraft tariff;
  tariff.currency = "USD";
  tariff.price_per_kwh = "0.36";
  tariff.grams_co2_per_kwh = "180";
  maas::EnergyMeter::Options house;
  house.model = *maas::PowerModel::check({.idle_watts = "20", .active_watts = "100"}, "power");
  house.tariff = *maas::Tariff::check(tariff, "tariff");
  // Ten seconds pass between two readings, all of them idle.
  house.read = [] { return maas::HouseReading{.step_ns = 0, .microjoules = {}}; };
  house.clock = [at = Instant()]() mutable { return at += std::chrono::seconds(10); };
  return std::make_shared<maas::EnergyMeter>(std::move(house));
}

// An answer that a worker is busy with for so long.
inline ScriptedWorker::Choose says_in(std::string text, Duration busy) {
  return [text = std::move(text), busy](const work::Order&) {
    Script script;
    script.say = text;
    script.usage.busy = busy;
    return script;
  };
}

}  // namespace mill::gateway
