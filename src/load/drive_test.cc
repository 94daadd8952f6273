#include "load/drive.h"

#include <gtest/gtest.h>

#include "load/summary.h"
#include "load/worker_target.h"
#include "load/workload.h"

namespace mill::load {
namespace {

using namespace std::chrono_literals;

// Answers after a time; one request at a time when `serial`.
class SlowTarget final : public Target {
 public:
  SlowTarget(Duration time, bool serial) : time_(time), serial_(serial) {}

  Task<Result<Reply>> ask(Ask ask, Instant deadline) override {
    most_ = std::max(most_, ++asking_);
    const Instant until = (serial_ ? std::max(free_, now()) : now()) + time_;
    free_ = until;
    co_await net::sleep_until(std::min(until, deadline));
    --asking_;
    if (ask.index % 10 == 9) co_return fail(Code::kOverloaded, "no room");
    if (until > deadline) co_return fail(Code::kDeadline, "late");
    Reply reply{.pieces = {now()}, .ended = now(), .prompt_tokens = ask.prompt_tokens()};
    reply.completion_tokens = ask.output_tokens;
    co_return reply;
  }
  int most() const { return most_; }

 private:
  const Duration time_;
  const bool serial_;
  Instant free_{};
  int asking_ = 0, most_ = 0;
};

AskSource requests(int64_t count) {
  return synthetic({.prompt = {.low = 5}, .output = {.low = 3}, .requests = count});
}

TEST(Drive, a_closed_loop_has_its_number_of_clients_and_asks_all) {
  net::EventLoop loop;
  SlowTarget target(2ms, false);
  int ticks = 0;
  const RunLog run = drive(loop, target, requests(50),
                           {.clients = 7, .on_tick = [&](const Progress&) { ++ticks; }});
  EXPECT_EQ(target.most(), 7);
  EXPECT_EQ(run.most_in_flight, 7);
  EXPECT_EQ(run.records.size(), 50);
  EXPECT_FALSE(run.open_loop);
  const Summary sum = summarise(run, {});
  EXPECT_EQ(sum.ok, 45);
  EXPECT_EQ(sum.failed, 5);
  EXPECT_EQ(sum.failures.front().example, "overloaded: no room");
  EXPECT_EQ(sum.prompt_tokens, 45 * 5);
  EXPECT_GE(sum.e2e.p50, 0.002);
  EXPECT_GE(ticks, 1);
}

TEST(Drive, an_open_loop_measures_from_when_requests_should_have_begun) {
  net::EventLoop loop;
  SlowTarget target(20ms, true);  // takes 50 a second and is asked 200
  const RunLog run = drive(
      loop, target, arriving(requests(20), {.per_second = 200, .process = Process::kEven}), {});
  ASSERT_EQ(run.records.size(), 20);
  EXPECT_TRUE(run.open_loop);
  const Summary sum = summarise(run, {});
  // The 20th is intended after 100 ms and done after 400 ms or more: a client that waits for its
  // answers would have seen 20 ms.
  EXPECT_GE(sum.e2e.max, 0.28);
  EXPECT_GE(run.most_in_flight, 10);
}

TEST(Drive, a_limit_in_flight_delays_and_the_delay_counts) {
  net::EventLoop loop;
  SlowTarget target(20ms, false);
  const RunLog run =
      drive(loop, target, arriving(requests(9), {.per_second = 1000, .process = Process::kEven}),
            {.in_flight = 1});
  EXPECT_EQ(target.most(), 1);
  const Summary sum = summarise(run, {});
  EXPECT_EQ(sum.ok, 9);
  EXPECT_GE(sum.e2e.max, 0.15);
  EXPECT_GE(sum.late.max, 0.13);
}

TEST(Drive, ends_when_its_time_is_up_and_lets_answers_end) {
  net::EventLoop loop;
  SlowTarget target(5ms, false);
  const RunLog closed = drive(loop, target, requests(0), {.clients = 2, .at_most = 30ms});
  EXPECT_GE(closed.records.size(), 2);
  EXPECT_LE(closed.records.size(), 20);
  for (const Record& record : closed.records) EXPECT_TRUE(record.ok || record.index % 10 == 9);
  const RunLog open =
      drive(loop, target, arriving(requests(0), {.per_second = 1000, .process = Process::kEven}),
            {.at_most = 30ms});
  EXPECT_EQ(open.records.size(), 29) << "those intended after 1, 2 … 29 ms";
}

TEST(Drive, patience_ends) {
  net::EventLoop loop;
  SlowTarget target(10s, false);
  const RunLog run = drive(loop, target, requests(3), {.clients = 3, .patience = 20ms});
  EXPECT_EQ(summarise(run, {}).failures.front().example, "deadline: late");
  EXPECT_LT(to_seconds(run.ended - run.begun), 5);
}

TEST(Drive, no_requests_is_a_run_without_records) {
  net::EventLoop loop;
  SlowTarget target(1ms, false);
  EXPECT_TRUE(drive(loop, target, from_list({}), {.clients = 3}).records.empty());
  EXPECT_TRUE(drive(loop, target, from_list({}), {}).records.empty());
}

// A worker that answers at once, on the caller's thread.
class PromptWorker final : public work::Worker {
 public:
  Result<work::TokenStream> submit(work::Order order) override {
    if (order.prompt.size() > 10) return fail(Code::kTooLarge, "over the context of 10");
    auto [sink, stream] = work::make_token_stream(static_cast<size_t>(order.max_tokens));
    for (int32_t i = 0; i < order.max_tokens; ++i) sink.deliver({.token = order.prompt[0]});
    const bool late = order.deadline < now();
    sink.finish({.reason = late ? work::FinishReason::kDeadline : work::FinishReason::kLength,
                 .usage = {.prompt_tokens = static_cast<int64_t>(order.prompt.size()),
                           .cached_tokens = 1,
                           .completion_tokens = order.max_tokens}});
    orders.push_back(std::move(order));
    return std::move(stream);
  }
  work::Load load() const override { return {}; }
  std::vector<work::Order> orders;
};

TEST(WorkerTarget, orders_what_is_asked_and_reads_it_to_the_end) {
  net::EventLoop loop;
  PromptWorker worker;
  WorkerTarget target(worker, {.ids = {.first = 5, .end = 50}, .seed = 3, .unique_salts = true});
  const RunLog run = drive(loop, target, requests(4), {.clients = 2});
  ASSERT_EQ(run.records.size(), 4);
  for (const Record& record : run.records) {
    ASSERT_TRUE(record.ok) << record.failure;
    EXPECT_EQ(record.reply.pieces.size(), 3);
    EXPECT_EQ(record.reply.finish_reason, "length");
    EXPECT_EQ(record.reply.cached_tokens, 1);
    EXPECT_EQ(record.reply.ids.size(), 3);
  }
  ASSERT_EQ(worker.orders.size(), 4);
  EXPECT_EQ(worker.orders[0].prompt.size(), 5);
  EXPECT_EQ(worker.orders[0].sampling.temperature, 0);
  EXPECT_FALSE(worker.orders[0].cache_salt == worker.orders[1].cache_salt);
}

TEST(WorkerTarget, refusals_and_deadlines_are_failures) {
  net::EventLoop loop;
  PromptWorker worker;
  WorkerTarget target(worker, {.ids = {.first = 5, .end = 50}});
  const auto too_long = synthetic({.prompt = {.low = 11}, .output = {.low = 3}, .requests = 1});
  EXPECT_EQ(drive(loop, target, too_long, {.clients = 1}).records[0].failure,
            "too_large: over the context of 10");
  const RunLog late = drive(loop, target, requests(1), {.clients = 1, .patience = -1ms});
  EXPECT_EQ(late.records[0].failure, "deadline: the answer was not whole by the deadline");
}

}  // namespace
}  // namespace mill::load
