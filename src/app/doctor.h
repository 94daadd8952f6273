// What `tokenmill doctor` says of a machine: the facts, and what to change for more speed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/catalogue.h"
#include "device/machine.h"
#include "device/probe.h"
#include "model/packed_cache.h"

namespace mill::app {

struct Checkup {
  device::Machine machine;
  device::Rates rates;
  int threads = 1;                    // that the rates were measured with
  std::vector<std::string> backends;  // that this binary can run here, fastest first
  bool optimised_build = true;
  std::string packed_cache;                   // the folder (--packed-cache), or ""
  int64_t packed_cache_limit = 0;             // bytes
  std::optional<model::PackedFolder> packed;  // what it holds; nothing when it can't be read
};

// One sentence each, the most useful first; empty when nothing was found.
std::vector<std::string> advice_for(const Checkup& checkup);

// The largest model of the catalogue that fits into the memory that is free; null when none does.
const CatalogueModel* largest_that_fits(const Catalogue& catalogue, int64_t available_bytes);

std::string checkup_text(const Checkup& checkup, const Catalogue& catalogue);
std::string checkup_json(const Checkup& checkup, const Catalogue& catalogue);

}  // namespace mill::app
