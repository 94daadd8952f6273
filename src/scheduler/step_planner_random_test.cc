// The planner against random life: arrivals, stop tokens, cancels, deadlines, pools that are too
// small. A model of the cache's memory checks that what a slice builds on is really there.
//
// MILL_TEST_SEED=n replays one seed.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

#include "scheduler/step_planner.h"

namespace mill::scheduler {
namespace {

struct Answer {
  uint64_t arrival = 0;
  int64_t prompt = 0;
  int64_t max_tokens = 0;
  bool score = false;
  int64_t stop_after = 0;  // the answer stops by itself after so many tokens
  int64_t rows_seen = 0;   // logit rows that came, the prompt's and the answer's
};

class Life {
 public:
  Life(uint64_t seed, PlannerLimits limits, double load)
      : random_(seed), limits_(limits), load_(load), planner_(limits) {
    memory_.resize(static_cast<size_t>(limits.blocks * limits.block_tokens), {~0ULL, -1});
  }

  void step() {
    clock_ += std::chrono::milliseconds(1);
    arrive();
    leave();
    const StepPlan& plan = planner_.plan(clock_);
    check(plan);
    if (plan.empty()) return;
    write(plan);
    planner_.commit();
    draw(std::vector<Slice>(plan.slices));
    if (steps_++ % 16 == 0) audit();
  }

  // Nobody arrives any more; all who are there must end.
  void drain() {
    load_ = 0;
    for (int64_t left = 2000000; !answers_.empty(); --left) {
      ASSERT_GT(left, 0) << "somebody never ends";
      ASSERT_NO_FATAL_FAILURE(step());
      if (::testing::Test::HasFailure()) return;
    }
    audit();
    EXPECT_EQ(planner_.pool().free(), limits_.blocks);
  }

  int64_t ended = 0, cancelled = 0, expired = 0, refused = 0;
  const StepPlanner& planner() const { return planner_; }
  int64_t steps() const { return steps_; }

 private:
  int64_t upto(int64_t most) { return std::uniform_int_distribution<int64_t>(0, most)(random_); }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }

  void arrive() {
    while (load_ > 0 && chance(load_)) {
      const int64_t capacity = planner_.capacity_tokens();
      const int64_t answer = chance(0.5) ? capacity / 3 : capacity;
      Answer a;
      a.prompt = 1 + (chance(0.1) ? upto(capacity - 1) : upto(capacity / 6));
      a.score = chance(0.15);
      a.max_tokens = a.score && a.prompt > 1 && chance(0.5) ? 0 : 1 + upto(answer);
      a.stop_after = 1 + upto(answer);
      NewSequence call{.max_tokens = a.max_tokens, .score_prompt = a.score};
      for (int64_t i = 0; i < a.prompt; ++i)
        call.prompt.push_back(static_cast<TokenId>(upto(1000000)));
      if (chance(0.1)) call.deadline = clock_ + std::chrono::milliseconds(upto(60));
      const bool fits = a.prompt + a.max_tokens <= capacity;
      const bool room = planner_.size() < limits_.max_running + limits_.max_waiting;
      const auto id = planner_.add(std::move(call), clock_);
      ASSERT_EQ(id.has_value(), fits && room);
      if (!id) {
        ASSERT_EQ(id.error().code, fits ? Code::kOverloaded : Code::kTooLarge);
        ++refused;
        continue;
      }
      a.arrival = planner_.sequence(*id).arrival;
      ASSERT_TRUE(answers_.emplace(*id, a).second) << "a place was given twice";
    }
  }

  void leave() {
    if (!answers_.empty() && chance(0.03)) {
      const auto who = std::next(answers_.begin(), upto(static_cast<int64_t>(answers_.size()) - 1));
      ++cancelled;
      end(who->first);
    }
    const auto late = planner_.expired(clock_);
    for (const SequenceId id : std::vector<SequenceId>(late.begin(), late.end())) {
      ASSERT_LE(planner_.sequence(id).deadline, clock_);
      ++expired;
      end(id);
    }
  }

  void end(SequenceId id) {
    planner_.finish(id);
    answers_.erase(id);
    ++ended;
  }

  void check(const StepPlan& plan) {
    ASSERT_EQ(plan.empty(), answers_.empty());
    if (plan.empty()) return;
    int64_t tokens = 0;
    int64_t rows = 0;
    int64_t prefill = 0;
    bool decodes = false;
    std::map<SequenceId, int> seen;
    for (const Slice& slice : plan.slices) {
      const Sequence& s = planner_.sequence(slice.sequence);
      ASSERT_EQ(++seen[slice.sequence], 1) << "two slices of one sequence";
      ASSERT_EQ(s.state, Sequence::State::kRunning);
      ASSERT_EQ(slice.first, s.computed);
      ASSERT_GT(slice.count, 0);
      ASSERT_LE(slice.first + slice.count, s.goal());
      ASSERT_GE(static_cast<int64_t>(s.blocks.size()) * limits_.block_tokens,
                slice.first + slice.count);
      ASSERT_EQ(slice.logit_rows, std::max<int64_t>(0, slice.first + slice.count - s.logits_from));
      tokens += slice.count;
      rows += slice.logit_rows;
      if (s.goal() - slice.first > 1) prefill += slice.count;
      if (s.goal() - slice.first == 1 && slice.first > 0) decodes = true;
      check_memory(s);
    }
    ASSERT_EQ(tokens, plan.tokens);
    ASSERT_EQ(rows, plan.logit_rows);
    ASSERT_LE(tokens, limits_.step_tokens);
    ASSERT_LE(rows, limits_.logit_rows);
    if (decodes) {
      ASSERT_LE(prefill, limits_.prefill_tokens);
    }
    check_order(seen);
  }

