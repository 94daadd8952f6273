#include "engine/turnstile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/toy_forward.h"
#include "engine/trial.h"

namespace mill::engine {
namespace {

void burn(Duration span) {
  const Instant end = now() + span;
  while (now() < end) {
  }
}

TEST(Turnstile, one_at_a_time_and_as_the_shares_say) {
  Turnstile turnstile;
  std::atomic<int> inside{0};
  std::atomic<bool> stop{false};
  std::vector<int64_t> steps(2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      const auto lane = turnstile.open(i == 0 ? 1 : 3);
      while (!stop) {
        lane->take_turn();
        EXPECT_EQ(inside.fetch_add(1), 0);
        burn(std::chrono::microseconds(200));
        ++steps[i];
        inside.fetch_sub(1);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  // Steps count, not seconds: on a machine with others on it a step takes what it takes.
  EXPECT_GT(steps[0], 0);
  EXPECT_GT(steps[1], steps[0]);
}

TEST(Turnstile, who_rests_is_not_waited_for) {
  Turnstile turnstile;
  const auto first = turnstile.open(1);
  auto second = turnstile.open(1000);
  second->take_turn();
  second->rest();
  for (int i = 0; i < 1000; ++i) first->take_turn();  // would hang
  second.reset();
  first->rest();
  first->take_turn();
}

TEST(Turnstile, lanes_come_and_go_while_others_work) {
  auto turnstile = std::make_unique<Turnstile>();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        const auto lane = turnstile->open(1 + i);
        for (int step = 0; step < 20; ++step) lane->take_turn();
        if (round % 2 == 0) lane->rest();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto last = turnstile->open(1);
  turnstile.reset();
  last->take_turn();
}

// The time that each of two busy engines had in its forwards, while both were busy.
TEST(Turnstile, engines_that_share_a_pool_have_time_by_their_shares) {
  Turnstile turnstile;
  tensor::ThreadPool pool(1);
  std::atomic<int> inside{0};
  std::atomic<int64_t> used[2] = {0, 0};  // ns
  std::vector<std::unique_ptr<Engine>> engines;
  std::vector<work::TokenStream> streams;
  for (size_t i = 0; i < 2; ++i) {
    const auto forward = [&, i](std::span<const model::SequenceSlice>) {
      EXPECT_EQ(inside.fetch_add(1), 0);
      const Instant start = now();
      burn(std::chrono::microseconds(i == 0 ? 900 : 400));
      used[i] += std::chrono::nanoseconds(now() - start).count();
      inside.fetch_sub(1);
    };
    EngineOptions options{.kv_bytes = 1 << 20};
    options.turns = turnstile.open(i == 0 ? 1 : 3);
    auto engine =
        Engine::start(std::make_unique<ToyForward>(ToyOptions{.before = forward}), pool, options);
    ASSERT_TRUE(engine) << engine.error().message;
    engines.push_back(std::move(*engine));
    streams.push_back(engines[i]->submit(greedy(prompt_of(4, i), 5000)).value());
  }
  for (work::TokenStream& stream : streams) ASSERT_TRUE(stream.next_blocking().has_value());
  const int64_t before[2] = {used[0], used[1]};
  const Instant end = now() + std::chrono::milliseconds(400);
  while (now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto one = static_cast<double>(used[0] - before[0]);
  const auto three = static_cast<double>(used[1] - before[1]);
  engines.clear();
  // Turn by turn it would be 400 to 900. Wide, for machines with others on them; fair_turns_test has
  // the exact shares, on a virtual clock.
  EXPECT_GT(three / one, 1.5);
  EXPECT_LT(three / one, 12);
}

}  // namespace
}  // namespace mill::engine
