#include "scheduler/step_time.h"

#include <gtest/gtest.h>

#include <random>

namespace mill::scheduler {
namespace {

// A machine on which a step takes 2 ms, 50 us a token, 100 us a row, 300 ns a read, 20 ns a pair.
double truly(const StepShape& shape) {
  return 2e-3 + 50e-6 * static_cast<double>(shape.tokens) +
         100e-6 * static_cast<double>(shape.rows) + 20e-9 * static_cast<double>(shape.pairs);
}

StepShape decodes(int64_t sequences, int64_t context) {
  StepShape shape;
  for (int64_t i = 0; i < sequences; ++i) shape.add(context, 1, 1);
  return shape;
}

StepShape with_prompt(StepShape shape, int64_t first, int64_t count) {
  shape.add(first, count, 0, true);
  return shape;
}

TEST(StepTime, CountsReadsAndPairs) {
  StepShape shape;
  shape.add(3, 2, 1);  // tokens 3 and 4 look at 4 and 5 tokens
  EXPECT_EQ(shape.tokens, 2);
  EXPECT_EQ(shape.rows, 1);
  EXPECT_EQ(shape.reads, 5);
  EXPECT_EQ(shape.pairs, 9);
  shape.add(7, 1, 1);
  EXPECT_EQ(shape.slices, 2);
  EXPECT_EQ(shape.reads, 13);
}

TEST(StepTime, LearnsFromNoisySteps) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> noise(0.95, 1.05);
  StepTime time;
  EXPECT_FALSE(time.known());
  for (int i = 0; i < 3000; ++i) {
    StepShape shape = decodes(static_cast<int64_t>(random() % 32), 100 + i % 900);
    if (i % 3 == 0) shape = with_prompt(shape, static_cast<int64_t>(random() % 4000), 1 + i % 512);
    if (shape.tokens == 0) continue;
    time.learn(shape, truly(shape) * noise(random));
  }
  ASSERT_TRUE(time.known());
  for (const auto& shape : {decodes(1, 100), decodes(16, 500), decodes(32, 900),
                            with_prompt(decodes(15, 300), 2000, 64), with_prompt({}, 0, 512),
                            with_prompt({}, 3000, 512)}) {
    EXPECT_NEAR(time.seconds(shape) / truly(shape), 1.0, 0.1);
  }
}

TEST(StepTime, TellsHowManyTokensFit) {
  StepTime time;
  for (int i = 0; i < 2000; ++i) {
    const StepShape shape = with_prompt(decodes(1 + i % 20, 300), i % 7 * 700, 16 + i % 300);
    time.learn(shape, truly(shape));
  }
  for (const int64_t first : {0, 1000, 6000}) {
    for (const double seconds : {1e-3, 1e-2, 3e-2}) {
      const int64_t count = time.tokens_within(seconds, first);
      const StepShape base = with_prompt(decodes(15, 300), 0, 20);
      const auto more = [&](int64_t n) {
        return time.seconds(with_prompt(base, first, n)) - time.seconds(base);
      };
      EXPECT_LE(more(count), seconds * 1.0001);
      EXPECT_GT(more(count + 1), seconds * 0.9999);
    }
  }
  EXPECT_EQ(time.tokens_within(0, 0), 0);
  EXPECT_EQ(time.tokens_within(-1, 0), 0);
}

// Of any part of a prompt: 6 ms before its first token.
TEST(StepTime, LearnsWhatAnyOfAPromptTakes) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> noise(0.95, 1.05);
  StepTime time;
  for (int i = 0; i < 2000; ++i) {
    const StepShape base = decodes(1 + i % 16, 300);
    time.learn(base, truly(base) * noise(random));
    const StepShape mixed = with_prompt(base, i % 5 * 300, 4 + i % 90);
    time.learn(mixed, (6e-3 + truly(mixed)) * noise(random));
  }
  EXPECT_NEAR(time.prompt_seconds(), 6e-3, 1e-3);
  const StepShape mixed = with_prompt(decodes(15, 300), 300, 50);
  EXPECT_NEAR(time.seconds(mixed) / (6e-3 + truly(mixed)), 1.0, 0.1);
}

// Something else uses the machine now: all is slower alike, the proportions stay.
TEST(StepTime, FollowsTheSpeedOfTheMachine) {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> noise(0.9, 1.1);
  StepTime time;
  double slower = 1;
  const auto teach = [&](const StepShape& shape) {
    time.learn(shape, slower * truly(shape) * noise(random));
  };
  for (int i = 0; i < 300; ++i) teach(with_prompt(decodes(i % 16, 300), i % 5 * 300, 8 + i % 90));
  for (int i = 0; i < 300; ++i) teach(decodes(15, 300 + i));
  slower = 2.5;
  for (int i = 0; i < 100; ++i) teach(decodes(15, 600 + i));
  const StepShape base = decodes(15, 700);
  const StepShape mixed = with_prompt(base, 1000, 60);
  EXPECT_NEAR(time.seconds(base) / (slower * truly(base)), 1, 0.2);
  EXPECT_NEAR(time.seconds(mixed) / time.seconds(base) / (truly(mixed) / truly(base)), 1, 0.15);
}

// Long stretches of the same step must not wash out what a prompt costs.
TEST(StepTime, RemembersPromptsThroughAnHourOfDecodes) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> noise(0.9, 1.1);
  StepTime time;
  for (int i = 0; i < 300; ++i) {
    const StepShape shape = with_prompt(decodes(i % 16, 300), i % 5 * 300, 32 + i % 400);
    time.learn(shape, truly(shape));
  }
  for (int i = 0; i < 100000; ++i) {
    const StepShape shape = decodes(15, 300);
    time.learn(shape, truly(shape) * noise(random));
  }
  const StepShape mixed = with_prompt(decodes(15, 300), 1000, 100);
  EXPECT_NEAR(time.seconds(mixed) / truly(mixed), 1.0, 0.15);
}

TEST(StepTime, OneDisturbedStepDoesNotCount) {
  StepTime time;
  for (int i = 0; i < 500; ++i) {
    const StepShape shape = with_prompt(decodes(8, 300), 0, 10 + i % 100);
    time.learn(shape, truly(shape));
  }
  const StepShape shape = with_prompt(decodes(8, 300), 0, 50);
  time.learn(shape, 100 * truly(shape));
  EXPECT_LT(time.seconds(shape), 1.2 * truly(shape));
  time.learn(shape, 0);
  time.learn(shape, -1);
  EXPECT_GT(time.seconds(shape), 0.8 * truly(shape)) << "what was not measured teaches nothing";
}

}  // namespace
}  // namespace mill::scheduler
