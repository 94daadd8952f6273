#include <gtest/gtest.h>

#include <chrono>

#include "scheduler/planner_for_test.h"

namespace mill::scheduler {
namespace {

using std::chrono::milliseconds;

TEST(StepPlanner, NothingToDoIsAnEmptyPlan) {
  StepPlanner planner({.blocks = 8});
  EXPECT_TRUE(planner.plan(kStart).empty());
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(StepPlanner, APromptThenOneTokenAtATime) {
  StepPlanner planner({.blocks = 8});
  const SequenceId id = add(planner, 40, 3);
  const StepPlan& plan = planner.plan(kStart);
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.slices[0].first, 0);
  EXPECT_EQ(plan.slices[0].count, 40);
  EXPECT_EQ(plan.slices[0].logit_rows, 1);
  EXPECT_EQ(planner.sequence(id).blocks.size(), 2U);
  play(planner);
  planner.plan(kStart);
  EXPECT_EQ(plan.slices[0].first, 40);
  EXPECT_EQ(plan.slices[0].count, 1);
  EXPECT_EQ(plan.slices[0].logit_rows, 1);
  play(planner);
  planner.finish(id);
  EXPECT_EQ(planner.pool().free(), 8);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(StepPlanner, ALongPromptComesInChunksAndLeavesTheDecodesRunning) {
  StepPlanner planner({.blocks = 100, .step_tokens = 512, .prefill_tokens = 256});
  const SequenceId talker = add(planner, 4, 100);
  planner.plan(kStart);
  play(planner);
  const SequenceId reader = add(planner, 1000, 10);
  std::vector<int64_t> chunks;
  while (planner.sequence(reader).computed < 1000) {
    const StepPlan& plan = planner.plan(kStart);
    ASSERT_NE(slice_of(plan, talker), nullptr);
    EXPECT_EQ(slice_of(plan, talker)->count, 1);
    chunks.push_back(slice_of(plan, reader)->count);
    play(planner);
  }
  EXPECT_EQ(chunks, (std::vector<int64_t>{256, 256, 256, 232}));
}

TEST(StepPlanner, WithNobodyDecodingAPromptTakesTheWholeStep) {
  StepPlanner planner({.blocks = 100, .step_tokens = 512, .prefill_tokens = 256});
  const SequenceId first = add(planner, 700, 1);
  const SequenceId second = add(planner, 700, 1);
  const StepPlan& plan = planner.plan(kStart);
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(slice_of(plan, first)->count, 512);
  EXPECT_EQ(slice_of(plan, first)->logit_rows, 0);
  play(planner);
  planner.plan(kStart);  // the first comes first, the second takes the rest
  EXPECT_EQ(slice_of(plan, first)->count, 188);
  EXPECT_EQ(slice_of(plan, first)->logit_rows, 1);
  EXPECT_EQ(slice_of(plan, second)->count, 512 - 188);
}

TEST(StepPlanner, AScoredPromptGetsAsManyTokensAsThereAreRows) {
  StepPlanner planner({.blocks = 100, .logit_rows = 64});
  const SequenceId id = add(planner, 150, 0, true);
  std::vector<int64_t> rows;
  while (planner.sequence(id).computed < planner.sequence(id).goal()) {
    const StepPlan& plan = planner.plan(kStart);
    EXPECT_EQ(plan.slices[0].count, plan.slices[0].logit_rows);
    rows.push_back(plan.slices[0].logit_rows);
    play(planner);
  }
  EXPECT_EQ(rows, (std::vector<int64_t>{64, 64, 21}));  // nobody asks what follows the last
}

TEST(StepPlanner, AScoredPromptLeavesARowForThePromptsBehindIt) {
  StepPlanner planner({.blocks = 100, .max_running = 8, .logit_rows = 8});
  const SequenceId scored = add(planner, 30, 1, true);
  planner.plan(kStart);
  play(planner);
  const SequenceId shorter = add(planner, 3, 1);
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, scored)->count, 8);
  EXPECT_EQ(slice_of(plan, shorter)->count, 2) << "it came too late for a row";
  play(planner);
  planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, shorter)->logit_rows, 1);
  EXPECT_EQ(slice_of(plan, scored)->logit_rows, 7);
}

