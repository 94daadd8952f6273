// What the processor packages draw, from the counters of RAPL (running average power limit) that
// Linux shows under /sys/class/powercap (Documentation/power/powercap/powercap.rst).
//
// The counters are of the whole machine, other processes' work included; memory, disks, fans and
// the power supply are not in them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace mill::device {

class PowerMeter {
 public:
  // Opens the counters below `root` (tests: another than /) and begins to count at 0. Fails with
  // kNotFound (this machine or guest shows none) or kPermission (they may not be read).
  static Result<PowerMeter> open(const std::filesystem::path& root = "/");

  // Joules since it was opened. To be called at least once while a counter goes once around (some
  // ten minutes at full power); a counter that can't be read any more stands still.
  double joules();

  // "RAPL, package-0 + package-1"
  const std::string& source() const { return source_; }

 private:
  struct Counter {
    std::filesystem::path file;
    int64_t range = 0;  // microjoules at which it begins anew
    int64_t last = 0;
  };
  std::vector<Counter> counters_;
  std::string source_;
  double joules_ = 0;
};

}  // namespace mill::device
