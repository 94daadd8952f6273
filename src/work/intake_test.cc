#include "work/intake.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace mill::work {
namespace {

using Item = std::unique_ptr<int>;
constexpr auto kNothing = [](auto&&...) {};

Status add(Intake<Item>& intake, int value) {
  Item item = std::make_unique<int>(value);
  return intake.add(item, kNothing);
}
int64_t in_flight(const Intake<Item>& intake) {
  return intake.books([](int64_t n) { return n; });
}

TEST(Intake, ItemsComeOutInTheOrderTheyWentIn) {
  Intake<Item> intake(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(intake, i));
  std::deque<Item> taken;
  EXPECT_TRUE(intake.wait(false, taken));
  ASSERT_EQ(taken.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*taken[static_cast<size_t>(i)], i);
}

TEST(Intake, APlaceIsHeldUntilItIsCountedOut) {
  Intake<Item> intake(2);
  ASSERT_TRUE(add(intake, 0));
  ASSERT_TRUE(add(intake, 1));
  std::deque<Item> taken;
  ASSERT_TRUE(intake.wait(false, taken));
  Item more = std::make_unique<int>(7);
  bool called = false;
  const Status refused = intake.add(more, [&] { called = true; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOverloaded);
  EXPECT_FALSE(called);
  ASSERT_NE(more, nullptr) << "what is refused stays with who gave it";
  EXPECT_EQ(in_flight(intake), 2);
  bool free_when_told = false;
  intake.settle(1, kNothing, [&] { free_when_told = in_flight(intake) == 1; });
  EXPECT_TRUE(free_when_told);
  EXPECT_TRUE(intake.add(more, [&] { called = true; }));
  EXPECT_TRUE(called);
}

TEST(Intake, ClosedItTakesNothingAndDrainsWhenAllAreTold) {
  Intake<Item> intake(2);
  EXPECT_TRUE(intake.drain(now())) << "nobody is in";
  EXPECT_FALSE(add(intake, 0)) << "to drain is to close";
}

TEST(Intake, DrainWaitsForTheTelling) {
  Intake<Item> intake(2);
  ASSERT_TRUE(add(intake, 0));
  EXPECT_FALSE(intake.drain(now() + std::chrono::milliseconds(1))) << "queued";
  std::deque<Item> taken;
  ASSERT_TRUE(intake.wait(false, taken));
  EXPECT_FALSE(intake.drain(now() + std::chrono::milliseconds(1))) << "with the step thread";
  std::atomic<bool> told{false};
  std::thread steps([&] {
    intake.settle(0, kNothing, [&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      told = true;
    });
  });
  EXPECT_TRUE(intake.drain(kNever));
  EXPECT_TRUE(told);
  steps.join();
}

TEST(Intake, TheBooksShowWhatIsQueued) {
  Intake<Item> intake(5);
  ASSERT_TRUE(add(intake, 0));
  std::deque<Item> taken;
  ASSERT_TRUE(intake.wait(false, taken));
  ASSERT_TRUE(add(intake, 4));
  ASSERT_TRUE(add(intake, 5));
  std::vector<int> queued;
  intake.settle(
      1,
      [&](const auto& queue) {
        for (const Item& item : queue) queued.push_back(*item);
      },
      [] {});
  EXPECT_EQ(queued, (std::vector<int>{4, 5}));
  EXPECT_EQ(in_flight(intake), 3);
}

TEST(Intake, TheStepThreadSleepsOnlyWithoutWorkAndUntilTheEnd) {
  Intake<Item> intake(1);
  std::deque<Item> taken;
  EXPECT_TRUE(intake.wait(true, taken)) << "it has work";
  EXPECT_TRUE(intake.sleep_until(now()));
  std::thread steps([&] { EXPECT_FALSE(intake.wait(false, taken)); });
  intake.end();
  steps.join();
  EXPECT_FALSE(intake.sleep_until(kNever));
  EXPECT_FALSE(add(intake, 0));
}

TEST(Intake, ManyThreadsFillItAndEachItemComesOutOnce) {
  constexpr int kThreads = 4, kEach = 500;
  Intake<Item> intake(kThreads * kEach);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) ASSERT_TRUE(add(intake, t * kEach + i));
    });
  }
  std::vector<int> times(kThreads * kEach);
  for (int got = 0; got < kThreads * kEach;) {
    std::deque<Item> taken;
    ASSERT_TRUE(intake.wait(false, taken));
    for (const Item& item : taken) ++times[static_cast<size_t>(*item)];
    got += static_cast<int>(taken.size());
    intake.settle(0, kNothing, kNothing);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(times, std::vector<int>(kThreads * kEach, 1));
  EXPECT_TRUE(intake.drain(now()));
}

}  // namespace
}  // namespace mill::work
