// What the machine draws, at work: the joules of each request that ends, and of what no request
// answers for.
//
// Read now and then (sample()), it knows how much energy the house has taken since it was made: by
// the machine's counters, or by the model from the time that its workers had steps. A request is
// given its part when it is settled (energy.h); the house less all that was given is overhead: idle
// time, work of the mill's own, requests that nobody is charged for, and, measured, whatever else
// runs on the machine. What still runs when overhead is taken is part of it, and is taken off that
// of the next time; never below zero. So requests and overhead add up to the house.
//
// Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/entry.h"
#include "maas/metering/energy.h"
#include "maas/metering/tariff.h"

namespace mill::maas {

// What the house shows; neither ever goes back.
struct HouseReading {
  int64_t step_ns = 0;                 // in which workers had steps (work::BusyProbe)
  std::optional<int64_t> microjoules;  // of the machine's counters
};

class EnergyMeter {
 public:
  struct Options {
    std::optional<PowerModel> model;  // nothing: measured
    std::optional<Tariff> tariff;     // nothing: joules without cost and CO2
    std::function<HouseReading()> read;
    std::function<Instant()> clock;  // empty: now()
  };
  // Takes the first reading.  Requires: without a model, readings have microjoules.
  explicit EnergyMeter(Options options);

  EnergySource source() const {
    return options_.model ? EnergySource::kModel : EnergySource::kRapl;
  }
  // Of the costs; none without a tariff.
  ledger::Currency currency() const;

  // Takes a reading. Measured, requests are only as exact as readings are frequent; there should be
  // several in a second.
  void sample();

  // Where a request begins, and its energy when it has ended; `at_ns` is the instant for the
  // tariff, since 1970. O(1); at most every kGlance one takes a reading, where those since its
  // beginning cover less time than it was busy. Nothing: not known (too early, an impossible time).
  struct Mark {
    Instant at{};
    int64_t microjoules = 0;
  };
  Mark begin() const;
  std::optional<Energy> end(const Mark& mark, Duration busy, int64_t at_ns);
  static constexpr Duration kGlance = std::chrono::milliseconds(10);

  // Of what nobody answers for, since the last time. Takes a reading.
  Energy overhead(int64_t at_ns);

  // Since it was made.
  struct Totals {
    int64_t requests_microjoules = 0, overhead_microjoules = 0;
    int64_t requests_co2_micrograms = 0, overhead_co2_micrograms = 0;
  };
  Totals totals() const;

 private:
  void read(Instant at);
  Result<int64_t> joules_of(const Mark& mark, int64_t busy_ns);
  Energy priced(int64_t microjoules, int64_t at_ns) const;

  Options options_;
  mutable std::mutex mutex_;
  HouseReading first_;
  Instant began_{};
  Mark last_, before_;  // the house's energy since the first reading, by the last two
  Totals totals_;
};

}  // namespace mill::maas
