// The planner and the prefix cache.
#include <gtest/gtest.h>

#include "scheduler/planner_for_test.h"

namespace mill::scheduler {
namespace {

constexpr work::CacheSalt kTenant{1, 2};

PlannerLimits limits(int32_t blocks = 100) {
  return {
      .blocks = blocks, .block_tokens = 4, .max_running = 16, .step_tokens = 64, .logit_rows = 16};
}

SequenceId ask(StepPlanner& planner, std::vector<TokenId> prompt, work::CacheSalt salt = kTenant,
               bool score = false) {
  return planner
      .add({.prompt = std::move(prompt), .max_tokens = 8, .score_prompt = score, .salt = salt},
           kStart)
      .value();
}

// Until the sequence has its first token; the steps that took.
int until_first_token(StepPlanner& planner, SequenceId id) {
  int steps = 0;
  while (std::ssize(planner.sequence(id).tokens) == planner.sequence(id).prompt_tokens) {
    planner.plan(kStart);
    play(planner);
    ++steps;
    EXPECT_TRUE(planner.audit().has_value()) << planner.audit().error().message;
  }
  return steps;
}

TEST(PlannerPrefix, WhatWasComputedOnceIsFoundAgain) {
  StepPlanner planner(limits());
  const SequenceId first = ask(planner, prompt_of(10));
  until_first_token(planner, first);
  planner.finish(first);
  EXPECT_EQ(planner.pool().free(), 100);
  EXPECT_EQ(planner.pool().cached(), 2);

  const SequenceId second = ask(planner, prompt_of(10));
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, second)->first, 8);
  EXPECT_EQ(slice_of(plan, second)->count, 2);
  EXPECT_EQ(slice_of(plan, second)->logit_rows, 1);
  EXPECT_EQ(planner.sequence(second).cached_tokens, 8);
  play(planner);
  EXPECT_EQ(planner.totals().cached_tokens, 8);
  EXPECT_EQ(planner.totals().prompt_tokens, 12);
}

TEST(PlannerPrefix, TheLastTokenOfAPromptIsAlwaysComputed) {
  StepPlanner planner(limits());
  until_first_token(planner, ask(planner, prompt_of(8)));
  const SequenceId again = ask(planner, prompt_of(8));
  EXPECT_EQ(slice_of(planner.plan(kStart), again)->first, 4) << "the second block has the last";
  play(planner);
  const SequenceId longer = ask(planner, prompt_of(9));
  EXPECT_EQ(slice_of(planner.plan(kStart), longer)->first, 8);
  play(planner);
}

TEST(PlannerPrefix, IsSharedBetweenThoseWhoRun) {
  StepPlanner planner(limits());
  const SequenceId first = ask(planner, prompt_of(21));
  until_first_token(planner, first);
  const int32_t alone = planner.pool().free();
  const SequenceId second = ask(planner, prompt_of(21));
  until_first_token(planner, second);
  EXPECT_EQ(alone - planner.pool().free(), 1) << "one block of its own, five shared";
  EXPECT_EQ(planner.pool().owners(planner.sequence(first).blocks[4]), 2);
  planner.finish(first);
  EXPECT_EQ(planner.pool().owners(planner.sequence(second).blocks[4]), 1);
  EXPECT_TRUE(planner.audit().has_value());
}

// A prompt of 6 with 7 tokens of an answer ("1" each time: play() says so), which has ended.
std::vector<TokenId> answered(StepPlanner& planner) {
  const SequenceId first = ask(planner, prompt_of(6));
  until_first_token(planner, first);
  for (int i = 0; i < 6; ++i) {
    planner.plan(kStart);
    play(planner);
  }
  std::vector<TokenId> tokens = planner.sequence(first).tokens;
  planner.finish(first);
  return tokens;
}

PlannerLimits answers_apart(int32_t blocks = 100) {
  PlannerLimits made = limits(blocks);
  made.answers_apart = true;
  return made;
}

// The answer as a prompt's has other keys and values.
TEST(PlannerPrefix, AnswersThatAreApartAreNotThoseOfAPrompt) {
  StepPlanner planner(answers_apart());
  std::vector<TokenId> next_turn = answered(planner);
  next_turn.insert(next_turn.end(), {7, 8, 9});
  const SequenceId second = ask(planner, next_turn);
  EXPECT_EQ(slice_of(planner.plan(kStart), second)->first, 4) << "the prompt's whole block alone";
  play(planner);
  until_first_token(planner, second);
  planner.finish(second);
  const SequenceId third = ask(planner, next_turn);
  EXPECT_EQ(slice_of(planner.plan(kStart), third)->first, 12) << "now all of it was a prompt";
  play(planner);
}

