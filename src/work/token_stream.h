// The belt between a worker and whoever reads an answer. One writer (the worker's TokenSink), one reader (the TokenStream).
//
// The writer never waits; its channel is as large as the answer can be (prompt pieces + max_tokens + Finished), so it never
// refuses. Dropping or cancelling the stream tells the writer, which ends the answer within two steps.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "base/channel.h"
#include "base/check.h"
#include "work/event.h"

namespace mill::work {

namespace detail {
struct Belt {
  explicit Belt(size_t capacity) : events(capacity) {}
  Channel<Event> events;
  std::atomic<bool> cancelled{false};
};
}  // namespace detail

// The reader's end. Movable; destroying it cancels an answer that has not finished.
class TokenStream {
 public:
  explicit TokenStream(std::shared_ptr<detail::Belt> belt) : belt_(std::move(belt)) {}
  TokenStream(TokenStream&&) = default;
  TokenStream& operator=(TokenStream&& other) noexcept {
    cancel();
    belt_ = std::move(other.belt_);
    return *this;
  }
  ~TokenStream() { cancel(); }

  // The next event. After Finished nothing may be asked. Nothing: `deadline` passed (the stream goes on).
  Task<std::optional<Event>> next(Instant deadline = kNever) { return belt_->events.next(deadline); }
  std::optional<Event> ready() { return belt_->events.ready(); }  // the next event if it is there already
  std::optional<Event> next_blocking(Instant deadline = kNever) { return belt_->events.next_blocking(deadline); }

  // The reader has left. Finished{kCancelled, usage} still comes for whoever goes on reading. Idempotent.
  void cancel() {
    if (belt_) belt_->cancelled.store(true, std::memory_order_relaxed);
  }

 private:
  std::shared_ptr<detail::Belt> belt_;
};

// The worker's end; used by one thread at a time.
class TokenSink {
 public:
  explicit TokenSink(std::shared_ptr<detail::Belt> belt) : belt_(std::move(belt)) {}
  TokenSink(TokenSink&&) = default;
  TokenSink& operator=(TokenSink&&) = default;
  ~TokenSink() {
    if (belt_) MILL_CHECK(finished_);  // a stream without its Finished would hang its reader
  }

  bool cancelled() const { return belt_->cancelled.load(std::memory_order_relaxed); }
  void deliver(Piece piece) { MILL_CHECK(belt_->events.push(std::move(piece))); }
  void finish(Finished finished) {
    MILL_CHECK(!finished_);
    finished_ = true;
    MILL_CHECK(belt_->events.push(std::move(finished)));
    belt_->events.close();
  }

 private:
  std::shared_ptr<detail::Belt> belt_;
  bool finished_ = false;
};

// A belt for at most `pieces` pieces and one Finished.
inline std::pair<TokenSink, TokenStream> make_token_stream(size_t pieces) {
  auto belt = std::make_shared<detail::Belt>(pieces + 1);
  return {TokenSink(belt), TokenStream(belt)};
}

}  // namespace mill::work
