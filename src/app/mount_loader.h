// Loads models for a ModelShelf from files: the ModelLoader of the real server.
#pragma once

#include <memory>
#include <utility>

#include "app/model_loader.h"
#include "app/open_model.h"
#include "engine/turnstile.h"
#include "work/busy_time.h"

namespace mill::app {

class MountLoader final : public ModelLoader {
 public:
  // Both must outlive it and all that it loads. `busy` is told of the steps of all.
  MountLoader(const Settings& settings, const Mill& mill, std::shared_ptr<work::BusyProbe> busy)
      : settings_(settings), mill_(mill), busy_(std::move(busy)) {}

  Result<int64_t> file_bytes(const ModelPlan& plan) override;
  Result<std::unique_ptr<LoadedModel>> load(const ModelPlan& plan, int64_t kv_bytes,
                                            const model::OnProgress& progress) override;

 private:
  const Settings& settings_;
  const Mill& mill_;
  const std::shared_ptr<work::BusyProbe> busy_;
  engine::Turnstile turnstile_;
};

// Bytes that can be taken at present by a process whose models were promised `promised`: what they
// have not touched yet is not to be had.
int64_t free_for_models(int64_t promised);

}  // namespace mill::app
