// The planner and speculation.
#include <gtest/gtest.h>

#include <chrono>

#include "scheduler/planner_for_test.h"

namespace mill::scheduler {
namespace {

using Tokens = std::vector<TokenId>;

struct Talk {
  explicit Talk(PlannerLimits limits, int64_t prompt = 6) : planner(limits) {
    id = add(planner, prompt, 50);
    planner.plan(kStart);
    play(planner);
  }
  const Sequence& s() const { return planner.sequence(id); }

  StepPlanner planner;
  SequenceId id;
};

PlannerLimits limits() {
  return {.blocks = 20, .block_tokens = 4, .max_running = 4, .step_tokens = 32, .logit_rows = 16};
}

TEST(PlannerDrafts, AreComputedBehindTheLastTokenWithLogitsOfAll) {
  Talk talk(limits());
  talk.planner.draft(talk.id, Tokens{5, 6, 7});
  const StepPlan& plan = talk.planner.plan(kStart);
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.slices[0].first, 6);
  EXPECT_EQ(plan.slices[0].count, 4);
  EXPECT_EQ(plan.slices[0].drafts, 3);
  EXPECT_EQ(plan.slices[0].logit_rows, 4);
  const auto tokens = talk.planner.tokens(plan.slices[0]);
  EXPECT_EQ(Tokens(tokens.begin(), tokens.end()), (Tokens{1, 5, 6, 7}));
  EXPECT_EQ(talk.s().blocks.size(), 3U);
}

TEST(PlannerDrafts, StandAsLongAsTheyAreRight) {
  Talk talk(limits());
  talk.planner.draft(talk.id, Tokens{5, 6, 7});
  talk.planner.plan(kStart);
  talk.planner.commit();
  EXPECT_EQ(talk.s().computed, 7);
  EXPECT_TRUE(talk.planner.drafted(talk.id, 5));
  EXPECT_TRUE(talk.planner.accept(talk.id, 5));
  EXPECT_EQ(talk.s().computed, 8);
  EXPECT_EQ(talk.planner.index().size(), 2) << "a block is full";
  EXPECT_FALSE(talk.planner.drafted(talk.id, 9));
  EXPECT_FALSE(talk.planner.accept(talk.id, 9));
  EXPECT_EQ(talk.s().computed, 8) << "6 and 7 were computed in vain";
  EXPECT_EQ(talk.s().blocks.size(), 2U) << "and their block is free";
  EXPECT_EQ(talk.s().tokens, (Tokens{talk.s().tokens[0], 1, 2, 3, 4, 5, 1, 5, 9}));
  EXPECT_TRUE(talk.planner.audit().has_value());
  const StepPlan& plan = talk.planner.plan(kStart);
  EXPECT_EQ(plan.slices[0].first, 8);
  EXPECT_EQ(plan.slices[0].count, 1) << "old guesses are forgotten";
}

TEST(PlannerDrafts, AllRightGiveOneMore) {
  Talk talk(limits());
  talk.planner.draft(talk.id, Tokens{5, 6});
  talk.planner.plan(kStart);
  talk.planner.commit();
  EXPECT_TRUE(talk.planner.accept(talk.id, 5));
  EXPECT_TRUE(talk.planner.accept(talk.id, 6));
  EXPECT_FALSE(talk.planner.accept(talk.id, 7));
  EXPECT_EQ(talk.s().computed, 9);
  EXPECT_TRUE(talk.planner.may_draft(talk.id));
  EXPECT_TRUE(talk.planner.audit().has_value());
}

TEST(PlannerDrafts, TakeWhatIsLeftOfRowsTokensAndBlocks) {
  PlannerLimits few = limits();
  few.logit_rows = 4;
  Talk rows(few);
  rows.planner.draft(rows.id, Tokens(9, 5));
  EXPECT_EQ(rows.planner.plan(kStart).slices[0].drafts, 3);

  few = limits();
  few.step_tokens = 6;
  Talk tokens(few);
  tokens.planner.draft(tokens.id, Tokens(9, 5));
  EXPECT_EQ(tokens.planner.plan(kStart).slices[0].drafts, 5);

  few = limits();
  few.blocks = 2;
  StepPlanner blocks(few);
  const SequenceId id = *blocks.add({.prompt = prompt_of(5), .max_tokens = 3}, kStart);
  blocks.plan(kStart);
  play(blocks);
  blocks.draft(id, Tokens(9, 5));
  EXPECT_EQ(blocks.plan(kStart).slices[0].drafts, 2);
}

TEST(PlannerDrafts, ThoseWhoGuessShareWhatIsLeft) {
  PlannerLimits few = limits();
  few.logit_rows = 12;
  StepPlanner planner(few);
  std::vector<SequenceId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(add(planner, 3, 9));
  planner.plan(kStart);
  play(planner);
  for (const SequenceId id : {ids[0], ids[2], ids[3]}) planner.draft(id, Tokens(9, 5));
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, ids[0])->drafts, 3);
  EXPECT_EQ(slice_of(plan, ids[1])->drafts, 0);
  EXPECT_EQ(slice_of(plan, ids[2])->drafts, 3);
  EXPECT_EQ(slice_of(plan, ids[3])->drafts, 2);
}

