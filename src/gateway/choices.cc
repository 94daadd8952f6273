#include "gateway/choices.h"

#include <limits>

#include "base/channel.h"
#include "net/beside.h"

namespace mill::gateway {

struct Choices::State {
  std::vector<work::TokenStream> streams;
  // As large as it takes: what goes in was bounded where it came from, by each order's max_tokens.
  Channel<ChoiceEvent> merged{std::numeric_limits<size_t>::max()};
  bool merging = false;

  void cancel_all() {
    for (work::TokenStream& stream : streams) stream.cancel();
  }

  // The next event of one choice; a worker that ends a stream without a Finished has failed.
  static Task<std::optional<ChoiceEvent>> next_of(std::shared_ptr<State> state, size_t choice,
                                                  Instant deadline) {
    std::optional<work::Event> event = co_await state->streams[choice].next(deadline);
    if (!event) {
      if (now() < deadline) {
        work::Finished lost;
        lost.reason = work::FinishReason::kFault;
        lost.fault = Error{Code::kInternal, "the worker dropped this answer", ""};
        co_return ChoiceEvent{choice, lost};
      }
      co_return std::nullopt;
    }
    co_return ChoiceEvent{choice, std::move(*event)};
  }

  static Task<void> forward(std::shared_ptr<State> state, size_t choice) {
    for (;;) {
      std::optional<ChoiceEvent> event = co_await next_of(state, choice, kNever);
      const bool finished = std::holds_alternative<work::Finished>(event->event);
      state->merged.push(std::move(*event));
      if (finished) co_return;
    }
  }
};

Result<Choices> Choices::submit(work::Worker& worker, std::vector<work::Order> orders) {
  auto state = std::make_shared<State>();
  for (work::Order& order : orders) {
    MILL_TRY(work::TokenStream stream, worker.submit(std::move(order)));
    state->streams.push_back(std::move(stream));
  }
  return Choices(std::move(state));
}

Choices::Choices(std::shared_ptr<State> state) : state_(std::move(state)) {}

Choices::~Choices() {
  if (state_) state_->cancel_all();
}

size_t Choices::count() const {
  return state_->streams.size();
}

Task<std::optional<ChoiceEvent>> Choices::next(Instant deadline) {
  const std::shared_ptr<State> state = state_;
  if (state->streams.size() == 1) {
    std::optional<ChoiceEvent> event = co_await State::next_of(state, 0, deadline);
    co_return event;
  }
  if (!std::exchange(state->merging, true)) {
    for (size_t choice = 0; choice < state->streams.size(); ++choice) {
      co_await net::start_beside(State::forward(state, choice));
    }
  }
  std::optional<ChoiceEvent> event = co_await state->merged.next(deadline);
  co_return event;
}

std::optional<ChoiceEvent> Choices::ready() {
  if (state_->streams.size() > 1) return state_->merged.ready();
  std::optional<work::Event> event = state_->streams.front().ready();
  if (!event) return std::nullopt;
  return ChoiceEvent{0, std::move(*event)};
}

void Choices::cancel(size_t choice) {
  state_->streams[choice].cancel();
}
void Choices::cancel_all() {
  state_->cancel_all();
}

std::function<void()> Choices::canceller() const {
  return [state = state_] { state->cancel_all(); };
}

}  // namespace mill::gateway
