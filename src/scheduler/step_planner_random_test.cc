// Lives of the planner (planner_life_for_test.h) under limits of many kinds.
//
// MILL_TEST_SEED=n replays one seed, MILL_TEST_STEPS=n makes every life n times as long.
#include <cstdlib>

#include "scheduler/planner_life_for_test.h"

namespace mill::scheduler {
namespace {

uint64_t from_outside(const char* name, uint64_t fallback) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : fallback;
}

void live(uint64_t seed, const Kind& kind, int64_t steps) {
  seed = from_outside("MILL_TEST_SEED", seed);
  SCOPED_TRACE(std::string(kind.name) + " MILL_TEST_SEED=" + std::to_string(seed));
  Life life(seed, kind);
  const auto times = static_cast<int64_t>(from_outside("MILL_TEST_STEPS", 1));
  for (int64_t i = 0; i < steps * times; ++i) {
    ASSERT_NO_FATAL_FAILURE(life.step());
    if (::testing::Test::HasFailure()) return;
  }
  ASSERT_NO_FATAL_FAILURE(life.drain());
  const StepPlanner::Totals& totals = life.planner().totals();
  std::printf(
      "%s seed %lu: %ld steps, %ld ended, %ld cancelled, %ld expired, %ld refused, %ld aborted, "
      "%ld preemptions, %ld prompt tokens computed and %ld cached, drafts %ld right %ld wrong\n",
      kind.name, seed, life.steps(), life.ended, life.cancelled, life.expired, life.refused,
      life.aborted, totals.preemptions, totals.prompt_tokens, totals.cached_tokens, life.right,
      life.wrong);
  EXPECT_GT(life.ended, 0);
  EXPECT_EQ(totals.cached_tokens > 0, kind.limits.prefix_cache);
  if (kind.drafts > 0) {
    EXPECT_GT(life.right, 0);
    EXPECT_GT(life.wrong, 0);
  }
}

constexpr PlannerLimits scarce() {
  return {.blocks = 12,
          .block_tokens = 4,
          .max_running = 6,
          .max_waiting = 20,
          .step_tokens = 24,
          .prefill_tokens = 8,
          .logit_rows = 12,
          .priority_worth = std::chrono::milliseconds(50)};
}

TEST(StepPlannerRandom, ScarceBlocks) {
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_NO_FATAL_FAILURE(live(100 + i, {"scarce", scarce(), 0.3, 0.6}, 20000));
  }
}

TEST(StepPlannerRandom, AnswersApart) {
  PlannerLimits limits = scarce();
  limits.answers_apart = true;
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(live(150 + i, {"apart", limits, 0.3, 0.6}, 20000));
  }
  limits.blocks = 80;
  ASSERT_NO_FATAL_FAILURE(live(153, {"apart", limits, 0.2, 0.5}, 20000));
  limits.block_tokens = 1;
  limits.window = 5;
  limits.window_blocks = 30;
  ASSERT_NO_FATAL_FAILURE(live(154, {"apart windows", limits, 0.2, 0.5}, 20000));
}

TEST(StepPlannerRandom, FirstComeFirstServed) {
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(live(
        200 + i, {.name = "plain", .limits = scarce(), .load = 0.3, .drafts = 0.5, .plain = true},
        20000));
  }
}

TEST(StepPlannerRandom, OneTokenBlocksAndTheTightestLimits) {
  const PlannerLimits limits{.blocks = 9,
                             .block_tokens = 1,
                             .max_running = 4,
                             .max_waiting = 3,
                             .step_tokens = 4,
                             .prefill_tokens = 1,
                             .logit_rows = 4};
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_NO_FATAL_FAILURE(live(300 + i, {"tight", limits, 0.4, 0.5}, 15000));
  }
}

TEST(StepPlannerRandom, StepsThatTakeTime) {
  PlannerLimits limits = scarce();
  limits.blocks = 60;
  limits.step_tokens = 64;
  limits.prefill_tokens = 48;
  limits.ttft_target = std::chrono::milliseconds(40);
  ASSERT_NO_FATAL_FAILURE(live(400, {"timed", limits, 0.3, 0.3, true}, 20000));
  limits.itl_target = std::chrono::milliseconds(2);
  ASSERT_NO_FATAL_FAILURE(live(401, {"target", limits, 0.3, 0.3, true}, 20000));
}

TEST(StepPlannerRandom, PlentyOfBlocks) {
  const PlannerLimits limits{.blocks = 400,
                             .block_tokens = 8,
                             .max_running = 16,
                             .max_waiting = 1000,
                             .step_tokens = 512,
                             .prefill_tokens = 256,
                             .logit_rows = 64};
  ASSERT_NO_FATAL_FAILURE(live(500, {"plenty", limits, 0.02, 0.5}, 15000));
}

TEST(StepPlannerRandom, OneAtATime) {
  const PlannerLimits limits{.blocks = 8,
                             .block_tokens = 4,
                             .max_running = 1,
                             .max_waiting = 50,
                             .step_tokens = 8,
                             .prefill_tokens = 8,
                             .logit_rows = 3};
  ASSERT_NO_FATAL_FAILURE(live(600, {"alone", limits, 0.1, 0.5}, 30000));
}

// Windows of all kinds: whole blocks and parts, less than a block, one token; pools that hold one
// sequence's window and hardly more, and ones that hold many.
TEST(StepPlannerRandom, Windows) {
  struct Shape {
    int32_t blocks, window_blocks;
    int64_t window;
  };
  uint64_t seed = 700;
  for (const Shape& shape : {Shape{30, 8, 6}, Shape{30, 5, 8}, Shape{20, 3, 5}, Shape{24, 20, 9},
                             Shape{12, 4, 1}, Shape{12, 7, 40}, Shape{14, 3, 9}}) {
    PlannerLimits limits = scarce();
    limits.blocks = shape.blocks;
    limits.window_blocks = shape.window_blocks;
    limits.window = shape.window;
    ASSERT_NO_FATAL_FAILURE(live(seed++, {"windows", limits, 0.25, 0.6}, 12000));
  }
  PlannerLimits limits = scarce();
  limits.blocks = 40;
  limits.window_blocks = 14;
  limits.window = 10;
  limits.step_tokens = 64;
  limits.prefill_tokens = 48;
  ASSERT_NO_FATAL_FAILURE(
      live(seed++,
           {.name = "plain windows", .limits = limits, .load = 0.3, .drafts = 0.5, .plain = true},
           20000));
  limits.ttft_target = std::chrono::milliseconds(40);
  ASSERT_NO_FATAL_FAILURE(live(seed++, {"timed windows", limits, 0.3, 0.3, true}, 20000));
  limits.block_tokens = 1;
  limits.window_blocks = 12;
  ASSERT_NO_FATAL_FAILURE(live(seed++, {"windows of cells", limits, 0.4, 0.5}, 15000));
  limits.prefix_cache = false;
  ASSERT_NO_FATAL_FAILURE(live(seed++, {"windows uncached", limits, 0.4, 0.5}, 10000));
}

}  // namespace
}  // namespace mill::scheduler
