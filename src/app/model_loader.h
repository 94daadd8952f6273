// What a ModelShelf needs of models: how large one is, and the model itself. A door, so that the
// shelf can be tested with models that weigh nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "app/model_plan.h"
#include "base/result.h"
#include "gateway/served_model.h"
#include "model/on_progress.h"

namespace mill::app {

// A model that is loaded. Any thread.
class LoadedModel {
 public:
  virtual ~LoadedModel() = default;

  // As long as this object lives, also after end().
  virtual const gateway::ServedModel& served() const = 0;
  // Of weights, keys and values, all that it may ever touch; 0 after end().
  virtual int64_t memory_bytes() const = 0;
  // What the operator should know, or "".
  virtual std::string warning() const = 0;
  // Cancels what still runs and frees the memory; from then on the worker refuses. Blocks.
  virtual void end() = 0;
};

class ModelLoader {
 public:
  virtual ~ModelLoader() = default;

  // The bytes of the model's file, without loading it. Fails as load() would for a file that can't
  // be had.
  virtual Result<int64_t> file_bytes(const ModelPlan& plan) = 0;
  // Blocks. kCancelled when `progress` says so. Not called by two threads at a time.
  virtual Result<std::unique_ptr<LoadedModel>> load(const ModelPlan& plan, int64_t kv_bytes,
                                                    const model::OnProgress& progress) = 0;
};

}  // namespace mill::app