// Nor do those of two prompts that end at different places, with the same tokens in all.
TEST(PlannerPrefix, AnswersThatAreApartAreNamedByWhereTheyBegin) {
  const PrefixIndex index(8, {1, 2});
  const Hash128 parent = index.root("", kTenant);
  EXPECT_EQ(index.answer_behind(parent, 2), index.answer_behind(parent, 2));
  EXPECT_NE(index.answer_behind(parent, 2), index.answer_behind(parent, 3));
  EXPECT_NE(index.answer_behind(parent, 0), parent);
}

TEST(PlannerPrefix, AnswersThatAreApartAreFoundAfterAPreemption) {
  PlannerLimits scarce = answers_apart(4);
  scarce.max_running = 4;
  StepPlanner planner(scarce);
  const SequenceId oldest = add(planner, 3, 12);
  const SequenceId young = add(planner, 2, 12);
  while (planner.totals().preemptions == 0) {
    planner.plan(kStart);
    ASSERT_TRUE(planner.audit().has_value());
    play(planner);
  }
  ASSERT_EQ(planner.running()[0], oldest);
  planner.finish(oldest);
  EXPECT_EQ(slice_of(planner.plan(kStart), young)->first, 4) << "of prompt and answer";
  play(planner);
}

TEST(PlannerPrefix, AnswersAreFoundToo) {
  StepPlanner planner(limits());
  std::vector<TokenId> next_turn = answered(planner);
  next_turn.insert(next_turn.end(), {7, 8, 9});
  const SequenceId second = ask(planner, next_turn);
  EXPECT_EQ(slice_of(planner.plan(kStart), second)->first, 12) << "6 asked, 7 answered";
  play(planner);
}

TEST(PlannerPrefix, AScoredPromptTakesNothingFromTheCache) {
  StepPlanner planner(limits());
  until_first_token(planner, ask(planner, prompt_of(14)));
  const SequenceId scored = ask(planner, prompt_of(14), kTenant, true);
  EXPECT_EQ(slice_of(planner.plan(kStart), scored)->first, 0);
  EXPECT_EQ(planner.sequence(scored).cached_tokens, 0);
  play(planner);
}

// The paired test: for the same prompt a tenant who asked before is served from the cache, and one
// who did not does exactly what he would do alone.
TEST(PlannerPrefix, ATenantNeverMeetsAnothersPrefix) {
  const auto steps_and_blocks = [](StepPlanner& planner, work::CacheSalt salt) {
    const int32_t free = planner.pool().free();
    const SequenceId id = ask(planner, prompt_of(200), salt);
    const int steps = until_first_token(planner, id);
    const auto seen =
        std::tuple(steps, free - planner.pool().free(), planner.sequence(id).cached_tokens);
    planner.finish(id);
    return seen;
  };
  StepPlanner empty(limits());
  const auto alone = steps_and_blocks(empty, {1, 3});
  StepPlanner shared(limits());
  steps_and_blocks(shared, {1, 2});
  EXPECT_EQ(std::get<2>(steps_and_blocks(shared, {1, 2})), 196) << "his own he finds";
  EXPECT_EQ(steps_and_blocks(shared, {1, 3}), alone);
  EXPECT_EQ(steps_and_blocks(shared, {2, 2}), std::tuple(4, 50, 0));

  // Nor while the other is still at it.
  StepPlanner busy(limits(200));
  ask(busy, prompt_of(200), {1, 2});
  const SequenceId other = ask(busy, prompt_of(200), {1, 3});
  until_first_token(busy, other);
  EXPECT_EQ(busy.sequence(other).cached_tokens, 0);
  EXPECT_EQ(busy.totals().prompt_tokens, 400);
}

