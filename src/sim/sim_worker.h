// A work::Worker that follows the engine's interface by a step-time profile and computes nothing,
// so that what stands around an engine can be measured and tested.
//
// Orders come in from any thread; a thread of its own takes the steps, and sleeps as long as each
// would take. Where nothing takes time, and nothing hangs, there is no such thread: submit() makes
// the whole answer, and its stream is finished when it returns.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sim/profile.h"
#include "sim/sim_batch.h"
#include "work/busy_time.h"
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
  void close_intake();           // from now on submit fails with kOverloaded
  bool drain(Instant deadline);  // as Engine::drain

 private:
  explicit SimWorker(SimOptions options);
  Status check(const work::Order& order) const;
  void answer_now(Prepared order, work::TokenSink sink);
  void serve();
  bool wait_for_work();
  bool sleep_until(Instant end);
  void settle();

  using Accepted = std::pair<Prepared, work::TokenSink>;

  const SimOptions options_;
  const bool at_once_;
  const int64_t places_;
  SimBatch batch_;              // the step thread's alone; at once: under the mutex
  std::deque<Accepted> taken_;  // the step thread's alone
  Instant step_end_{};          // likewise

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::condition_variable quiet_;
  std::deque<Accepted> intake_;
  work::Load load_;
  double seconds_per_answer_ = 0;  // of the recent past, while there was work
  Instant last_ending_{};
  int64_t in_flight_ = 0;
  int64_t undelivered_ = 0;
  int64_t ended_ = 0;
  bool closed_ = false;
  bool ending_ = false;

  std::thread thread_;  // last: runs on everything above
};

}  // namespace mill::sim
