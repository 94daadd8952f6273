// The models of a server: which there are, which are loaded, and the way from one to the other.
//
// Loads run one at a time on a thread of their own, unloads on theirs; nobody else waits for them.
// A request holds a lease, and what it leases is taken away only after it has ended, or when a
// drain has lasted too long: then its answer is cancelled. However many requests ask for a model,
// it is loaded once. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/model_loader.h"
#include "app/model_plan.h"
#include "base/clock.h"
#include "gateway/model_directory.h"

namespace mill::app {

struct ShelfOptions {
  Duration load_deadline = std::chrono::minutes(2);    // a request waits so long for a load
  Duration drain_deadline = std::chrono::seconds(30);  // running answers have so long to end
  int64_t kv_total = 0;  // keys and values of all models; 0: half of what is free
  // Bytes that can be taken at present, given how many the loaded models were promised.
  std::function<int64_t(int64_t promised)> free_bytes;
  // Reads what POST /admin/models asks for.
  std::function<Result<ModelPlan>(const gateway::ModelWish&)> plan_of;
  bool tends_itself = true;  // false: the owner calls tend()
};

class ModelShelf final : public gateway::ModelDirectory, public gateway::ModelAdmin {
 public:
  // The loader must outlive the shelf.  Requires: no two plans have one id.
  ModelShelf(std::vector<ModelPlan> plans, ModelLoader& loader, ShelfOptions options);
  // As close(); then waits for the threads. Leases that are left stay good.
  ~ModelShelf() override;

  // Begins to load what is to be there from the start. Once.
  void preload();
  // Nothing while preload() goes on; then how it ended: the first error, or well.
  std::optional<Status> preloaded() const;
  // Fails everybody who waits, and gives up what is being loaded. From now on nothing is loaded.
  void close();

  // Unloads what has been idle for too long and forgets what is past its time. When it is to be
  // called next: kNever when nothing can come due by itself.
  Instant tend(Instant now);

  Found find(std::string_view id) override;
  Task<Result<gateway::ModelLease>> wait_for(std::string id) override;
  std::vector<gateway::KnownModel> list() const override;
  bool ready() const override;
  gateway::ModelAdmin* admin() override { return this; }

  std::vector<gateway::ModelStatus> status() const override;
  Task<Result<gateway::ModelStatus>> load(gateway::ModelWish wish, bool wait) override;
  Task<Result<gateway::ModelStatus>> unload(std::string id, bool keep, bool wait) override;

  struct Core;

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace mill::app
