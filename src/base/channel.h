// A bounded queue from any number of threads to one reader, which is a coroutine (next) or a thread (next_blocking).
//
// The writer never waits: a full or closed channel refuses. The reader's coroutine must run on one loop for the whole
// life of the channel. Close once; what was pushed before stays readable.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/task.h"

namespace mill {

template <class T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) {}

  // False when the channel is full or closed; the item is then dropped.
  bool push(T item) {
    std::lock_guard lock(mutex_);
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    wake();
    return true;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    wake();
  }

  // The next item. Nothing: the channel is closed and empty, or `deadline` passed (then timed_out() is true).
  Task<std::optional<T>> next(Instant deadline = kNever) {
    const auto executor = co_await boost::asio::this_coro::executor;
    for (;;) {
      std::shared_ptr<Timer> timer;
      {
        std::lock_guard lock(mutex_);
        timed_out_ = false;
        if (auto item = take()) co_return item;
        if (closed_) co_return std::nullopt;
        if (now() >= deadline) {
          timed_out_ = true;
          co_return std::nullopt;
        }
        timer = std::make_shared<Timer>(executor, deadline);
        sleeper_ = timer;
      }
      const Asleep asleep{this};
      boost::system::error_code cancelled;
      co_await timer->async_wait(boost::asio::redirect_error(kAwait, cancelled));
    }
  }

  // The next item if it is there already.
  std::optional<T> ready() {
    std::lock_guard lock(mutex_);
    return take();
  }

  // As next(), for a plain thread.
  std::optional<T> next_blocking(Instant deadline = kNever) {
    std::unique_lock lock(mutex_);
    timed_out_ = false;
    const auto ready = [&] { return closed_ || !items_.empty(); };
    if (deadline == kNever) {
      readable_.wait(lock, ready);
    } else if (!readable_.wait_until(lock, deadline, ready)) {
      timed_out_ = true;
      return std::nullopt;
    }
    return take();
  }

  bool timed_out() const { return timed_out_; }  // of the reader's last call; the reader alone may ask

 private:
  // A reader whose wait is dropped (its executor goes away) must not leave its timer behind for the writer to wake.
  struct Asleep {
    Channel* channel;
    ~Asleep() {
      std::lock_guard lock(channel->mutex_);
      channel->sleeper_.reset();
    }
  };

  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  // Requires: mutex_ is held. The cancel is posted to the reader's own loop, behind the wait that is being started there.
  void wake() {
    readable_.notify_one();
    if (!sleeper_) return;
    const auto executor = sleeper_->get_executor();
    boost::asio::post(executor, [timer = std::move(sleeper_)] { timer->cancel(); });
    sleeper_.reset();
  }

  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable readable_;
  std::deque<T> items_;
  bool closed_ = false;
  bool timed_out_ = false;
  std::shared_ptr<Timer> sleeper_;  // set while the reader's coroutine waits
};

}  // namespace mill
