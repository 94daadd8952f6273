// Tenants in one step: what one has asked beyond its share has what the others leave.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "scheduler/planner_for_test.h"

namespace mill::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kA = 1, kB = 2;

SequenceId add_of(StepPlanner& planner, uint64_t tenant, Duration yield, int64_t prompt = 2) {
  static TokenId next = 500000;
  std::vector<TokenId> tokens = prompt_of(prompt);
  tokens[0] = next++;
  return planner
      .add({.prompt = std::move(tokens), .max_tokens = 900, .yield = yield, .tenant = tenant},
           kStart)
      .value();
}

// A planner that knows what a step takes, with `due` answers of A that decode, and `more` of a
// tenant that yield.
struct Plant {
  StepPlanner planner{{.blocks = 4000, .prefix_cache = false}};
  std::vector<SequenceId> due, more;

  Plant(int64_t due_count, int64_t more_count, uint64_t of = kB, Duration yield = seconds(60)) {
    teach(planner);
    for (int64_t i = 0; i < due_count; ++i) due.push_back(add_of(planner, kA, {}));
    for (int64_t i = 0; i < more_count; ++i) more.push_back(add_of(planner, of, yield));
    for (int i = 0; i < 100; ++i) step(kStart);  // until all decode
  }
  // How many of `of` were in the step.
  int64_t step(Instant at, const std::vector<SequenceId>& of = {}) {
    const StepPlan& plan = planner.plan(at);
    const int64_t tokens = plan.tokens;
    const auto there = std::count_if(of.begin(), of.end(),
                                     [&](SequenceId id) { return slice_of(plan, id) != nullptr; });
    play(planner);
    planner.measured(teacher(tokens));
    return there;
  }
};

// Two that decode take 1.2 ms; 1.6 times as long is room for 7 tokens more.
TEST(PlannerShares, WhoIsBeyondItsShareHasWhatIsLeftOfAStep) {
  Plant plant(2, 40);
  for (int i = 0; i < 50; ++i) {
    const StepPlan& plan = plant.planner.plan(kStart);
    for (const SequenceId id : plant.due) EXPECT_TRUE(slice_of(plan, id));
    EXPECT_NEAR(static_cast<double>(plan.tokens), 2 + 7, 1);
    const int64_t tokens = plan.tokens;
    play(plant.planner);
    plant.planner.measured(teacher(tokens));
  }
}

TEST(PlannerShares, TheyTakeTurns) {
  Plant plant(2, 40);
  std::map<SequenceId, int> turns;
  for (int i = 0; i < 200; ++i) {
    const StepPlan& plan = plant.planner.plan(kStart);
    for (const Slice& slice : plan.slices) ++turns[slice.sequence];
    const int64_t tokens = plan.tokens;
    play(plant.planner);
    plant.planner.measured(teacher(tokens));
  }
  int least = INT32_MAX, most = 0;
  for (const SequenceId id : plant.more) {
    least = std::min(least, turns[id]);
    most = std::max(most, turns[id]);
  }
  EXPECT_GT(least, 20);
  EXPECT_LE(most - least, 1);
}

TEST(PlannerShares, ATenantIsNotInItsOwnWay) {
  Plant plant(2, 40, kA);
  EXPECT_EQ(plant.step(kStart, plant.more), 40);
}

TEST(PlannerShares, NobodyYieldsToThoseWhoAreGone) {
  Plant plant(2, 40);
  EXPECT_LT(plant.step(kStart, plant.more), 10);
  for (const SequenceId id : plant.due) plant.planner.finish(id);
  EXPECT_EQ(plant.step(kStart, plant.more), 40);
}

TEST(PlannerShares, ATurnComesInTime) {
  Plant plant(2, 40);
  EXPECT_LT(plant.step(kStart + seconds(59), plant.more), 10);
  EXPECT_EQ(plant.step(kStart + seconds(60), plant.more), 40);
}

