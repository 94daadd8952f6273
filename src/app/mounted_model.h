// One model, ready to answer: its text side, its engine, and the view of both that the gateway has.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "app/open_model.h"
#include "app/settings.h"
#include "base/result.h"
#include "engine/engine.h"
#include "gateway/served_model.h"

namespace mill::app {

class MountedModel {
 public:
  // Opens, loads and starts. `models` share the machine: each gets its part of the memory for keys
  // and values. The mill and the settings must outlive it.
  static Result<std::unique_ptr<MountedModel>> mount(const std::string& model, const Mill& mill,
                                                     const Settings& settings, int64_t models);

  const gateway::ServedModel& served() const { return served_; }
  engine::Engine& engine() { return *engine_; }
  // What the operator should know (a chat template that is refused, a context cut to fit the
  // memory), or "".
  const std::string& warning() const { return warning_; }

 private:
  MountedModel(ModelFile file, ModelText text) : file_(std::move(file)), text_(std::move(text)) {}

  ModelFile file_;
  ModelText text_;
  std::unique_ptr<engine::Engine> engine_;
  gateway::ServedModel served_;
  std::string warning_;
};

}  // namespace mill::app
