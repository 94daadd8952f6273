// What is to be served and how: the entries of models.yaml, of --model and of POST /admin/models.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/settings.h"
#include "base/clock.h"
#include "base/result.h"
#include "gateway/model_directory.h"

namespace mill::app {

inline constexpr size_t kMostModels = 256;  // of one server, loaded or not

struct ModelPlan {
  std::string model;     // a catalogue name or a path
  std::string id;        // what clients call it
  double share = 1;      // of cores and memory, against the other models' shares
  int64_t context = 0;   // tokens; 0: what the model was made for
  int64_t kv_bytes = 0;  // for keys and values; 0: its share of what there is for all
  bool preload = true;   // loaded at the start, and not only when somebody asks for it
  std::optional<Duration> idle_unload;  // without requests for so long, it goes; none: it stays
  std::optional<Duration> ttl;          // so long after it was taken in, it is forgotten

  friend bool operator==(const ModelPlan&, const ModelPlan&) = default;
};

// The plan of one entry, by the names of models.yaml: model (needed), id, share, ctx, kv_memory,
// preload, idle_unload, ttl. What is not given comes from the settings. kInvalid for an unknown or
// repeated name or a wrong value, in a sentence that begins with `where`.
Result<ModelPlan> model_plan_of(const gateway::ModelWish& fields, const Settings& settings,
                                const std::string& where);

// All that --model and the file of --models name, in this order. kInvalid when there is neither,
// when two have one id (file:line), when there are more than kMostModels, or as read_models_file.
Result<std::vector<ModelPlan>> model_plans(const Settings& settings);

// A list of entries. kNotFound, kPermission or kIo when the file can't be read; kInvalid with
// file:line for whatever is wrong in it; kTooLarge over 1 MiB.
Result<std::vector<ModelPlan>> read_models_file(const std::string& path, const Settings& settings);

// The catalogue name, the file's name without .gguf, or that of a simulated model without what changes
// it (sim/profile.h).
std::string id_of_model(const std::string& model);

}  // namespace mill::app
