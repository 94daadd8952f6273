// A thread's own loop of coroutines: for programs that wait for many sockets, channels and times
// and have no server's threads. Tasks of one loop never run at the same time.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/task.h"

namespace mill::net {

class EventLoop {
 public:
  EventLoop();
  // Drops what still runs.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Starts `task` at the loop's next turn; from the loop's thread, or before run(). The task must
  // own, or outlive the use of, what it works on. It must not fail: an exception that leaves it
  // leaves run().
  void start(Task<void> task);

  // Runs until every task has ended. May be called again after more were started.
  void run();

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

// Waits on the caller's own loop.
Task<void> sleep_until(Instant when);

}  // namespace mill::net
