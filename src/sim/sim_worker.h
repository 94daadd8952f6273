// A work::Worker that follows the engine's interface by a step-time profile and computes nothing,
// so that what stands around an engine can be measured and tested.
//
// Orders come in from any thread; a thread of its own takes the steps, and sleeps as long as each
// would take. Where nothing takes time, and nothing hangs, there is no such thread: submit() makes
// the whole answer, and its stream is finished when it returns.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sim/profile.h"
#include "sim/sim_batch.h"
#include "work/busy_time.h"
#include "work/intake.h"
#include "work/worker.h"

namespace mill::sim {

struct SimOptions {
  Profile profile;
  BatchLimits limits;
  int64_t queue = 256;  // orders that may wait behind those that run
  int64_t vocabulary = 0;
  std::vector<TokenId> alphabet;  // what answers are made of: not empty, within the vocabulary
  std::shared_ptr<work::BusyProbe> busy;  // is told of each step's time; null: nobody asks
};

class SimWorker final : public work::Worker {
 public:
  // Fails: kInvalid (an option out of bounds; `param` names it).
  static Result<std::unique_ptr<SimWorker>> start(SimOptions options);
  // Ends what still runs or waits with kCancelled.
  ~SimWorker() override;

  // As Worker::submit and as the engine's: every stream gets exactly one Finished, and a reader
  // that has seen it finds its place free and load() up to date.
  Result<work::TokenStream> submit(work::Order order) override;
  work::Load load() const override;

  int64_t context_tokens() const { return options_.profile.context; }
  void close_intake() { intake_.close(); }  // from now on submit fails with kOverloaded
  bool drain(Instant deadline) { return intake_.drain(deadline); }  // as Engine::drain

 private:
  using Accepted = std::pair<Prepared, work::TokenSink>;

  explicit SimWorker(SimOptions options);
  void answer_now(Accepted& accepted);  // moved from
  void serve();
  void settle();

  const SimOptions options_;
  const bool at_once_;
  SimBatch batch_;              // the step thread's alone; at once: under the lock
  std::deque<Accepted> taken_;  // the step thread's alone
  Instant step_end_{};          // likewise

  work::Intake<Accepted> intake_;  // its lock guards what follows
  work::Load load_;
  double seconds_per_answer_ = 0;  // of the recent past, while there was work
  Instant last_ending_{};
  int64_t ended_ = 0;

  std::thread thread_;  // last: runs on everything above
};

}  // namespace mill::sim
