#include "device/power_meter.h"

#include <optional>

#include "device/system_text.h"

namespace mill::device {

Result<PowerMeter> PowerMeter::open(const std::filesystem::path& root) {
  PowerMeter meter;
  bool seen = false;
  for (const auto& folder : numbered_entries(root / "sys/class/powercap", "intel-rapl:")) {
    const std::string name = word_in(folder / "name");
    if (!name.starts_with("package")) continue;  // psys would count the packages a second time
    seen = true;
    Counter counter{.file = folder / "energy_uj"};
    const std::optional<int64_t> now = leading_number(small_text(counter.file));
    if (!now) continue;
    counter.last = *now;
    counter.range = leading_number(small_text(folder / "max_energy_range_uj")).value_or(0);
    meter.counters_.push_back(std::move(counter));
    meter.source_ += (meter.source_.empty() ? "RAPL, " : " + ") + name;
  }
  if (!seen) {
    return fail(Code::kNotFound,
                "this machine shows no energy counters (guests and containers often have none)");
  }
  if (meter.counters_.empty()) {
    return fail(Code::kPermission,
                "the energy counters may not be read by this user: allow it (chmod a+r "
                "/sys/class/powercap/intel-rapl:*/energy_uj)");
  }
  return meter;
}

double PowerMeter::joules() {
  for (Counter& counter : counters_) {
    const std::optional<int64_t> now = leading_number(small_text(counter.file));
    if (!now) continue;
    int64_t step = *now - counter.last;
    if (step < 0) step += counter.range;
    if (step > 0) joules_ += static_cast<double>(step) * 1e-6;
    counter.last = *now;
  }
  return joules_;
}

}  // namespace mill::device
