#include "sim/sim_worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "sim/answer_for_test.h"

namespace mill::sim {
namespace {

using std::chrono::milliseconds;
using work::FinishReason;

SimOptions options_of(std::string_view profile) {
  return {.profile = *parse_profile(profile), .vocabulary = 40, .alphabet = numbers(40)};
}

std::unique_ptr<SimWorker> start(SimOptions options) {
  auto worker = SimWorker::start(std::move(options));
  EXPECT_TRUE(worker.has_value()) << (worker ? "" : worker.error().message);
  return std::move(*worker);
}

void expect_idle(const SimWorker& worker) {
  const work::Load load = worker.load();
  EXPECT_EQ(load.running, 0);
  EXPECT_EQ(load.waiting, 0);
  EXPECT_EQ(load.kv_blocks_free, load.kv_blocks_total);
  EXPECT_EQ(load.drain_seconds, 0);
}

// All promises of the engine's own tests that don't hang on arithmetic, at once and in time.
class SimWorkerOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Profiles, SimWorkerOf,
                         testing::Values("instant", "step=200us,per_sequence=1us,prefill=1000000"));

TEST_P(SimWorkerOf, SixteenStreamsFromFourThreads) {
  const auto worker = start(options_of(GetParam()));
  const auto reference = start(options_of("instant"));
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        std::vector<work::TokenStream> streams;
        for (TokenId i = 0; i < 4; ++i) {
          auto stream = worker->submit(order_of(numbers(20 + 60 * i, i), 40));
          ASSERT_TRUE(stream.has_value());
          streams.push_back(std::move(*stream));
        }
        for (TokenId i = 0; i < 4; ++i) {
          const ReadAnswer answer = read_all(streams[static_cast<size_t>(i)]);
          auto known = reference->submit(order_of(numbers(20 + 60 * i, i), 40));
          EXPECT_EQ(answer.tokens, read_all(*known).tokens);
          EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(worker->drain(kNever));
  expect_idle(*worker);
  EXPECT_EQ(worker->load().generated_tokens, 4 * 5 * 4 * 40);
}

TEST(SimWorker, TheTimeOfItsStepsIsThatOfItsAnswers) {
  SimOptions options = options_of("step=2ms,prefill=1000000");
  options.busy = std::make_shared<work::BusyProbe>();
  const auto probe = options.busy;
  const auto worker = start(std::move(options));
  auto first = worker->submit(order_of(numbers(20), 3));
  auto second = worker->submit(order_of(numbers(20), 5));
  const Duration sum =
      read_all(*first).finished->usage.busy + read_all(*second).finished->usage.busy;
  EXPECT_GT(sum, milliseconds(8)) << "four steps of two milliseconds at least";
  EXPECT_EQ(probe->step_ns, std::chrono::nanoseconds(sum).count());
}

TEST_P(SimWorkerOf, ReadersThatLeaveAtAnyTimeFreeTheirPlaces) {
  SimOptions options = options_of(GetParam());
  options.limits.max_running = 4;
  const auto worker = start(std::move(options));
  std::vector<std::thread> clients;
  for (uint64_t client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937_64 random(client);
      for (int round = 0; round < 20; ++round) {
        auto stream = worker->submit(order_of(numbers(30), 50));
        ASSERT_TRUE(stream.has_value());
        const uint64_t pieces = random() % 50;
        for (uint64_t i = 0; i < pieces; ++i) ASSERT_TRUE(stream->next_blocking().has_value());
      }  // the stream is dropped here
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(worker->drain(kNever));
  expect_idle(*worker);
}

TEST_P(SimWorkerOf, RefusesWhatItCannotDo) {
  SimOptions options = options_of(GetParam());
  options.profile.context = 64;
  const auto worker = start(std::move(options));
  const auto refusal = [&](work::Order order) {
    const auto stream = worker->submit(std::move(order));
    return stream ? Error{.message = "accepted"} : stream.error();
  };
  EXPECT_EQ(refusal(order_of({}, 4)).code, Code::kInvalid);
  EXPECT_EQ(refusal(order_of({1, 40}, 4)).param, "prompt");
  EXPECT_EQ(refusal(order_of({1, -1}, 4)).code, Code::kInvalid);
  EXPECT_EQ(refusal(order_of({1}, -1)).param, "max_tokens");
  EXPECT_EQ(refusal(order_of(numbers(60), 5)).code, Code::kTooLarge);
  auto whole = worker->submit(order_of(numbers(60), 4));
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(read_all(*whole).tokens.size(), 4U) << "exactly the context";
  worker->close_intake();
  EXPECT_EQ(refusal(order_of(numbers(3), 4)).code, Code::kOverloaded);
}

TEST_P(SimWorkerOf, ADeadlineThatHasPassed) {
  const auto worker = start(options_of(GetParam()));
  work::Order past = order_of(numbers(3), 5);
  past.deadline = now();
  auto none = worker->submit(std::move(past));
  ASSERT_TRUE(none.has_value());
  const ReadAnswer answer = read_all(*none);
  EXPECT_EQ(answer.finished->reason, FinishReason::kDeadline);
  EXPECT_TRUE(answer.tokens.empty());
}

TEST(SimWorker, AtOnceIsDoneWhenSubmitReturns) {
  const auto worker = start(options_of("instant"));
  auto stream = worker->submit(order_of(numbers(10), 40));
  ASSERT_TRUE(stream.has_value());
  ReadAnswer answer;
  read(*stream, answer);
  ASSERT_TRUE(answer.finished.has_value());
  EXPECT_EQ(answer.tokens.size(), 40U);
}

TEST(SimWorker, TakesAsLongAsTheProfileSays) {
  const auto worker = start(options_of("step=5ms"));
  const Instant start_time = now();
  auto stream = worker->submit(order_of(numbers(3), 21));
  read_all(*stream);
  const double seconds = to_seconds(now() - start_time);
  EXPECT_GT(seconds, 0.0999);
  EXPECT_LT(seconds, 1.0) << "20 steps of 5 ms";
}

TEST(SimWorker, AFullQueueRefusesAndAFreedPlaceIsFreeAtOnce) {
  SimOptions options = options_of("step=1ms,hang=0,every=1000000");  // the first one alone
  options.limits.max_running = 1;
  options.queue = 1;
  const auto worker = start(std::move(options));
  auto hung = worker->submit(order_of(numbers(3), 4));
  auto waits = worker->submit(order_of(numbers(3), 4));
  ASSERT_TRUE(hung.has_value() && waits.has_value());
  const auto refused = worker->submit(order_of(numbers(3), 4));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kOverloaded);
  EXPECT_GT(worker->load().drain_seconds, 0);
  hung->cancel();
  EXPECT_EQ(read_all(*hung).finished->reason, FinishReason::kCancelled);
  for (int round = 0; round < 50; ++round) {
    EXPECT_EQ(read_all(*waits).finished->reason, FinishReason::kLength);
    auto next = worker->submit(order_of(numbers(3), 2));
    ASSERT_TRUE(next.has_value()) << "Finished was seen, so a place was free";
    waits = std::move(next);
  }
}

TEST(SimWorker, WhoYieldsGoesLaterAndAHeadStartEarlierWithinBounds) {
  SimOptions options = options_of("step=1ms,hang=1,every=1");  // each keeps its place until it leaves
  options.limits.max_running = 1;
  options.queue = 8;
  const auto worker = start(std::move(options));
  const auto submit = [&](Duration yield) {
    work::Order order = order_of(numbers(3), 4);
    order.yield = yield;
    return std::move(worker->submit(std::move(order)).value());
  };
  work::TokenStream runs = submit({});
  ASSERT_TRUE(runs.next_blocking().has_value());
  std::vector<work::TokenStream> line;
  for (const Duration yield : {Duration::zero(), Duration(std::chrono::seconds(-5)),
                               Duration(-work::kLongestHeadStart), Duration(std::chrono::hours(-1)),
                               Duration(std::chrono::hours(1)), Duration::zero()}) {
    line.push_back(submit(yield));
  }
  for (const size_t next : {2U, 3U, 1U, 0U, 5U, 4U}) {
    runs.cancel();
    runs = std::move(line[next]);
    ASSERT_TRUE(runs.next_blocking(now() + std::chrono::seconds(60)).has_value()) << next;
  }
}

TEST(SimWorker, TheEndOfTheWorkerEndsEverything) {
  SimOptions options = options_of("step=1ms");
  options.profile.steps = {{1, 3600}};
  options.limits.max_running = 1;
  auto worker = start(std::move(options));
  std::vector<work::TokenStream> streams;
  for (int i = 0; i < 3; ++i) {
    auto stream = worker->submit(order_of(numbers(3), 50000));
    ASSERT_TRUE(stream.has_value());
    streams.push_back(std::move(*stream));
  }
  EXPECT_FALSE(worker->drain(now() + milliseconds(1)));
  worker.reset();
  for (auto& stream : streams)
    EXPECT_EQ(read_all(stream).finished->reason, FinishReason::kCancelled);
}

TEST(SimWorker, OptionsOutOfBoundsAreNamed) {
  const auto field = [](auto change) {
    SimOptions options = options_of("instant");
    change(options);
    const auto worker = SimWorker::start(std::move(options));
    return worker ? std::string("none") : worker.error().param;
  };
  EXPECT_EQ(field([](auto&) {}), "none");
  EXPECT_EQ(field([](auto& o) { o.limits.max_running = 0; }), "max_batch");
  EXPECT_EQ(field([](auto& o) { o.limits.step_tokens = 31; }), "step_tokens");
  EXPECT_EQ(field([](auto& o) { o.limits.prefill_tokens = 0; }), "prefill_chunk");
  EXPECT_EQ(field([](auto& o) { o.queue = -1; }), "queue");
  EXPECT_EQ(field([](auto& o) { o.profile.context = 1; }), "context");
  EXPECT_EQ(field([](auto& o) { o.alphabet.clear(); }), "alphabet");
  EXPECT_EQ(field([](auto& o) { o.alphabet = {40}; }), "alphabet");
}

}  // namespace
}  // namespace mill::sim
