// What a load of weights may be given besides the file.
#pragma once

#include <string>

#include "model/on_progress.h"

namespace mill::model {

class PackedCache;

struct LoadOptions {
  OnProgress progress = {};
  PackedCache* cache = nullptr;  // where packed weights are looked for, and kept; null: nowhere
  std::string name = "model";    // begins the names of this model's files there
};

}  // namespace mill::model
