// What the machine draws, as the settings of `serve` say it is to be known; and the thread that
// looks at it while the server runs.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "app/settings.h"
#include "base/clock.h"
#include "base/result.h"
#include "maas/till/till.h"
#include "work/busy_time.h"

namespace mill::app {

struct HouseEnergy {
  std::shared_ptr<maas::EnergyMeter> meter;  // null: nothing is recorded
  std::string words;                         // "RAPL, package-0", "model, 35 W idle, 120 W active"
};

// `busy` is told of the steps of all workers; `root` is where the machine's counters are (tests:
// another than /). Fails with kInvalid for settings that are wrong or do not go together, and with
// what hinders the counters where these alone are asked for.
Result<HouseEnergy> house_energy(const Settings& settings, std::shared_ptr<work::BusyProbe> busy,
                                 const std::filesystem::path& root = "/");

// Takes readings and books the overhead of each span, and of the last when it ends. Without a meter
// it does nothing.
class EnergyWatch {
 public:
  static constexpr Duration kSample = std::chrono::milliseconds(100);
  static constexpr Duration kBook = std::chrono::minutes(10);

  // The till must outlive it.
  explicit EnergyWatch(maas::Till& till, Duration book_every = kBook);
  ~EnergyWatch();

 private:
  void watch();
  void book();

  maas::Till& till_;
  const Duration book_every_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace mill::app
