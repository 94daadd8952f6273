#include "sim/sim_batch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <random>

#include "sim/answer_for_test.h"
#include "sim/tokens.h"

namespace mill::sim {
namespace {

using std::chrono::milliseconds;
using work::FinishReason;

Profile profile_of(std::string_view text) {
  return *parse_profile(text);
}

// A batch on a virtual clock.
struct Trial {
  explicit Trial(std::string_view profile, BatchLimits limits = {})
      : batch(profile_of(profile), limits, numbers(40)), prefix_cache(limits.prefix_cache) {}

  work::TokenStream submit(work::Order order) {
    const size_t scored = order.score_prompt ? order.prompt.size() : 0;
    auto [sink, stream] = work::make_token_stream(scored + static_cast<size_t>(order.max_tokens));
    batch.take(Prepared(std::move(order), prefix_cache), std::move(sink));
    return std::move(stream);
  }
  bool step() {
    const auto time = batch.begin_step(clock);
    if (time) {
      clock += *time;
      batch.end_step();
    }
    batch.deliver_endings();
    return time.has_value();
  }
  void run() {
    while (step()) {
    }
  }
  ReadAnswer answer(work::Order order) {
    work::TokenStream stream = submit(std::move(order));
    run();
    ReadAnswer got;
    read(stream, got);
    EXPECT_TRUE(got.finished.has_value());
    return got;
  }
  double seconds() const { return to_seconds(clock.time_since_epoch()); }

  SimBatch batch;
  bool prefix_cache;
  Instant clock{};
};

TEST(SimBatch, TimeGoesByTheProfile) {
  Trial trial("prefill=1000,step=10ms,per_sequence=1ms");
  const ReadAnswer answer = trial.answer(order_of(numbers(100), 5));
  EXPECT_EQ(answer.tokens.size(), 5U);
  EXPECT_NEAR(trial.seconds(), 0.1 + 4 * 0.011, 1e-6) << "the last prompt token gives the first";
  EXPECT_EQ(trial.batch.load().steps, 5);
}

TEST(SimBatch, ManyShareAStep) {
  Trial trial("step=10ms,per_sequence=1ms");
  std::vector<work::TokenStream> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(trial.submit(order_of(numbers(4, i), 11)));
  trial.run();
  EXPECT_NEAR(trial.seconds(), 10 * 0.018, 1e-6);
  EXPECT_EQ(trial.batch.load().generated_tokens, 88);
}

TEST(SimBatch, AStepsTimeIsItsAnswersByTheirTokens) {
  Trial trial("prefill=1000,step=10ms");
  auto large = trial.submit(order_of(numbers(300), 3));
  auto small = trial.submit(order_of(numbers(100, 300), 1));
  trial.run();
  ReadAnswer one, two;
  read(large, one);
  read(small, two);
  // 400 prompt tokens take 0.4 s; two more tokens of the large one 10 ms each.
  EXPECT_EQ(two.finished->usage.busy, milliseconds(100));
  EXPECT_EQ(one.finished->usage.busy, milliseconds(320));
}

TEST(SimBatch, PromptsAreComputedInChunksBesideThoseWhoGenerate) {
  Trial trial("prefill=1000,step=10ms",
              {.max_running = 4, .step_tokens = 512, .prefill_tokens = 64});
  auto first = trial.submit(order_of(numbers(10), 40));
  trial.step();
  auto second = trial.submit(order_of(numbers(200), 2));
  std::vector<size_t> got;
  ReadAnswer a, b;
  read(first, a);
  while (b.tokens.empty()) {
    ASSERT_TRUE(trial.step());
    const size_t before = a.tokens.size();
    read(first, a);
    EXPECT_EQ(a.tokens.size(), before + 1) << "who generates gets a token in every step";
    read(second, b);
  }
  EXPECT_EQ(a.tokens.size(), 1U + 4U) << "200 tokens are 4 chunks of 64";
  trial.run();
}

TEST(SimBatch, TokensAreAFunctionOfPromptSeedAndPlace) {
  Trial alone("instant");
  work::Order order = order_of(numbers(50), 30);
  order.sampling.temperature = 1;
  order.sampling.seed = 7;
  const std::vector<TokenId> expected = alone.answer(order).tokens;
  EXPECT_EQ(alone.answer(order).tokens, expected);

  Trial crowd("step=1ms", {.max_running = 3});
  std::vector<work::TokenStream> streams;
  for (int i = 0; i < 9; ++i) streams.push_back(crowd.submit(order));
  crowd.run();
  for (auto& stream : streams) {
    ReadAnswer answer;
    read(stream, answer);
    EXPECT_EQ(answer.tokens, expected) << "the same in a crowd";
  }
  work::Order shorter = order;
  shorter.max_tokens = 10;
  const auto start = std::vector<TokenId>(expected.begin(), expected.begin() + 10);
  EXPECT_EQ(alone.answer(shorter).tokens, start);

  const auto with = [&](auto change) {
    work::Order other = order;
    change(other);
    return alone.answer(other).tokens;
  };
  EXPECT_NE(with([](auto& o) { o.sampling.seed = 8; }), expected);
  EXPECT_NE(with([](auto& o) { o.sampling.choice = 1; }), expected);
  EXPECT_NE(with([](auto& o) { o.prompt.back() = 0; }), expected);
  const auto greedy = with([](auto& o) { o.sampling.temperature = 0; });
  EXPECT_EQ(with([](auto& o) { o.sampling.temperature = 0, o.sampling.seed = 9; }), greedy);
}

TEST(SimBatch, AnAnswerEndsByItselfWhereItMay) {
  Trial trial("instant,answer=20");
  work::Order order = order_of(numbers(5), 100);
  order.stop_tokens = {3000};
  const ReadAnswer stopped = trial.answer(order);
  EXPECT_EQ(stopped.finished->reason, FinishReason::kStop);
  EXPECT_EQ(stopped.tokens.size(), 19U);
  EXPECT_EQ(stopped.finished->usage.completion_tokens, 20) << "the stop token counts";
  order.stop_tokens.clear();
  const ReadAnswer whole = trial.answer(order);
  EXPECT_EQ(whole.finished->reason, FinishReason::kLength);
  EXPECT_EQ(whole.tokens.size(), 100U);
  order.stop_tokens = {whole.tokens[6]};
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), whole.tokens[6]);
  EXPECT_EQ(trial.answer(order).finished->usage.completion_tokens,
            first - whole.tokens.begin() + 1);
}

