// The models that clients can name, which may come and go while the server runs.
//
// A request holds a lease on its model, and as long as it does, nothing of the model is taken away.
// The gateway looks models up here and hands on what operators ask for; who loads and unloads is
// app.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "gateway/served_model.h"

namespace mill::gateway {

// Holds a model for one request. Dropping it is cheap, on any thread.
using ModelLease = std::shared_ptr<const ServedModel>;

// A model as /v1/models and /metrics show it.
struct KnownModel {
  std::string id;
  int64_t created = 0;         // unix seconds
  int32_t context_tokens = 0;  // 0: not known before it is loaded
  ModelLease loaded;           // null: not loaded; does not count as a request
};

// How a model stands, for operators.
struct ModelStatus {
  std::string id;
  std::string model;           // what was asked for: a catalogue name or a path
  std::string_view state;      // "unloaded", "loading", "ready", "draining", "failed"
  double progress = 0;         // of a load, [0, 1]
  std::string reason;          // of a failed load
  double share = 1;            // of cores and memory, against the other models'
  int32_t context_tokens = 0;  // 0: not known before it is loaded
  int64_t file_bytes = 0;      // 0: not known yet
  int64_t memory_bytes = 0;    // of weights, keys and values; 0 when not loaded
  int64_t requests = 0;        // that hold it now
  int64_t waiting = 0;         // requests that wait for its load
  double idle_seconds = 0;     // since the last request, or the load
  std::optional<double> idle_unload_seconds;  // none: stays
  std::string warning;                        // what the operator should know, or ""
  work::Load load;
};

// What an operator asks for, name by name as text: the fields of an entry of models.yaml.
using ModelWish = std::vector<std::pair<std::string, std::string>>;

// Loads and unloads. Any thread.
class ModelAdmin {
 public:
  virtual ~ModelAdmin() = default;

  virtual std::vector<ModelStatus> status() const = 0;

  // Takes a model in and begins to load it, and with `wait` returns when that has ended. A model
  // that is known by that id and is not loaded is loaded again; its other fields must be the same.
  // Fails: kInvalid (a field), kNotFound (no such file), kOverloaded (no memory), whatever the load
  // failed with, kDeadline (waited too long; the load goes on).
  virtual Task<Result<ModelStatus>> load(ModelWish wish, bool wait) = 0;

  // Lets running answers end within the drain deadline, and then unloads; with `wait` returns when
  // that is done, or when somebody has loaded it again meanwhile (the state tells). With `keep` the
  // model stays known and comes back on demand, else it is forgotten.
  // Fails: kNotFound.
  virtual Task<Result<ModelStatus>> unload(std::string id, bool keep, bool wait) = 0;
};

class ModelDirectory {
 public:
  virtual ~ModelDirectory() = default;

  struct Found {
    ModelLease lease;    // null: not loaded, or not known
    bool known = false;  // wait_for() may bring it
  };
  // Never waits. Any thread.
  virtual Found find(std::string_view id) = 0;

  // A lease on a model that is being loaded, or is loaded for this. Fails: kNotFound, what the load
  // failed with, or kOverloaded when it takes longer than a request may wait.
  virtual Task<Result<ModelLease>> wait_for(std::string id) = 0;

  // All that clients can name, in a lasting order. Any thread.
  virtual std::vector<KnownModel> list() const = 0;

  // Whether all models that are to be there from the start have been loaded.
  virtual bool ready() const = 0;

  virtual ModelAdmin* admin() { return nullptr; }  // null: the models never change
};

// Models that are there from the start and never change.
class FixedModels final : public ModelDirectory {
 public:
  // What the models point at must outlive it.
  explicit FixedModels(std::vector<ServedModel> models);
  Found find(std::string_view id) override;
  Task<Result<ModelLease>> wait_for(std::string id) override;
  std::vector<KnownModel> list() const override;
  bool ready() const override { return true; }

 private:
  std::vector<ModelLease> models_;
};

}  // namespace mill::gateway
