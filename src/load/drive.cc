#include "load/drive.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/channel.h"

namespace mill::load {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);

// What all tasks of a run share; outlives them.
struct Hall {
  Hall(net::EventLoop& runs_on, Target& at, AskSource source, const Drive& drive)
      : loop(runs_on), target(at), asks(std::move(source)), how(drive) {}

  net::EventLoop& loop;
  Target& target;
  AskSource asks;
  const Drive& how;
  Channel<int> freed{1};  // something ended, for a dispatcher that waits for a place
  RunLog run;
  Progress progress;
  int32_t asking = 0;  // tasks that may still begin requests

  bool time_is_up() const { return how.at_most > Duration{} && now() - run.begun >= how.at_most; }
  bool over() const { return asking == 0 && progress.in_flight == 0; }
};

Record record_of(const Ask& ask, Instant intended) {
  return {.index = ask.index,
          .asked_prompt = ask.prompt_tokens(),
          .asked_output = ask.output_tokens,
          .intended = intended};
}

Task<void> ask_one(Hall& hall, Ask ask, Instant intended) {
  Record record = record_of(ask, intended);
  record.started = now();
  hall.run.most_in_flight = std::max(hall.run.most_in_flight, ++hall.progress.in_flight);
  Result<Reply> reply = co_await hall.target.ask(std::move(ask), intended + hall.how.patience);
  --hall.progress.in_flight;
  record.ok = reply.has_value();
  record.ended = record.ok ? reply->ended : now();
  if (record.ok) {
    hall.progress.tokens += reply->completion_tokens;
    record.reply = *std::move(reply);
  } else {
    record.failure = std::string(name(reply.error().code)) + ": " + reply.error().message;
    ++hall.progress.failed;
  }
  ++hall.progress.done;
  hall.run.records.push_back(std::move(record));
  hall.freed.push(1);
}

Task<void> client(Hall& hall) {
  while (!hall.time_is_up()) {
    std::optional<Ask> ask = hall.asks();
    if (!ask) break;
    co_await ask_one(hall, *std::move(ask), now());
  }
  --hall.asking;
}

Task<void> dispatcher(Hall& hall) {
  for (;;) {
    std::optional<Ask> ask = hall.asks();
    if (!ask) break;
    if (hall.how.at_most > Duration{} && ask->at >= hall.how.at_most) break;
    const Instant intended = hall.run.begun + ask->at;
    if (intended > now()) co_await net::sleep_until(intended);
    while (hall.progress.in_flight >= hall.how.in_flight) {
      const std::optional<int> freed = co_await hall.freed.next();
      (void)freed;
    }
    hall.loop.start(ask_one(hall, *std::move(ask), intended));
  }
  --hall.asking;
}

Task<void> ticker(Hall& hall) {
  for (Instant next = hall.run.begun + kTick; !hall.over(); next += kTick) {
    co_await net::sleep_until(next);
    hall.progress.seconds = to_seconds(now() - hall.run.begun);
    hall.how.on_tick(hall.progress);
  }
}

}  // namespace

RunLog drive(net::EventLoop& loop, Target& target, AskSource asks, const Drive& how) {
  Hall hall(loop, target, std::move(asks), how);
  hall.run.open_loop = how.clients == 0;
  hall.asking = std::max(how.clients, 1);
  hall.run.begun = now();
  if (hall.run.open_loop) {
    hall.loop.start(dispatcher(hall));
  } else {
    for (int32_t i = 0; i < how.clients; ++i) hall.loop.start(client(hall));
  }
  if (how.on_tick) hall.loop.start(ticker(hall));
  loop.run();
  hall.run.ended = hall.run.begun;
  for (const Record& record : hall.run.records) {
    hall.run.ended = std::max(hall.run.ended, record.ended);
  }
  return std::move(hall.run);
}

}  // namespace mill::load
