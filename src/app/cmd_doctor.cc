#include "app/cmd_doctor.h"

#include <algorithm>
#include <cstdio>

#include "app/doctor.h"
#include "app/model_store.h"
#include "tensor/backend.h"

namespace mill::app {
namespace {

#if defined(__OPTIMIZE__)
constexpr bool kOptimised = true;
#else
constexpr bool kOptimised = false;
#endif

Status doctor(const Settings& settings) {
  MILL_TRY(const Catalogue catalogue, catalogue_of(settings));
  Checkup checkup;
  checkup.machine = device::read_machine();
  const auto asked = static_cast<int>(settings.integer("threads"));
  checkup.threads = asked > 0 ? asked : std::max(1, checkup.machine.usable_cores);
  checkup.rates = device::measure_rates(checkup.threads);
  for (const std::string_view name : tensor::backend_names()) checkup.backends.emplace_back(name);
  checkup.optimised_build = kOptimised;
  checkup.packed_cache = settings.path("packed-cache").string();
  checkup.packed_cache_limit = settings.bytes("packed-cache-limit");
  if (!checkup.packed_cache.empty()) checkup.packed = model::look_into(checkup.packed_cache);
  const std::string text =
      settings.on("json") ? checkup_json(checkup, catalogue) : checkup_text(checkup, catalogue);
  std::fputs(text.c_str(), stdout);
  return {};
}

}  // namespace

void add_doctor_command(CommandLine& line) {
  line.add(nullptr, "doctor", "Tell what this machine is and what to change for more speed",
           kDoctor, [](const Settings& settings) { return doctor(settings); });
}

}  // namespace mill::app
