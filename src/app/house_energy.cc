#include "app/house_energy.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "app/books/tariff_file.h"
#include "base/log.h"
#include "device/power_meter.h"

namespace mill::app {
namespace {

constexpr const char* kIdle = "power-idle-watts";
constexpr const char* kActive = "power-active-watts";

// What the model says of a field, by the name of its setting.
Error by_setting(Error error) {
  const bool idle = error.param == "power.idle_watts";
  const std::string field = error.param;
  error.param = idle ? kIdle : kActive;
  if (const size_t at = error.message.find(field); at != std::string::npos)
    error.message.replace(at, field.size(), error.param);
  return error;
}

Result<maas::PowerModel> power_model(const Settings& settings) {
  for (const char* name : {kIdle, kActive}) {
    if (settings.text(name).empty())
      return fail(Code::kInvalid,
                  fmt::format("{} is missing: what the machine draws {}, in watts", name,
                              name == kIdle ? "when it does nothing" : "when it works"),
                  name);
  }
  auto model = maas::PowerModel::check(
      {.idle_watts = settings.text(kIdle), .active_watts = settings.text(kActive)}, "power");
  if (!model) return fail(by_setting(model.error()));
  return model;
}

// Nothing is measured: a setting that would be of no use is most likely a slip.
Status check_off(const Settings& settings) {
  for (const char* name : {kIdle, kActive, "tariff"}) {
    if (settings.origin(name).kind == OriginKind::kDefault) continue;
    return fail(Code::kInvalid,
                fmt::format("{} is given, but no energy is recorded: say --energy model, rapl or "
                            "auto as well",
                            name),
                name);
  }
  return {};
}

}  // namespace

Result<HouseEnergy> house_energy(const Settings& settings, std::shared_ptr<work::BusyProbe> busy,
                                 const std::filesystem::path& root) {
  const std::string& wanted = settings.text("energy");
  HouseEnergy house;
  if (wanted == "off") {
    MILL_TRY_DO(check_off(settings));
    return house;
  }
  if (settings.on("open"))
    return fail(Code::kInvalid,
                "energy is recorded in the books, and an open server has none: leave out --open",
                "energy");
  maas::EnergyMeter::Options options;
  if (const auto path = settings.path("tariff"); !path.empty()) {
    MILL_TRY(maas::Tariff tariff, read_tariff(path));
    options.tariff = std::move(tariff);
  }
  std::shared_ptr<device::PowerMeter> counters;
  if (wanted != "model") {
    auto opened = device::PowerMeter::open(root);
    if (opened) {
      counters = std::make_shared<device::PowerMeter>(std::move(*opened));
      house.words = counters->source();
    } else if (wanted == "rapl") {
      return fail(opened.error().code,
                  opened.error().message + "; or give its watts, with --energy model", "energy");
    } else if (settings.text(kIdle).empty() && settings.text(kActive).empty()) {
      return fail(opened.error().code,
                  fmt::format("{}; or give its watts, with {} and {}", opened.error().message,
                              kIdle, kActive),
                  "energy");
    }
  }
  if (!counters) {
    MILL_TRY(options.model, power_model(settings));
    house.words =
        fmt::format("model, {} W idle, {} W active", settings.text(kIdle), settings.text(kActive));
  }
  options.read = [busy = std::move(busy), counters] {
    maas::HouseReading reading{.step_ns = busy->step_ns.load(std::memory_order_relaxed),
                               .microjoules = {}};
    if (counters) reading.microjoules = std::llround(counters->joules() * 1e6);
    return reading;
  };
  house.meter = std::make_shared<maas::EnergyMeter>(std::move(options));
  return house;
}

EnergyWatch::EnergyWatch(maas::Till& till, Duration book_every)
    : till_(till), book_every_(book_every) {
  if (till_.meter()) thread_ = std::thread([this] { watch(); });
}

EnergyWatch::~EnergyWatch() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
  book();
}

void EnergyWatch::book() {
  if (const Status booked = till_.book_overhead(); !booked)
    log_warn("the energy that no request answers for was not booked")
        .add("error", booked.error().message);
}

void EnergyWatch::watch() {
  Instant due = now() + book_every_;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kSample, [this] { return ending_; })) {
    lock.unlock();
    till_.meter()->sample();
    if (now() >= due) {
      due += book_every_;
      book();
    }
    lock.lock();
  }
}

}  // namespace mill::app