TEST(SimBatch, PrefixesAreFoundByTheirTenantAlone) {
  Trial trial("instant");
  const auto cached = [&](std::vector<TokenId> prompt, uint64_t tenant) {
    work::Order order = order_of(std::move(prompt), 2);
    order.cache_salt = {tenant, 0};
    const work::Usage usage = trial.answer(std::move(order)).finished->usage;
    return usage.cached_tokens;
  };
  EXPECT_EQ(cached(numbers(200), 1), 0);
  EXPECT_EQ(cached(numbers(200), 2), 0);
  EXPECT_EQ(cached(numbers(200), 1), 192);
  EXPECT_EQ(cached(numbers(96), 1), 64) << "the last token of a prompt is always computed";
  std::vector<TokenId> other = numbers(200);
  other[40] += 1;
  EXPECT_EQ(cached(other, 1), 32);
  EXPECT_EQ(trial.batch.load().cached_tokens, 192 + 64 + 32);
  EXPECT_EQ(trial.batch.load().prompt_tokens, 2 * 200 + 8 + 32 + 168);
  Trial off("instant", {.prefix_cache = false});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(off.answer(order_of(numbers(200), 2)).finished->usage.cached_tokens, 0);
  }
}

TEST(SimBatch, CachedTokensTakeNoTime) {
  Trial trial("prefill=1000");
  trial.answer(order_of(numbers(320), 1));
  EXPECT_NEAR(trial.seconds(), 0.32, 1e-6);
  trial.answer(order_of(numbers(320), 1));
  EXPECT_NEAR(trial.seconds(), 0.32 + 0.032, 1e-6);
}

