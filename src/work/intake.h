// How orders get from any thread to the one that takes a worker's steps, and when all have ended.
//
// An order holds one of the worker's places from add() until the step thread counts it out. Only
// then is its reader told, so that who has seen the end of an answer finds its place free; drain()
// waits for that telling. The worker's own books may stand under the same lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace mill::work {

template <class Item>
class Intake {
 public:
  explicit Intake(int64_t places) : places_(places) {}

  // ---- any thread ----

  // Moves the item to the step thread and calls `then` with the books locked.
  // Fails: as when_open; the item is then as it was, and `then` not called.
  template <class Then>
  Status add(Item& item, const Then& then) {
    return when_open([&] {
      ++in_flight_;
      ++undelivered_;
      then();
      queue_.push_back(std::move(item));
      wake_.notify_one();
    });
  }
  // Calls `then` with the books locked. Fails: kOverloaded (closed, or no place is free).
  template <class Then>
  Status when_open(const Then& then) {
    std::lock_guard lock(mutex_);
    if (closed_) return fail(Code::kOverloaded, "the model is shutting down, ask another");
    if (in_flight_ >= places_) {
      return fail(Code::kOverloaded, "too many requests are waiting, try again later");
    }
    then();
    return {};
  }
  // From now on nothing is taken.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  // Closes and waits until the reader of each that was taken has been told, or until `deadline`.
  // Whether all have.
  bool drain(Instant deadline) {
    std::unique_lock lock(mutex_);
    closed_ = true;
    const auto told = [&] { return undelivered_ == 0; };
    if (deadline == kNever) {
      quiet_.wait(lock, told);
      return true;
    }
    return quiet_.wait_until(lock, deadline, told);
  }
  // What `look` makes of the books, locked, and of how many are in: queued or with the step thread.
  template <class Look>
  auto books(const Look& look) const {
    std::lock_guard lock(mutex_);
    return look(in_flight_);
  }
  int64_t places() const { return places_; }
  // Closes and ends the step thread's waiting.
  void end() {
    {
      std::lock_guard lock(mutex_);
      closed_ = ending_ = true;
    }
    wake_.notify_one();
  }

  // ---- the step thread ----

  // Sleeps until something has come in, unless `working`, and gives what has to `taken`, which is
  // empty. False: end() was called.
  bool wait(bool working, std::deque<Item>& taken) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return working || ending_ || !queue_.empty(); });
    std::swap(queue_, taken);
    return !ending_;
  }
  // Sleeps until then, whatever comes in. False: end() was called.
  bool sleep_until(Instant time) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_until(lock, time, [&] { return ending_; });
  }
  // After a step: calls `book` with the books locked and the queue, counts as in flight the queued
  // ones and `working` of the step thread's, lets `tell` tell the readers of the others, and then
  // those who drain.
  template <class Book, class Tell>
  void settle(int64_t working, const Book& book, const Tell& tell) {
    {
      std::lock_guard lock(mutex_);
      book(std::as_const(queue_));
      in_flight_ = working + static_cast<int64_t>(queue_.size());
    }
    tell();
    std::lock_guard lock(mutex_);
    undelivered_ = working + static_cast<int64_t>(queue_.size());
    if (undelivered_ == 0) quiet_.notify_all();
  }

 private:
  const int64_t places_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::condition_variable quiet_;
  std::deque<Item> queue_;
  int64_t in_flight_ = 0;    // hold a place
  int64_t undelivered_ = 0;  // their readers have not been told
  bool closed_ = false;
  bool ending_ = false;
};

}  // namespace mill::work