  void check_order(const std::map<SequenceId, int>& seen) {
    const auto oldest = std::min_element(answers_.begin(), answers_.end(), [](auto& a, auto& b) {
      return a.second.arrival < b.second.arrival;
    });
    ASSERT_TRUE(seen.contains(oldest->first)) << "the oldest did not move";
    uint64_t youngest_run = 0;
    for (const SequenceId id : planner_.running()) {
      youngest_run = std::max(youngest_run, answers_.at(id).arrival);
    }
    for (const auto& [rank, arrival, id] : planner_.waiting()) {
      ASSERT_GT(answers_.at(id).arrival, youngest_run) << "somebody was overtaken";
    }
  }

  // Every token that counts as computed lies where the block table says.
  void check_memory(const Sequence& s) {
    for (int64_t p = 0; p < s.computed; ++p) {
      ASSERT_EQ(cell(s, p), std::pair(s.arrival, p)) << "another sequence wrote into its blocks";
    }
  }

  std::pair<uint64_t, int64_t>& cell(const Sequence& s, int64_t p) {
    const int64_t block = s.blocks[static_cast<size_t>(p / limits_.block_tokens)];
    return memory_[static_cast<size_t>(block * limits_.block_tokens + p % limits_.block_tokens)];
  }

  void write(const StepPlan& plan) {
    for (const Slice& slice : plan.slices) {
      const Sequence& s = planner_.sequence(slice.sequence);
      for (int64_t p = slice.first; p < slice.first + slice.count; ++p) cell(s, p) = {s.arrival, p};
    }
  }

  void draw(const std::vector<Slice>& slices) {
    for (const Slice& slice : slices) {
      Answer& a = answers_.at(slice.sequence);
      const Sequence& s = planner_.sequence(slice.sequence);
      a.rows_seen += slice.logit_rows;
      if (s.computed < s.goal()) continue;
      const int64_t scored = a.score ? a.prompt - 1 : 0;
      if (!s.generates) {
        ASSERT_EQ(a.rows_seen, scored);
        end(slice.sequence);
        continue;
      }
      planner_.accept(slice.sequence, static_cast<TokenId>(upto(9)));
      const int64_t generated = static_cast<int64_t>(s.tokens.size()) - a.prompt;
      ASSERT_EQ(a.rows_seen, scored + generated) << "a row was asked for twice, or never";
      if (generated == a.max_tokens || generated == a.stop_after) end(slice.sequence);
    }
  }

  void audit() {
    const Status books = planner_.audit();
    ASSERT_TRUE(books.has_value()) << books.error().message;
  }

  std::mt19937_64 random_;
  const PlannerLimits limits_;
  double load_;
  StepPlanner planner_;
  std::map<SequenceId, Answer> answers_;
  std::vector<std::pair<uint64_t, int64_t>> memory_;  // [blocks * block_tokens], who wrote what
  Instant clock_{};
  int64_t steps_ = 0;
};

void live(uint64_t seed, PlannerLimits limits, double load, int64_t steps, bool expect_preemption) {
  SCOPED_TRACE("MILL_TEST_SEED=" + std::to_string(seed));
  Life life(seed, limits, load);
  for (int64_t i = 0; i < steps; ++i) {
    ASSERT_NO_FATAL_FAILURE(life.step());
    if (::testing::Test::HasFailure()) return;
  }
  ASSERT_NO_FATAL_FAILURE(life.drain());
  std::printf(
      "seed %llu: %lld steps, %lld ended, %lld cancelled, %lld expired, %lld refused, "
      "%lld preemptions\n",
      static_cast<unsigned long long>(seed), static_cast<long long>(life.steps()),
      static_cast<long long>(life.ended), static_cast<long long>(life.cancelled),
      static_cast<long long>(life.expired), static_cast<long long>(life.refused),
      static_cast<long long>(life.planner().totals().preemptions));
  EXPECT_GT(life.ended, 0);
  if (expect_preemption) {
    EXPECT_GT(life.planner().totals().preemptions, 0);
  }
}

uint64_t seed_of_today(uint64_t fallback) {
  const char* given = std::getenv("MILL_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : fallback;
}

TEST(StepPlannerRandom, ScarceBlocks) {
  const PlannerLimits limits{.blocks = 12,
                             .block_tokens = 4,
                             .max_running = 6,
                             .max_waiting = 20,
                             .step_tokens = 24,
                             .prefill_tokens = 8,
                             .logit_rows = 6};
  for (uint64_t i = 0; i < 10; ++i) {
    ASSERT_NO_FATAL_FAILURE(live(seed_of_today(100 + i), limits, 0.3, 25000, true));
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
  for (uint64_t i = 0; i < 10; ++i) {
    ASSERT_NO_FATAL_FAILURE(live(seed_of_today(200 + i), limits, 0.4, 15000, true));
  }
}

TEST(StepPlannerRandom, PlentyOfBlocks) {
  const PlannerLimits limits{.blocks = 400,
                             .block_tokens = 8,
                             .max_running = 16,
                             .max_waiting = 1000,
                             .step_tokens = 512,
                             .prefill_tokens = 256,
                             .logit_rows = 16};
  ASSERT_NO_FATAL_FAILURE(live(seed_of_today(300), limits, 0.02, 30000, false));
}

TEST(StepPlannerRandom, OneAtATime) {
  const PlannerLimits limits{.blocks = 8,
                             .block_tokens = 4,
                             .max_running = 1,
                             .max_waiting = 50,
                             .step_tokens = 8,
                             .prefill_tokens = 8,
                             .logit_rows = 1};
  ASSERT_NO_FATAL_FAILURE(live(seed_of_today(400), limits, 0.1, 50000, false));
}

}  // namespace
}  // namespace mill::scheduler