TEST(SimBatch, PrioritiesGoFirstAndEqualsInTurn) {
  Trial trial("step=1ms", {.max_running = 1});
  std::vector<work::TokenStream> streams;
  for (const int32_t priority : {0, 0, 5, 0, 5}) {
    work::Order order = order_of(numbers(3), 1);
    order.priority = priority;
    streams.push_back(trial.submit(std::move(order)));
  }
  std::vector<size_t> ends;
  while (trial.step()) {
    for (size_t i = 0; i < streams.size(); ++i) {
      ReadAnswer answer;
      if (std::find(ends.begin(), ends.end(), i) != ends.end()) continue;
      read(streams[i], answer);
      if (answer.finished) ends.push_back(i);
    }
  }
  EXPECT_EQ(ends, (std::vector<size_t>{2, 4, 0, 1, 3}));
}

TEST(SimBatch, ReadersWhoLeaveAndDeadlines) {
  Trial trial("step=10ms", {.max_running = 2});
  auto leaves = trial.submit(order_of(numbers(3), 1000));
  work::Order late = order_of(numbers(3, 1), 1000);
  late.deadline = trial.clock + milliseconds(35);
  auto in_time = trial.submit(late);
  auto waits = trial.submit(late);
  for (int i = 0; i < 3; ++i) trial.step();
  leaves.cancel();
  for (int i = 0; i < 3; ++i) trial.step();
  ReadAnswer left, ended, never;
  read(leaves, left);
  read(in_time, ended);
  read(waits, never);
  ASSERT_TRUE(left.finished && ended.finished && never.finished);
  EXPECT_EQ(left.finished->reason, FinishReason::kCancelled);
  EXPECT_EQ(left.finished->usage.completion_tokens, std::ssize(left.tokens));
  EXPECT_EQ(ended.finished->reason, FinishReason::kDeadline);
  EXPECT_EQ(never.finished->reason, FinishReason::kDeadline);
  EXPECT_EQ(trial.batch.size(), 0);
  EXPECT_EQ(trial.batch.load().kv_blocks_free, trial.batch.load().kv_blocks_total);
}

TEST(SimBatch, ScoresAPrompt) {
  Trial trial("instant", {.max_running = 4, .step_tokens = 16, .prefill_tokens = 16});
  work::Order order = order_of(numbers(50), 0);
  order.score_prompt = true;
  order.sampling.top_logprobs = 2;
  const ReadAnswer answer = trial.answer(order);
  EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
  ASSERT_EQ(answer.scored.size(), 50U);
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(answer.scored[i].token, numbers(50)[i]);
    EXPECT_EQ(answer.scored[i].logprob.has_value(), i > 0);
    EXPECT_EQ(answer.scored[i].top.size(), i > 0 ? 2U : 0U);
  }
  order.max_tokens = 3;
  const ReadAnswer both = trial.answer(order);
  EXPECT_EQ(both.scored.size(), 50U);
  EXPECT_EQ(both.tokens.size(), 3U);
  EXPECT_TRUE(both.pieces[0].logprob.has_value());
  EXPECT_EQ(both.finished->usage.cached_tokens, 0);
  order.score_prompt = false;
  order.max_tokens = 0;
  const ReadAnswer none = trial.answer(order);
  EXPECT_EQ(none.finished->reason, FinishReason::kLength);
  EXPECT_EQ(none.finished->usage.prompt_tokens, 50);
}

TEST(SimBatch, FaultsHitEachSoManyth) {
  Trial trial("instant,fault=3,every=3");
  for (int i = 0; i < 7; ++i) {
    const ReadAnswer answer = trial.answer(order_of(numbers(5), 10));
    const bool hit = i % 3 == 0;
    EXPECT_EQ(answer.finished->reason, hit ? FinishReason::kFault : FinishReason::kLength);
    EXPECT_EQ(answer.finished->fault.has_value(), hit);
    EXPECT_EQ(answer.tokens.size(), hit ? 3U : 10U);
    EXPECT_EQ(answer.finished->usage.completion_tokens, hit ? 3 : 10);
  }
  Trial at_once("instant,fault=0");
  EXPECT_TRUE(at_once.answer(order_of(numbers(5), 10)).tokens.empty());
}

