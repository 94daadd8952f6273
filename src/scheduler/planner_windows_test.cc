// The planner where some layers see the last tokens only.
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/planner_for_test.h"

namespace mill::scheduler {
namespace {

using Tokens = std::vector<TokenId>;

// Six tokens lie in three blocks at most.
PlannerLimits limits(int32_t window_blocks = 12) {
  return {.blocks = 40,
          .window_blocks = window_blocks,
          .window = 6,
          .block_tokens = 4,
          .max_running = 4,
          .step_tokens = 32,
          .logit_rows = 16};
}

SequenceId add_tokens(StepPlanner& planner, Tokens prompt) {
  return planner.add({.prompt = std::move(prompt), .max_tokens = 10}, kStart).value();
}

TEST(PlannerWindows, ACommitReleasesWhatNoTokenToComeSees) {
  StepPlanner planner(limits());
  const SequenceId id = add(planner, 20, 10);
  const Sequence& s = planner.sequence(id);
  planner.plan(kStart);
  EXPECT_EQ(planner.window_pool().free(), 12 - 5);
  planner.abort();
  EXPECT_EQ(planner.window_pool().free(), 12);
  EXPECT_TRUE(s.window_blocks.empty());
  planner.plan(kStart);
  const std::vector<BlockId> taken = s.window_blocks;
  EXPECT_EQ(std::count(taken.begin(), taken.end(), kNoBlock), 0) << "this step's tokens see them";
  play(planner);
  // The next sees 15 to 20; the last, should it be computed again, 14 to 19.
  EXPECT_EQ(s.window_blocks,
            (std::vector<BlockId>{kNoBlock, kNoBlock, kNoBlock, taken[3], taken[4]}));
  EXPECT_EQ(planner.window_pool().free(), 12 - 2);
  EXPECT_EQ(planner.pool().free(), 40 - 5);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(PlannerWindows, ARetractedTokenStillHasItsWindow) {
  for (int64_t prompt = 7; prompt < 20; ++prompt) {
    StepPlanner planner(limits());
    const SequenceId id = add(planner, prompt, 10);
    planner.plan(kStart);
    planner.commit();
    planner.retract(id);
    ASSERT_TRUE(planner.audit().has_value());
    const StepPlan& plan = planner.plan(kStart);
    ASSERT_EQ(plan.slices[0].first, prompt - 1);
    for (int64_t p = std::max<int64_t>(prompt - 6, 0); p < prompt; ++p) {
      ASSERT_NE(planner.sequence(id).window_blocks[static_cast<size_t>(p / 4)], kNoBlock) << prompt;
    }
    play(planner);
    ASSERT_TRUE(planner.audit().has_value());
  }
}

TEST(PlannerWindows, GuessesSlideOnlyAsFarAsTheyWereRight) {
  StepPlanner planner(limits());
  const SequenceId id = add(planner, 6, 50);
  const Sequence& s = planner.sequence(id);
  planner.plan(kStart);
  play(planner);
  planner.draft(id, Tokens{5, 5, 5, 5, 5, 5, 5, 5});
  planner.plan(kStart);
  planner.commit();
  EXPECT_EQ(s.blocks.size(), 4U);
  EXPECT_EQ(s.slid, 0) << "of fifteen tokens that are there, seven are sure";
  for (int right = 0; right < 5; ++right) EXPECT_TRUE(planner.accept(id, 5));
  EXPECT_EQ(s.slid, 1);
  EXPECT_FALSE(planner.accept(id, 6));
  EXPECT_EQ(s.window_blocks.size(), 3U);
  EXPECT_EQ(s.window_blocks[0], kNoBlock);
  EXPECT_EQ(planner.window_pool().free(), 12 - 2);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(PlannerWindows, APrefixIsFoundAsFarAsItsLastWindowIsThere) {
  StepPlanner planner(limits(3));
  const auto live = [&](const Tokens& prompt) {
    const SequenceId id = add_tokens(planner, prompt);
    while (planner.sequence(id).computed < std::ssize(prompt)) {
      planner.plan(kStart);
      planner.commit();
    }
    const int64_t cached = planner.sequence(id).cached_tokens;
    planner.finish(id);
    EXPECT_TRUE(planner.audit().has_value());
    return cached;
  };
  Tokens first = prompt_of(21);
  Tokens second = first;
  second[0] = 99;
  EXPECT_EQ(live(first), 0);
  EXPECT_EQ(live(first), 20);
  EXPECT_EQ(live(second), 0);
  EXPECT_EQ(planner.index().size(), 10) << "all full blocks are there";
  EXPECT_EQ(live(first), 0) << "but the windowed ones went to the second";
}

TEST(PlannerWindows, NothingOfASequenceThatWentWrongIsFound) {
  StepPlanner planner(limits());
  const SequenceId id = add_tokens(planner, prompt_of(30));
  planner.plan(kStart);
  planner.commit();
  const std::vector<Hash128> chain = planner.sequence(id).chain;
  EXPECT_NE(planner.window_index().find(chain[0]), kNoBlock) << "behind the window, still cached";
  planner.taint(id);
  for (const Hash128& name : chain) {
    EXPECT_EQ(planner.index().find(name), kNoBlock);
    EXPECT_EQ(planner.window_index().find(name), kNoBlock);
  }
}

TEST(PlannerWindows, WhatLeavesAPromptBeforeItsLogitsIsZeroed) {
  PlannerLimits few = limits(3);
  few.step_tokens = few.prefill_tokens = 4;
  StepPlanner planner(few);
  const SequenceId id = add(planner, 15, 30);
  const Sequence& s = planner.sequence(id);
  for (int k = 0; k < 3; ++k) {
    EXPECT_TRUE(planner.plan(kStart).scrub_windowed.empty());
    if (k < 2) planner.commit();
  }
  const BlockId first = s.window_blocks[0];
  planner.commit();
  ASSERT_EQ(s.slid, 1);
  EXPECT_EQ(planner.plan(kStart).scrub_windowed, (std::vector<BlockId>{first}));
  planner.abort();
  EXPECT_EQ(planner.plan(kStart).scrub_windowed, (std::vector<BlockId>{first}));
  // Its second block leaves in the very step that brings the logits; what leaves later is good.
  const BlockId second = s.window_blocks[1];
  std::vector<BlockId> zeroed;
  for (int k = 0; k < 15; ++k) {
    play(planner);
    const std::vector<BlockId>& more = planner.plan(kStart).scrub_windowed;
    zeroed.insert(zeroed.end(), more.begin(), more.end());
  }
  EXPECT_EQ(zeroed, (std::vector<BlockId>{second}));
}

TEST(PlannerWindows, APromptLeavesOthersTheirWindows) {
  StepPlanner planner(limits(8));
  const SequenceId talks = add(planner, 6, 50);
  planner.plan(kStart);
  play(planner);
  const SequenceId reads = add(planner, 90, 10);
  const StepPlan& plan = planner.plan(kStart);
  ASSERT_NE(slice_of(plan, reads), nullptr);
  EXPECT_EQ(slice_of(plan, reads)->count, 5 * 4) << "two are another's, and its third to come";
  play(planner);
  for (int step = 0; step < 30; ++step) {
    EXPECT_NE(slice_of(planner.plan(kStart), talks), nullptr);
    play(planner);
  }
  EXPECT_EQ(planner.totals().preemptions, 0);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(PlannerWindows, AWindowThatDoesNotFitBoundsTheSequence) {
  EXPECT_EQ(capacity_tokens(limits(3)), 160);
  EXPECT_EQ(capacity_tokens(limits(2)), 8);
  PlannerLimits without = limits(0);
  without.window = 0;
  EXPECT_EQ(capacity_tokens(without), 160);
  StepPlanner planner(limits(2));
  EXPECT_TRUE(planner.add({.prompt = prompt_of(6), .max_tokens = 2}, kStart).has_value());
  const auto larger = planner.add({.prompt = prompt_of(6), .max_tokens = 3}, kStart);
  ASSERT_FALSE(larger.has_value());
  EXPECT_EQ(larger.error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace mill::scheduler
