#include "base/watermark.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

namespace mill {

// A wait whose coroutine ends, or is dropped with its loop, leaves no timer behind to be woken.
struct Watermark::Asleep {
  Watermark* mark;
  const Timer* timer;

  ~Asleep() {
    const std::lock_guard lock(mark->mutex_);
    std::erase_if(mark->waiters_, [&](const Waiter& one) { return one.timer.get() == timer; });
  }
};

void Watermark::rise(int64_t to) {
  int64_t before = level_.load();
  while (before < to && !level_.compare_exchange_weak(before, to)) {
  }
  if (before < to) wake(to);
}

void Watermark::close() {
  closed_ = true;
  wake(INT64_MAX);
}

// The cancels are posted to the waiters' own loops, behind the waits that are being started there,
// and under the lock, as a loop can't go away before its waiters have taken it.
void Watermark::wake(int64_t level) {
  using Timers = std::vector<std::shared_ptr<Timer>>;
  std::vector<std::pair<Executor, Timers>> loops;
  const std::lock_guard lock(mutex_);
  const auto due = std::partition(waiters_.begin(), waiters_.end(),
                                  [&](const Waiter& one) { return one.level > level; });
  for (auto one = due; one != waiters_.end(); ++one) {
    const Executor loop = one->timer->get_executor();
    auto place = std::find_if(loops.begin(), loops.end(),
                              [&](const auto& known) { return known.first == loop; });
    if (place == loops.end()) place = loops.insert(place, {loop, Timers()});
    place->second.push_back(std::move(one->timer));
  }
  waiters_.erase(due, waiters_.end());
  for (auto& [loop, timers] : loops) {
    boost::asio::post(loop, [timers = std::move(timers)] {
      for (const auto& timer : timers) timer->cancel();
    });
  }
}

Task<bool> Watermark::reached(int64_t level, Instant deadline) {
  if (level_.load() >= level) co_return true;
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto timer = std::make_shared<Timer>(executor, deadline);
  {
    const std::lock_guard lock(mutex_);
    waiters_.push_back({level, timer});
  }
  const Asleep asleep{this, timer.get()};
  // Whoever raised it before the lines above may have seen nobody wait.
  if (level_.load() >= level) co_return true;
  if (closed_) co_return false;
  boost::system::error_code cancelled;
  co_await timer->async_wait(boost::asio::redirect_error(kAwait, cancelled));
  co_return level_.load() >= level;
}

}  // namespace mill
