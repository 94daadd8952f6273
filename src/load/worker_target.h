// A load on a worker of this process: no HTTP, no text, the engine alone.
#pragma once

#include <cstdint>

#include "load/prompt.h"
#include "load/target.h"
#include "work/worker.h"

namespace mill::load {

struct WorkerTargetOptions {
  IdRange ids;  // of prompts
  uint64_t seed = 1;
  double temperature = 0;
  bool unique_salts = false;  // each request as if of a tenant of its own: no prefix is shared
  bool speculate = true;
  std::vector<TokenId> stop_tokens;  // end an answer early; empty: all are as long as asked
};

class WorkerTarget final : public Target {
 public:
  // `worker` must outlive it. Requests must be recipes, not texts.
  WorkerTarget(work::Worker& worker, WorkerTargetOptions options)
      : worker_(worker), options_(std::move(options)) {}

  Task<Result<Reply>> ask(Ask ask, Instant deadline) override;

 private:
  work::Worker& worker_;
  const WorkerTargetOptions options_;
};

}  // namespace mill::load