TEST(PlannerShares, OneOfThemIsInEveryStepHoweverLongItTakes) {
  StepPlanner planner({.blocks = 2000, .stretch = 1, .prefix_cache = false});
  teach(planner);
  const SequenceId a = add_of(planner, kA, {});
  const SequenceId b = add_of(planner, kB, seconds(60));
  const SequenceId c = add_of(planner, kB, seconds(60));
  for (int i = 0; i < 4; ++i) {
    planner.plan(kStart);
    play(planner);
  }
  for (int i = 0; i < 10; ++i) {
    const StepPlan& plan = planner.plan(kStart);
    EXPECT_TRUE(slice_of(plan, a));
    EXPECT_NE(slice_of(plan, b) != nullptr, slice_of(plan, c) != nullptr);
    play(planner);
    planner.measured(teacher(2));
  }
}

// A prompt that is due has what prompts may have; those that yield wait for what is left.
TEST(PlannerShares, AFloodOfPromptsDoesNotHoldUpWhoDecodes) {
  Plant plant(4, 0);
  std::vector<SequenceId> flood;
  for (int i = 0; i < 30; ++i) flood.push_back(add_of(plant.planner, kB, seconds(60), 1000));
  int64_t tokens = 0;
  for (int i = 0; i < 20; ++i) {
    const StepPlan& plan = plant.planner.plan(kStart);
    tokens = plan.tokens;
    play(plant.planner);
    plant.planner.measured(teacher(tokens));
  }
  EXPECT_NEAR(static_cast<double>(tokens), 1.6 * 14 - 10, 2) << "four take 1.4 ms";
  const SequenceId due = add_of(plant.planner, kA, {}, 1000);
  for (int i = 0; i < 3; ++i) {
    const StepPlan& plan = plant.planner.plan(kStart);
    tokens = plan.tokens;
    ASSERT_TRUE(slice_of(plan, due));
    EXPECT_GT(slice_of(plan, due)->count, tokens / 2);
    play(plant.planner);
    plant.planner.measured(teacher(tokens));
  }
}

// What is due of a flood runs and fills the steps; one of another tenant that has had less goes
// ahead of it at once.
TEST(PlannerShares, AHeadStartGoesAheadOfPromptsThatAreDue) {
  StepPlanner planner({.blocks = 4000, .prefix_cache = false});
  for (int i = 0; i < 30; ++i) add_of(planner, kB, {}, 1000);
  planner.plan(kStart);
  play(planner);
  const SequenceId by_arrival = add_of(planner, kA, {}, 300);
  const SequenceId ahead = add_of(planner, kA, seconds(-1), 300);
  const StepPlan& plan = planner.plan(kStart);
  ASSERT_FALSE(plan.slices.empty());
  EXPECT_EQ(plan.slices.front().sequence, ahead);
  EXPECT_EQ(plan.slices.front().count, 300);
  EXPECT_EQ(slice_of(plan, by_arrival), nullptr);
  play(planner);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(PlannerShares, NobodyLosesABlockToOneWhoYields) {
  // 10 blocks of 4: A holds 2 and B's three 2 each; then nobody has room to grow but by the last.
  StepPlanner planner(
      {.blocks = 10, .block_tokens = 4, .max_running = 4, .logit_rows = 4, .prefix_cache = false});
  const SequenceId a =
      planner.add({.prompt = prompt_of(6), .max_tokens = 30, .tenant = kA}, kStart).value();
  std::vector<SequenceId> flood;
  for (int i = 0; i < 3; ++i) {
    flood.push_back(
        planner
            .add({.prompt = prompt_of(5), .max_tokens = 10, .yield = seconds(60), .tenant = kB},
                 kStart)
            .value());
  }
  for (int i = 0; i < 29; ++i) {
    const StepPlan& plan = planner.plan(kStart);
    EXPECT_TRUE(slice_of(plan, a)) << i;
    play(planner);
    ASSERT_TRUE(planner.audit().has_value());
  }
}

TEST(PlannerShares, AnAbortedStepCountsAsNoTurn) {
  Plant plant(2, 40);
  const StepPlan& plan = plant.planner.plan(kStart);
  std::vector<SequenceId> planned;
  for (const Slice& slice : plan.slices) planned.push_back(slice.sequence);
  plant.planner.abort();
  plant.planner.plan(kStart);
  ASSERT_EQ(plan.slices.size(), planned.size());
  for (size_t i = 0; i < planned.size(); ++i) EXPECT_EQ(plan.slices[i].sequence, planned[i]);
  play(plant.planner);
}

}  // namespace
}  // namespace mill::scheduler
