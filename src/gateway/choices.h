// The answers to one call, all being made at a time: whatever comes next, from whichever of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "work/worker.h"

namespace mill::gateway {

struct ChoiceEvent {
  size_t choice = 0;
  work::Event event;
};

// Belongs to one coroutine, on one loop; destroying it cancels what has not finished.
class Choices {
 public:
  // Hands every order to the worker. Fails as Worker::submit does; then those that were taken are
  // cancelled.
  static Result<Choices> submit(work::Worker& worker, std::vector<work::Order> orders);

  Choices(Choices&&) = default;
  Choices& operator=(Choices&&) = delete;
  ~Choices();

  size_t count() const;
  // The next event of any choice. Nothing: `deadline` has passed. Requires: fewer than count()
  // Finished have come.
  Task<std::optional<ChoiceEvent>> next(Instant deadline);
  // The next event if it is there already: many come at a time. Requires: as next().
  std::optional<ChoiceEvent> ready();
  // Finished still comes, within two steps of the worker.
  void cancel(size_t choice);
  void cancel_all();
  // A way to cancel that may outlive this object.
  std::function<void()> canceller() const;

 private:
  struct State;
  explicit Choices(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace mill::gateway
