#include "maas/metering/energy_meter.h"

#include <algorithm>
#include <limits>

namespace mill::maas {
namespace {

void add_to(int64_t& sum, int64_t more) {  // neither is negative
  if (__builtin_add_overflow(sum, more, &sum)) sum = std::numeric_limits<int64_t>::max();
}

int64_t nanos(Duration duration) {
  return std::chrono::nanoseconds(duration).count();
}

}  // namespace

EnergyMeter::EnergyMeter(Options options) : options_(std::move(options)) {
  if (!options_.clock) options_.clock = [] { return now(); };
  first_ = options_.read();
  began_ = options_.clock();
  last_ = before_ = {.at = began_, .microjoules = 0};
}

ledger::Currency EnergyMeter::currency() const {
  return options_.tariff ? options_.tariff->currency() : ledger::Currency{};
}

void EnergyMeter::sample() {
  const std::lock_guard lock(mutex_);
  read(options_.clock());
}

void EnergyMeter::read(Instant at) {
  if (at <= last_.at) return;
  const HouseReading reading = options_.read();
  int64_t house = last_.microjoules;
  if (options_.model) {
    // Workers that do not take turns may have more step time than there is time.
    const int64_t span = nanos(at - began_);
    const int64_t steps = std::clamp<int64_t>(reading.step_ns - first_.step_ns, 0, span);
    house = options_.model->span_microjoules(span, steps).value_or(house);
  } else if (reading.microjoules && first_.microjoules) {
    house = *reading.microjoules - *first_.microjoules;
  }
  before_ = last_;
  last_ = {.at = at, .microjoules = std::max(house, last_.microjoules)};
}

EnergyMeter::Mark EnergyMeter::begin() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

Result<int64_t> EnergyMeter::joules_of(const Mark& mark, int64_t busy_ns) {
  if (options_.model) return options_.model->request_microjoules(busy_ns);
  if (nanos(last_.at - mark.at) < busy_ns) {
    const Instant at = options_.clock();
    if (at - last_.at >= kGlance) read(at);
  }
  // Of the span in which it ran; where that is shorter than two readings are apart, of the last.
  const Mark& from = last_.at > mark.at ? mark : before_;
  return part_of_span(last_.microjoules - from.microjoules, nanos(last_.at - from.at), busy_ns);
}

Energy EnergyMeter::priced(int64_t microjoules, int64_t at_ns) const {
  Energy energy{.source = source(), .microjoules = microjoules};
  if (!options_.tariff) return energy;
  auto known = account_energy(source(), microjoules, *options_.tariff, at_ns);
  return known ? std::move(*known) : energy;
}

std::optional<Energy> EnergyMeter::end(const Mark& mark, Duration busy, int64_t at_ns) {
  const std::lock_guard lock(mutex_);
  const auto microjoules = joules_of(mark, nanos(busy));
  if (!microjoules) return std::nullopt;
  Energy energy = priced(*microjoules, at_ns);
  add_to(totals_.requests_microjoules, energy.microjoules);
  add_to(totals_.requests_co2_micrograms, energy.co2_micrograms);
  return energy;
}

Energy EnergyMeter::overhead(int64_t at_ns) {
  const std::lock_guard lock(mutex_);
  read(options_.clock());
  const ledger::Wide left =
      ledger::Wide(last_.microjoules) - totals_.requests_microjoules - totals_.overhead_microjoules;
  Energy energy = priced(left > 0 ? int64_t(left) : 0, at_ns);
  add_to(totals_.overhead_microjoules, energy.microjoules);
  add_to(totals_.overhead_co2_micrograms, energy.co2_micrograms);
  return energy;
}

EnergyMeter::Totals EnergyMeter::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace mill::maas