TEST(SimBatch, FalseUsage) {
  const auto usage = [](std::string_view profile) {
    Trial trial(profile);
    return trial.answer(order_of(numbers(5), 10)).finished->usage;
  };
  EXPECT_EQ(usage("instant,usage=missing").prompt_tokens, 0);
  EXPECT_EQ(usage("instant,usage=zero").prompt_tokens, 5);
  EXPECT_EQ(usage("instant,usage=zero").completion_tokens, 0);
  EXPECT_EQ(usage("instant,usage=negative").completion_tokens, -11);
  EXPECT_EQ(usage("instant,usage=negative").prompt_tokens, -5);
  EXPECT_EQ(usage("instant,usage=huge").completion_tokens, std::numeric_limits<int64_t>::max());
}

TEST(SimBatch, OneThatHangsHoldsUpNobodyAndEndsWhenItsReaderLeaves) {
  Trial trial("step=1ms,hang=2,every=2");
  auto hung = trial.submit(order_of(numbers(5), 10));
  const ReadAnswer other = trial.answer(order_of(numbers(5), 10));
  EXPECT_EQ(other.tokens.size(), 10U);
  ReadAnswer answer;
  read(hung, answer);
  EXPECT_EQ(answer.tokens.size(), 2U);
  EXPECT_FALSE(answer.finished.has_value());
  EXPECT_EQ(trial.batch.size(), 1);
  hung.cancel();
  EXPECT_FALSE(trial.step());
  read(hung, answer);
  ASSERT_TRUE(answer.finished.has_value());
  EXPECT_EQ(answer.finished->reason, FinishReason::kCancelled);
}

TEST(SimBatchDeathTest, DiesAfterSoManyTokens) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Trial trial("instant,die=2");
        trial.answer(order_of(numbers(5), 10));
      },
      testing::KilledBySignal(SIGKILL), "");
}

// Whatever is asked for: as many tokens as were ordered or fewer for a reason, none counted twice.
TEST(SimBatch, RandomOrders) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Trial trial("prefill=5000,step=1ms,per_sequence=0.1ms",
              {.max_running = 5, .step_tokens = 40, .prefill_tokens = 16});
  struct Open {
    work::TokenStream stream;
    int64_t prompt, most;
    ReadAnswer answer{};
    bool cancelled = false;
  };
  std::vector<Open> open;
  for (int round = 0; round < 3000; ++round) {
    if (round < 2000 && random() % 4 == 0) {
      const auto prompt = static_cast<TokenId>(1 + random() % 120);
      work::Order order = order_of(numbers(prompt, static_cast<TokenId>(random() % 3)),
                                   static_cast<int32_t>(random() % 30));
      order.priority = static_cast<int32_t>(random() % 3);
      if (random() % 3 == 0) order.stop_tokens = {static_cast<TokenId>(random() % 40)};
      if (random() % 5 == 0) order.deadline = trial.clock + milliseconds(random() % 50);
      order.score_prompt = random() % 6 == 0;
      const int64_t most = order.max_tokens;
      open.push_back({trial.submit(std::move(order)), prompt, most});
    }
    if (!open.empty() && random() % 20 == 0) {
      Open& one = open[random() % open.size()];
      one.stream.cancel();
      one.cancelled = true;
    }
    trial.step();
    for (size_t i = 0; i < open.size();) {
      Open& one = open[i];
      read(one.stream, one.answer);
      if (!one.answer.finished) {
        ++i;
        continue;
      }
      const work::Finished& end = *one.answer.finished;
      const auto delivered = static_cast<int64_t>(one.answer.tokens.size());
      const bool stopped = end.reason == FinishReason::kStop;
      EXPECT_EQ(end.usage.completion_tokens, delivered + (stopped ? 1 : 0));
      EXPECT_EQ(end.usage.prompt_tokens, one.prompt);
      EXPECT_LT(end.usage.cached_tokens, one.prompt);
      EXPECT_TRUE(end.reason != FinishReason::kLength || delivered == one.most);
      EXPECT_TRUE(end.reason != FinishReason::kCancelled || one.cancelled);
      std::swap(open[i], open.back());
      open.pop_back();
    }
  }
  trial.run();
  for (Open& one : open) {
    read(one.stream, one.answer);
    EXPECT_TRUE(one.answer.finished.has_value());
  }
  EXPECT_EQ(trial.batch.size(), 0);
}

}  // namespace
}  // namespace mill::sim
