#include "engine/turnstile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.h"

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

}  // namespace
}  // namespace mill::engine
