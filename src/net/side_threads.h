// A few threads for work that is too long for an io thread: parsing, rendering and tokenizing a
// huge prompt.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/channel.h"
#include "base/task.h"

namespace mill::net {

class SideThreads {
 public:
  // Requires: count >= 1.
  explicit SideThreads(int count);
  // Finishes what runs and drops what has not begun; who still waits for that never wakes.
  ~SideThreads();

  // Runs `work` on one of the threads, first come first served, and resumes the caller on its own
  // loop with what came of it. `work` must own all that it needs: it goes on when the caller's
  // server is taken down. It must not throw.
  template <class T>
  Task<T> run(std::function<T()> work) {
    const auto done = std::make_shared<Channel<T>>(1);
    post([done, work = std::move(work)] { done->push(work()); });
    std::optional<T> result = co_await done->next();
    co_return std::move(*result);
  }

 private:
  void post(std::function<void()> work);

  struct Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace mill::net
