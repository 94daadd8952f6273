// A number that only rises, and coroutines on any number of loops that wait until it has reached
// theirs.
//
// A rise wakes each loop once, however many wait there, and takes no lock of theirs but one: for
// what is reached many thousand times a second by a thread of its own, a Channel for each who waits
// costs a wake-up each.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/task.h"

namespace mill {

class Watermark {
 public:
  explicit Watermark(int64_t level = 0) : level_(level) {}

  // From any thread. A lower number than before changes nothing.
  void rise(int64_t to);
  // Ends every wait, those to come too, with false where the number is not reached. The number may
  // still rise.
  void close();

  int64_t level() const { return level_.load(); }

  // True: the number is `level` or more. False: `deadline` passed first, or it was closed.
  Task<bool> reached(int64_t level, Instant deadline);

 private:
  struct Waiter {
    int64_t level;
    std::shared_ptr<Timer> timer;
  };
  struct Asleep;

  void wake(int64_t level);

  std::atomic<int64_t> level_;
  std::atomic<bool> closed_ = false;
  std::mutex mutex_;
  std::vector<Waiter> waiters_;
};

}  // namespace mill
