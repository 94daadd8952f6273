// One model, ready to answer: its text side, its engine, and the view of both that the gateway has.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include "app/model_loader.h"
#include "app/open_model.h"
#include "app/settings.h"
#include "base/result.h"
#include "engine/engine.h"
#include "gateway/served_model.h"

namespace mill::app {

// A worker whose engine can be taken away while others still hold it: then it refuses. Any thread.
class EngineDoor final : public work::Worker {
 public:
  explicit EngineDoor(std::unique_ptr<engine::Engine> engine) : engine_(std::move(engine)) {}

  Result<work::TokenStream> submit(work::Order order) override;
  work::Load load() const override;  // nothing at all after end()
  // Cancels what still runs and frees weights, keys and values.
  void end();

 private:
  mutable std::shared_mutex mutex_;  // guards the pointer; shared while the engine is used
  std::unique_ptr<engine::Engine> engine_;
};

class MountedModel final : public LoadedModel {
 public:
  // What one model gets of the machine.
  struct Part {
    std::string id;                           // empty: as the file or catalogue says
    int64_t context = 0;                      // tokens; 0: what the model was made for
    int64_t kv_bytes = 0;                     // 0: half of what is free
    std::shared_ptr<engine::TurnLane> turns;  // null: no other model uses the cores
    std::shared_ptr<work::BusyProbe> busy;    // as in EngineOptions
  };

  ~MountedModel() override;

  // Opens, loads and starts. The mill must outlive it. Without `progress`, a bar on the terminal.
  static Result<std::unique_ptr<MountedModel>> mount(const std::string& model, const Mill& mill,
                                                     const Settings& settings, const Part& part,
                                                     const model::OnProgress& progress = {});

  const gateway::ServedModel& served() const override { return served_; }
  int64_t memory_bytes() const override;
  // A chat template that is refused, a context cut to fit the memory.
  std::string warning() const override { return warning_; }
  void end() override;

 private:
  MountedModel(std::string id, ModelText text)
      : text_(std::make_unique<ModelText>(std::move(text))) {
    served_.id = std::move(id);
  }
  void note_warning(int64_t made_for, int64_t asked_for);

  std::unique_ptr<ModelText> text_;
  std::unique_ptr<EngineDoor> worker_;
  gateway::ServedModel served_;
  int64_t weight_bytes_ = 0;
  std::string warning_;
};

// The part of a model that has the machine to itself.
MountedModel::Part part_of_one(const Settings& settings);

}  // namespace mill::app
