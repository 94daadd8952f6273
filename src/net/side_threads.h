// A few threads for work that is too long for an io thread: parsing, rendering and tokenizing a
// huge prompt.
#pragma once

#include <functional>
#include <memory>

#include "base/task.h"

namespace mill::net {

class SideThreads {
 public:
  // Requires: count >= 1.
  explicit SideThreads(int count);
  // Finishes what runs; what has not begun is dropped, and who waits for it never wakes: stop the
  // server first.
  ~SideThreads();

  // Runs `work` on one of the threads, first come first served, and resumes the caller on its own
  // strand. `work` must not throw.
  Task<void> run(std::function<void()> work);

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace mill::net