TEST(StepPlanner, TheYoungestGivesWayAndComesBackFirst) {
  StepPlanner planner({.blocks = 4, .block_tokens = 4, .max_running = 4, .logit_rows = 4});
  const SequenceId oldest = add(planner, 3, 12);
  const SequenceId young = add(planner, 3, 12);
  planner.plan(kStart);
  play(planner);
  ASSERT_EQ(planner.running().size(), 2U);
  const SequenceId waits = add(planner, 9, 1);
  while (planner.totals().preemptions == 0) {
    planner.plan(kStart);
    ASSERT_TRUE(planner.audit().has_value());
    play(planner);
  }
  EXPECT_EQ(planner.running().size(), 1U);
  EXPECT_EQ(planner.running()[0], oldest);
  EXPECT_EQ(planner.waiting().begin()->id, young);
  EXPECT_EQ(planner.waiting().rbegin()->id, waits);
  const Sequence& preempted = planner.sequence(young);
  EXPECT_EQ(preempted.computed, 0);
  EXPECT_TRUE(preempted.blocks.empty());
  ASSERT_EQ(preempted.tokens.size(), 9U);
  planner.finish(oldest);
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, young)->first, 4) << "its first block was still cached, its second not";
  EXPECT_EQ(slice_of(plan, young)->count, 5) << "prompt and answer so far, in one go";
  EXPECT_EQ(planner.totals().cached_tokens, 0) << "nobody was spared any of a prompt";
  EXPECT_EQ(slice_of(plan, young)->logit_rows, 1) << "logits of the last alone: nothing twice";
}

TEST(StepPlanner, TheYoungestWaitsInPlaceRatherThanLoseItsWork) {
  StepPlanner planner({.blocks = 6, .block_tokens = 4, .max_running = 4, .logit_rows = 4});
  const SequenceId old = add(planner, 9, 15);
  planner.plan(kStart);
  play(planner);
  const SequenceId young = add(planner, 3, 15);
  for (int i = 0; i < 6; ++i) {
    planner.plan(kStart);
    play(planner);
  }
  ASSERT_EQ(planner.pool().free(), 0);
  ASSERT_EQ(planner.sequence(young).computed, 8) << "both its blocks are full";
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, young), nullptr);
  EXPECT_NE(slice_of(plan, old), nullptr);
  EXPECT_EQ(planner.sequence(young).state, Sequence::State::kRunning);
  EXPECT_EQ(planner.totals().preemptions, 0);
  play(planner);
  planner.plan(kStart);  // now the old one needs a block
  EXPECT_EQ(planner.sequence(young).state, Sequence::State::kWaiting);
  EXPECT_EQ(planner.totals().preemptions, 1);
  play(planner);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(StepPlanner, DeadlinesAreSeenInTheWholeLine) {
  StepPlanner planner({.blocks = 8, .max_running = 1, .logit_rows = 1});
  const Instant start{};
  const auto timed = [&](int ms) {
    return *planner.add({.prompt = {1}, .max_tokens = 4, .deadline = start + milliseconds(ms)},
                        start);
  };
  const SequenceId a = timed(10);
  const SequenceId b = timed(5);
  add(planner, 1, 4);
  planner.plan(kStart);
  play(planner);
  EXPECT_TRUE(planner.expired(start + milliseconds(4)).empty());
  ASSERT_EQ(planner.expired(start + milliseconds(5)).size(), 1U);
  EXPECT_EQ(planner.expired(start + milliseconds(5))[0], b);
  ASSERT_EQ(planner.expired(start + milliseconds(10)).size(), 2U);
  EXPECT_EQ(planner.expired(start + milliseconds(10))[0], b);
  EXPECT_EQ(planner.expired(start + milliseconds(10))[1], a);
}

TEST(StepPlanner, RefusesWhatCanNeverFitAndWhatIsTooMuchAtPresent) {
  StepPlanner planner(
      {.blocks = 2, .block_tokens = 4, .max_running = 1, .max_waiting = 2, .logit_rows = 1});
  const auto too_large = planner.add({.prompt = prompt_of(5), .max_tokens = 4}, kStart);
  ASSERT_FALSE(too_large.has_value());
  EXPECT_EQ(too_large.error().code, Code::kTooLarge);
  for (int i = 0; i < 3; ++i) add(planner, 5, 3);
  const auto too_many = planner.add({.prompt = prompt_of(1), .max_tokens = 1}, kStart);
  ASSERT_FALSE(too_many.has_value());
  EXPECT_EQ(too_many.error().code, Code::kOverloaded);
}