TEST(PlannerDrafts, TakeNothingFromAPromptAndPreemptNobody) {
  PlannerLimits few = limits();
  few.step_tokens = 16;
  few.prefill_tokens = 16;
  Talk talk(few);
  const SequenceId reader = add(talk.planner, 30, 1);
  talk.planner.draft(talk.id, Tokens(9, 5));
  const StepPlan& plan = talk.planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, reader)->count, 15);
  EXPECT_EQ(slice_of(plan, talk.id)->drafts, 0);
  play(talk.planner);

  few = limits();
  few.blocks = 5;
  StepPlanner planner(few);
  const SequenceId a = add(planner, 7, 5);
  const SequenceId b = add(planner, 3, 5);
  planner.plan(kStart);
  play(planner);
  while (planner.pool().free() > 0) {
    planner.plan(kStart);
    play(planner);
  }
  const int64_t before = planner.totals().preemptions;
  ASSERT_EQ(planner.running().size(), 2U);
  if (planner.may_draft(a)) planner.draft(a, Tokens(9, 5));
  if (planner.may_draft(b)) planner.draft(b, Tokens(9, 5));
  planner.plan(kStart);
  EXPECT_EQ(planner.totals().preemptions, before);
  play(planner);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(PlannerDrafts, KeepTheTargetForTheStep) {
  PlannerLimits timed = limits();
  timed.blocks = 100;
  timed.itl_target = std::chrono::microseconds(1500);
  StepPlanner planner(timed);
  for (int i = 0; i < 40; ++i) {  // a step takes 1 ms and 100 us per token
    const SequenceId id = add(planner, 3 + 5 * (i % 4), 5);
    for (int step = 0; step < 3; ++step) {
      const int64_t tokens = planner.plan(kStart).tokens;
      play(planner);
      planner.measured(std::chrono::microseconds(1000 + 100 * tokens));
    }
    planner.finish(id);
  }
  const SequenceId id = add(planner, 4, 50);
  planner.plan(kStart);
  play(planner);
  planner.draft(id, Tokens(15, 5));
  EXPECT_NEAR(static_cast<double>(planner.plan(kStart).slices[0].drafts), 4, 1);
}

TEST(PlannerDrafts, SurviveAnAbortedStep) {
  Talk talk(limits());
  talk.planner.draft(talk.id, Tokens{5, 6, 7});
  talk.planner.plan(kStart);
  talk.planner.abort();
  EXPECT_EQ(talk.s().blocks.size(), 2U);
  EXPECT_EQ(talk.planner.plan(kStart).slices[0].drafts, 3);
  talk.planner.commit();
  EXPECT_TRUE(talk.planner.accept(talk.id, 5));
}

TEST(PlannerDrafts, ARetractedRowIsComputedAgainWithoutThem) {
  Talk talk(limits());
  talk.planner.draft(talk.id, Tokens{5, 6, 7});
  talk.planner.plan(kStart);
  talk.planner.commit();
  EXPECT_TRUE(talk.planner.accept(talk.id, 5));
  EXPECT_EQ(talk.planner.index().size(), 2);
  talk.planner.retract(talk.id);
  EXPECT_EQ(talk.s().computed, 7);
  EXPECT_EQ(talk.planner.index().size(), 1) << "the block is not full any more";
  EXPECT_TRUE(talk.planner.audit().has_value()) << talk.planner.audit().error().message;
  const StepPlan& plan = talk.planner.plan(kStart);
  EXPECT_EQ(plan.slices[0].first, 7);
  EXPECT_EQ(plan.slices[0].count, 1);
  EXPECT_EQ(plan.slices[0].logit_rows, 1);
}

TEST(PlannerDrafts, AnAnswerMayEndAmongThem) {
  Talk talk(limits());
  talk.planner.draft(talk.id, Tokens{5, 6, 7});
  talk.planner.plan(kStart);
  talk.planner.commit();
  EXPECT_TRUE(talk.planner.accept(talk.id, 5));
  talk.planner.finish(talk.id);
  EXPECT_EQ(talk.planner.pool().free(), 20);
  EXPECT_TRUE(talk.planner.audit().has_value());
}

}  // namespace
}  // namespace mill::scheduler
