// A simulated model, ready to answer: its text side and a worker that only takes a model's time.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include "app/model_loader.h"
#include "app/open_model.h"
#include "app/settings.h"
#include "base/result.h"
#include "gateway/served_model.h"
#include "sim/sim_worker.h"

namespace mill::app {

class SimModel final : public LoadedModel {
 public:
  // `model`: "sim:" and a profile (sim/profile.h). Of the settings, those of the batch, the queue
  // and the prefix cache count. `context`: 0 is the profile's. Fails: kInvalid for the profile, and
  // as opening a model file does for one that it takes the vocabulary of. `busy`: as in SimOptions.
  static Result<std::unique_ptr<SimModel>> mount(const std::string& model, const std::string& id,
                                                 int64_t context, const Settings& settings,
                                                 std::shared_ptr<work::BusyProbe> busy = {});

  const gateway::ServedModel& served() const override { return served_; }
  int64_t memory_bytes() const override { return 0; }
  std::string warning() const override;
  void end() override { door_.end(); }

 private:
  // A worker that can be taken away while others still hold it: then it refuses. Any thread.
  class Door final : public work::Worker {
   public:
    Result<work::TokenStream> submit(work::Order order) override;
    work::Load load() const override;
    void begin(std::unique_ptr<sim::SimWorker> worker) { worker_ = std::move(worker); }
    void end();

   private:
    mutable std::shared_mutex mutex_;
    std::unique_ptr<sim::SimWorker> worker_;
  };

  explicit SimModel(ModelText text) : text_(std::make_unique<ModelText>(std::move(text))) {}

  std::unique_ptr<ModelText> text_;
  Door door_;
  gateway::ServedModel served_;
};

}  // namespace mill::app