TEST(PlannerPrefix, ManyWhoComeAtOnceHaveItComputedOnce) {
  StepPlanner planner(limits(600));
  std::vector<SequenceId> ids;
  for (TokenId i = 0; i < 16; ++i) {
    std::vector<TokenId> prompt = prompt_of(400);
    prompt.push_back(1000 + i);
    ids.push_back(ask(planner, std::move(prompt)));
  }
  int steps = 0;
  for (const SequenceId id : ids) steps += until_first_token(planner, id);
  EXPECT_EQ(planner.totals().prompt_tokens, 400 + 16) << "the beginning once, and each one's end";
  EXPECT_EQ(planner.totals().cached_tokens, 15 * 400);
  EXPECT_LE(steps, 9) << "as many as the beginning takes, and one or two";
  for (const SequenceId id : ids) EXPECT_GT(std::ssize(planner.sequence(id).tokens), 401);
}

TEST(PlannerPrefix, WhoWaitsForAnotherGoesOnWhenThatOneLeaves) {
  StepPlanner planner(limits());
  const SequenceId first = ask(planner, prompt_of(150));
  const SequenceId second = ask(planner, prompt_of(150));
  EXPECT_EQ(slice_of(planner.plan(kStart), second), nullptr);
  play(planner);
  planner.finish(first);
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, second)->first, 64) << "it takes over where the other was";
  play(planner);
}

TEST(PlannerPrefix, NobodyWaitsForAScoredPrompt) {
  StepPlanner planner(limits());
  ask(planner, prompt_of(150), kTenant, true);  // 16 tokens a step, as there are rows
  const SequenceId second = ask(planner, prompt_of(150));
  EXPECT_EQ(slice_of(planner.plan(kStart), second)->count, 64 - 16);
  play(planner);
}

TEST(PlannerPrefix, TheLeastRecentlyUsedGoesFirst) {
  StepPlanner planner(limits(12));
  const auto prompt = [](TokenId first) {
    std::vector<TokenId> tokens = prompt_of(17);
    tokens[0] = first;
    return tokens;
  };
  for (const TokenId first : {100, 200}) {
    const SequenceId id = ask(planner, prompt(first));
    until_first_token(planner, id);
    planner.finish(id);
  }
  const SequenceId again = ask(planner, prompt(100));  // now 200 is the older
  until_first_token(planner, again);
  EXPECT_EQ(planner.sequence(again).cached_tokens, 16);
  planner.finish(again);
  const SequenceId third = ask(planner, prompt(300));
  until_first_token(planner, third);
  planner.finish(third);
  const SequenceId kept = ask(planner, prompt(100));
  until_first_token(planner, kept);
  EXPECT_EQ(planner.sequence(kept).cached_tokens, 16);
  planner.finish(kept);
  const SequenceId lost = ask(planner, prompt(200));
  until_first_token(planner, lost);
  EXPECT_LT(planner.sequence(lost).cached_tokens, 16);
}

TEST(PlannerPrefix, AFaultTakesItsBlocksOutOfTheCacheAndHasThemZeroed) {
  StepPlanner planner(limits(12));
  const SequenceId bad = ask(planner, prompt_of(17));
  until_first_token(planner, bad);
  const SequenceId sharer = ask(planner, prompt_of(18));
  until_first_token(planner, sharer);
  const std::vector<BlockId> blocks = planner.sequence(bad).blocks;
  planner.taint(bad);
  planner.finish(bad);
  EXPECT_EQ(planner.pool().cached(), 0);
  const SequenceId next = ask(planner, prompt_of(17));
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, next)->first, 0) << "nobody builds on it";
  EXPECT_EQ(plan.scrub, (std::vector<BlockId>{blocks[4]})) << "the others are not free yet";
  play(planner);
  EXPECT_TRUE(planner.audit().has_value()) << planner.audit().error().message;
  planner.finish(sharer);
  planner.finish(next);
  add(planner, 40, 1);
  std::vector<BlockId> scrubbed = planner.plan(kStart).scrub;
  std::sort(scrubbed.begin(), scrubbed.end());
  EXPECT_EQ(scrubbed, (std::vector<BlockId>(blocks.begin(), blocks.begin() + 4)));
  play(planner);
}

TEST(PlannerPrefix, CanBeTurnedOff) {
  PlannerLimits off = limits();
  off.prefix_cache = false;
  StepPlanner planner(off);
  until_first_token(planner, ask(planner, prompt_of(20)));
  until_first_token(planner, ask(planner, prompt_of(20)));
  EXPECT_EQ(planner.totals().prompt_tokens, 40);
  EXPECT_EQ(planner.index().size(), 0);
}

}  // namespace
}  // namespace mill::scheduler