SequenceId add_with(StepPlanner& planner, int32_t priority, Instant now, int64_t prompt = 3) {
  std::vector<TokenId> tokens = prompt_of(prompt);
  tokens[0] = 100 + static_cast<TokenId>(planner.size());
  return planner.add({.prompt = std::move(tokens), .max_tokens = 20, .priority = priority}, now)
      .value();
}

std::vector<SequenceId> in_line(const StepPlanner& planner) {
  std::vector<SequenceId> line(planner.running().begin(), planner.running().end());
  for (const auto& place : planner.waiting()) line.push_back(place.id);
  return line;
}

TEST(StepPlanner, HigherPrioritiesGoFirstAndEqualOnesInOrderOfArrival) {
  StepPlanner planner({.blocks = 8, .max_running = 1, .logit_rows = 1});
  const SequenceId a = add_with(planner, 0, kStart);
  const SequenceId b = add_with(planner, -1, kStart);
  const SequenceId c = add_with(planner, 0, kStart + milliseconds(1));
  const SequenceId d = add_with(planner, 5, kStart + milliseconds(2));
  EXPECT_EQ(in_line(planner), (std::vector<SequenceId>{d, a, c, b}));
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_NE(slice_of(plan, d), nullptr);
  EXPECT_EQ(plan.slices.size(), 1U);
  play(planner);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(StepPlanner, ALevelOfPriorityIsWorthSoMuchWaitingAndNoMore) {
  StepPlanner planner({.blocks = 8, .priority_worth = std::chrono::seconds(10)});
  const SequenceId low = add_with(planner, 0, kStart);
  const SequenceId soon = add_with(planner, 1, kStart + std::chrono::milliseconds(9999));
  const SequenceId late = add_with(planner, 1, kStart + std::chrono::milliseconds(10001));
  EXPECT_EQ(in_line(planner), (std::vector<SequenceId>{soon, low, late}));
  // The most extreme priorities don't overflow.
  const SequenceId top = add_with(planner, 2147483647, kStart);
  const SequenceId bottom = add_with(planner, -2147483647 - 1, kStart);
  EXPECT_EQ(in_line(planner).front(), top);
  EXPECT_EQ(in_line(planner).back(), bottom);
}

TEST(StepPlanner, WhoYieldsLetsThoseOfTheNextMinutesGoFirstAndAHeadStartGoesTheOtherWay) {
  StepPlanner planner({.blocks = 8});
  const auto add = [&](Duration yield, Instant now) {
    return planner.add({.prompt = {1, 2, 3}, .max_tokens = 1, .yield = yield}, now).value();
  };
  using std::chrono::seconds;
  const SequenceId flood = add(seconds(5), kStart);
  const SequenceId before = add({}, kStart + seconds(4));
  const SequenceId behind = add({}, kStart + seconds(6));
  const SequenceId ahead = add(seconds(-2), kStart + milliseconds(6500));
  const SequenceId most_ahead = add(-work::kLongestHeadStart, kStart + seconds(7));
  const SequenceId beyond = add(std::chrono::hours(-100), kStart + seconds(8));
  const SequenceId most = add(std::chrono::hours(100), kStart);
  const SequenceId later = add({}, kStart + work::kLongestYield + seconds(1));
  EXPECT_EQ(in_line(planner), (std::vector<SequenceId>{most_ahead, beyond, before, ahead, flood,
                                                       behind, most, later}));
}

TEST(StepPlanner, AHigherPriorityTakesThePlaceOfTheLast) {
  StepPlanner planner({.blocks = 12, .block_tokens = 4, .max_running = 2, .logit_rows = 2});
  const SequenceId a = add_with(planner, 0, kStart, 9);
  const SequenceId b = add_with(planner, 0, kStart, 9);
  planner.plan(kStart);
  play(planner);
  const SequenceId urgent = add_with(planner, 1, kStart);
  const StepPlan& plan = planner.plan(kStart);
  EXPECT_NE(slice_of(plan, urgent), nullptr);
  EXPECT_NE(slice_of(plan, a), nullptr);
  EXPECT_EQ(planner.sequence(b).state, Sequence::State::kWaiting);
  EXPECT_EQ(in_line(planner), (std::vector<SequenceId>{urgent, a, b}));
  play(planner);
  planner.finish(urgent);
  planner.plan(kStart);
  EXPECT_EQ(slice_of(plan, b)->first, 8) << "it goes on from what is still cached";
  play(planner);
  EXPECT_TRUE(planner.audit().has_value());
}

TEST(StepPlanner, NobodyIsPreemptedForOneWhoWouldNotFitAnyway) {
  StepPlanner planner({.blocks = 12, .block_tokens = 4, .max_running = 4, .logit_rows = 4});
  const SequenceId first = add_with(planner, 9, kStart, 24);  // 6 blocks
  planner.plan(kStart);
  play(planner);
  const SequenceId small = add_with(planner, 0, kStart, 6);
  planner.plan(kStart);
  play(planner);
  ASSERT_EQ(planner.sequence(small).state, Sequence::State::kRunning);
  const SequenceId large = add_with(planner, 5, kStart, 27);  // 7 blocks: never beside `first`
  planner.plan(kStart);
  EXPECT_EQ(planner.sequence(large).state, Sequence::State::kWaiting);
  EXPECT_EQ(planner.sequence(small).state, Sequence::State::kRunning);
  play(planner);
  planner.finish(first);
  planner.plan(kStart);
  EXPECT_EQ(planner.sequence(large).state, Sequence::State::kRunning);
  play(planner);
}

int64_t chunk_beside_decodes(PlannerLimits limits, Duration waited = {}) {
  limits.blocks = 200;
  StepPlanner planner(limits);
  teach(planner);
  for (int i = 0; i < 10; ++i) add(planner, 2, 100);
  planner.plan(kStart);
  play(planner);
  const SequenceId reader = add(planner, 2000, 10);
  const StepPlan& plan = planner.plan(kStart + waited);
  EXPECT_LE(slice_of(plan, reader)->count, 32) << "it starts slowly";
  for (int i = 0; i < 2; ++i) {
    const int64_t tokens = plan.tokens;
    play(planner);
    planner.measured(teacher(tokens));
    planner.plan(kStart + waited);
  }
  return slice_of(plan, reader)->count;
}

// Ten that decode take 2 ms.
TEST(StepPlanner, APromptBesideDecodesMakesTheStepAsMuchLongerAsAllowed) {
  EXPECT_NEAR(static_cast<double>(chunk_beside_decodes({.stretch = 2.4})), 30, 2);
  EXPECT_NEAR(static_cast<double>(chunk_beside_decodes({.stretch = 3.9})), 60, 3);
  EXPECT_EQ(chunk_beside_decodes({.stretch = 1}), 4) << "it goes on whatever the time";
  EXPECT_EQ(chunk_beside_decodes({.stretch = 1, .least_prefill = 9}), 9);
  EXPECT_EQ(chunk_beside_decodes({.prefill_tokens = 12, .stretch = 4}), 12) << "the plain limit";
}

TEST(StepPlanner, ACrowdOfPromptsIsNotHeldUpByOneWhoDecodes) {
  StepPlanner planner({.blocks = 900});
  teach(planner);
  add(planner, 2, 100);
  planner.plan(kStart);
  play(planner);
  for (int i = 0; i < 15; ++i) add(planner, 1000, 10);
  int64_t tokens = 0;
  for (int i = 0; i < 5; ++i) {
    tokens = planner.plan(kStart).tokens;
    play(planner);
    planner.measured(teacher(tokens));
  }
  EXPECT_NEAR(static_cast<double>(tokens), 11 * (1.6 + 15) - 10, 8) << "one alone takes 1.1 ms";
}

TEST(StepPlanner, ATargetForTheStepIsKept) {
  EXPECT_NEAR(static_cast<double>(chunk_beside_decodes({.itl_target = milliseconds(10)})), 80, 4);
  EXPECT_EQ(chunk_beside_decodes({.itl_target = milliseconds(1)}), 4);
}

TEST(StepPlanner, WhoWaitsNearTheTargetForTheFirstTokenGetsMore) {
  const PlannerLimits limits{.itl_target = milliseconds(5), .ttft_target = milliseconds(1000)};
  const auto after = [&](int ms) {
    return static_cast<double>(chunk_beside_decodes(limits, milliseconds(ms)));
  };
  EXPECT_NEAR(after(0), 30, 2);
  EXPECT_NEAR(after(500), 30, 2);
  EXPECT_NEAR(after(750), 55, 4) << "half way between once and twice";
  EXPECT_NEAR(after(1000), 80, 5);
  EXPECT_NEAR(after(9000), 80, 5);
}

}  // namespace
}  // namespace mill::scheduler
