#include "app/mount_loader.h"

#include <algorithm>
#include <filesystem>

#include "app/model_store.h"
#include "app/mounted_model.h"
#include "app/sim_model.h"
#include "device/limits.h"
#include "sim/profile.h"

namespace mill::app {

Result<int64_t> MountLoader::file_bytes(const ModelPlan& plan) {
  if (sim::is_sim(plan.model)) return 0;
  MILL_TRY(const std::filesystem::path path, resolve_model(plan.model, settings_));
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Code::kIo, "cannot read " + path.string() + ": " + error.message());
  return static_cast<int64_t>(size);
}

Result<std::unique_ptr<LoadedModel>> MountLoader::load(const ModelPlan& plan, int64_t kv_bytes,
                                                       const model::OnProgress& progress) {
  if (sim::is_sim(plan.model)) {
    MILL_TRY(std::unique_ptr<SimModel> simulated,
             SimModel::mount(plan.model, plan.id, plan.context, settings_, busy_));
    return std::unique_ptr<LoadedModel>(std::move(simulated));
  }
  // The load takes turns with the models that answer meanwhile, one matrix at a time.
  const std::unique_ptr<engine::TurnLane> lane = turnstile_.open(plan.share);
  const MountedModel::Part part{.id = plan.id,
                                .context = plan.context,
                                .kv_bytes = kv_bytes,
                                .turns = turnstile_.open(plan.share),
                                .busy = busy_};
  MILL_TRY(std::unique_ptr<MountedModel> mounted,
           MountedModel::mount(plan.model, mill_, settings_, part, [&](double share) {
             if (!progress(share)) return false;
             if (share < 1) {
               lane->take_turn();
             } else {
               lane->rest();
             }
             return true;
           }));
  return std::unique_ptr<LoadedModel>(std::move(mounted));
}

int64_t free_for_models(int64_t promised) {
  const int64_t untouched = std::max<int64_t>(0, promised - device::anonymous_memory_bytes());
  return device::available_memory_bytes() - untouched;
}

}  // namespace mill::app
