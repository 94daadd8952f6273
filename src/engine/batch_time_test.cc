// Usage::busy: the time of the steps, shared out among their answers (work/busy_time.h).
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "engine/toy_mill.h"

namespace mill::engine {
namespace {

uint64_t seed_for_test() {
  const char* given = std::getenv("MILL_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

using std::chrono::microseconds;
using std::chrono::nanoseconds;

// Takes steps of given times, and knows where they went.
struct Timed : ToyMill {
  using ToyMill::ToyMill;

  bool step_of(Duration took) {
    clock += took;
    const bool went_on = batch.step(clock);
    if (went_on) {
      all += took;
      again += batch.measured(took);
    }
    batch.deliver_endings();
    return went_on;
  }
  Duration all{}, again{};
};

Duration busy_of(work::TokenStream& stream) {
  Answer answer;
  read(stream, answer);
  EXPECT_TRUE(answer.finished.has_value());
  return answer.finished ? answer.finished->usage.busy : Duration();
}

TEST(BatchTime, AnAnswerAloneHasAllOfItsSteps) {
  Timed mill;
  auto stream = mill.submit(greedy(prompt_of(20, 1), 5));
  while (mill.step_of(microseconds(700))) {
  }
  EXPECT_EQ(busy_of(stream), 5 * microseconds(700)) << "the prompt's step gives the first token";
  EXPECT_EQ(mill.again, Duration::zero());
}

TEST(BatchTime, AStepIsSharedByTheTokensThatWereComputed) {
  Timed mill({.prefix_cache = false});
  auto first = mill.submit(greedy(prompt_of(30, 1), 2));
  auto second = mill.submit(greedy(prompt_of(10, 2), 1));
  ASSERT_TRUE(mill.step_of(nanoseconds(4000)));  // 30 tokens and 10
  EXPECT_EQ(busy_of(second), nanoseconds(1000));
  ASSERT_TRUE(mill.step_of(nanoseconds(500)));  // the first one's second token
  EXPECT_EQ(busy_of(first), nanoseconds(3500));
}

TEST(BatchTime, WhatWasFoundInTheCacheTookNoTime) {
  Timed mill;
  const Tokens prompt = prompt_of(100, 1);
  auto first = mill.submit(greedy(prompt, 1));
  while (mill.step_of(microseconds(100))) {
  }
  auto again = mill.submit(greedy(prompt, 1));
  auto other = mill.submit(greedy(prompt_of(96, 2), 1));
  ASSERT_TRUE(mill.step_of(nanoseconds(1000)));
  Answer answer;
  read(again, answer);
  ASSERT_TRUE(answer.finished.has_value());
  const int64_t computed = 100 - answer.finished->usage.cached_tokens;
  ASSERT_LT(computed, 100);
  EXPECT_EQ(answer.finished->usage.busy.count(), 1000 * computed / (computed + 96));
  EXPECT_EQ(mill.again, Duration::zero()) << "what others had computed is not computed again";
}

// Two that grow until there is no room for both: the later one is put back, and what it had of its
// steps is computed a second time.
TEST(BatchTime, WhatIsComputedAgainIsNobodys) {
  Timed mill({.blocks = 6, .max_running = 2, .prefix_cache = false});
  auto first = mill.submit(greedy(prompt_of(40, 1), 90));
  auto second = mill.submit(greedy(prompt_of(40, 2), 90));
  while (mill.step_of(nanoseconds(1009))) {
  }
  ASSERT_GT(mill.batch.load().preemptions, 0);
  const Duration given = busy_of(first) + busy_of(second);
  EXPECT_GT(mill.again, Duration::zero());
  EXPECT_EQ(given + mill.again, mill.all);
}

// Guesses, too few blocks, readers who leave, scored prompts: nothing is lost, nothing twice.
TEST(BatchTime, PartsAddUpToTheStepsWhateverHappens) {
  const uint64_t seed = seed_for_test();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int life = 0; life < 12; ++life) {
    Crib crib;
    for (uint64_t i = 0; i < 6; ++i) {
      const Tokens prompt = prompt_of(30 + static_cast<int64_t>(i) * 11, i);
      crib.known.emplace_back(prompt, ToyForward::greedy(prompt, 60));
    }
    crib.say = [](TokenId truth, size_t place) {
      return place % 4 == 3 ? (truth + 1) % 40 : truth;
    };
    Timed mill({.blocks = 14, .max_running = 4, .step_tokens = 48, .logit_rows = 12}, {},
               crib.drafters());
    std::vector<work::TokenStream> streams;
    const auto step = [&] { return mill.step_of(nanoseconds(1 + random() % 100'000)); };
    for (int i = 0; i < 12; ++i) {
      const Tokens& known = crib.known[random() % crib.known.size()].first;
      streams.push_back(mill.submit(i % 3 == 0 ? wild(random() % kWildKinds) : greedy(known, 60)));
      for (uint64_t steps = random() % 9; steps > 0; --steps) step();
      if (random() % 4 == 0) streams[random() % streams.size()].cancel();
    }
    while (step()) {
    }
    mill.expect_clean();
    Duration given{};
    for (work::TokenStream& stream : streams) given += busy_of(stream);
    ASSERT_EQ(given + mill.again, mill.all) << "life " << life;
  }
}

TEST(BatchTime, AStepThatNobodyMeasuredIsNobodys) {
  Timed mill;
  auto stream = mill.submit(greedy(prompt_of(20, 1), 3));
  ASSERT_TRUE(mill.batch.step(mill.clock));
  ASSERT_TRUE(mill.step_of(nanoseconds(10)));
  ASSERT_TRUE(mill.batch.step(mill.clock));
  mill.batch.deliver_endings();
  mill.batch.measured(nanoseconds(10));
  EXPECT_EQ(busy_of(stream), nanoseconds(10));
}

}  // namespace
}  // namespace mill::engine
