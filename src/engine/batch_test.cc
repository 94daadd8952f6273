#include "engine/batch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <numeric>
#include <random>

#include "engine/toy_mill.h"

namespace mill::engine {
namespace {

using work::FinishReason;
using work::Order;

TEST(Batch, GreedyAnswersAreThoseOfTheModel) {
  ToyMill mill;
  std::vector<work::TokenStream> streams;
  for (uint64_t i = 0; i < 30; ++i) {
    streams.push_back(mill.submit(greedy(prompt_of(1 + static_cast<int64_t>(i) * 7, i), 20)));
  }
  mill.run();
  for (uint64_t i = 0; i < 30; ++i) {
    Answer answer;
    read(streams[i], answer);
    const Tokens prompt = prompt_of(1 + static_cast<int64_t>(i) * 7, i);
    EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt, 20)) << i;
    ASSERT_TRUE(answer.finished.has_value());
    EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
    EXPECT_EQ(answer.finished->usage.prompt_tokens, std::ssize(prompt));
    EXPECT_EQ(answer.finished->usage.completion_tokens, 20);
    EXPECT_EQ(answer.finished->usage.cached_tokens, 0);
  }
  EXPECT_EQ(mill.batch.load().generated_tokens, 30 * 20);
  EXPECT_EQ(mill.batch.load().prompt_tokens, 30 + 7 * (29 * 30 / 2));
}

TEST(Batch, TheStopTokenIsCountedAndNotDelivered) {
  ToyMill mill;
  const Tokens expected = ToyForward::greedy(prompt_of(9, 1), 12);
  const TokenId stop = expected[7];
  const auto first = std::find(expected.begin(), expected.end(), stop);
  Order order = greedy(prompt_of(9, 1), 12);
  order.stop_tokens = {1000, stop};
  const Answer answer = mill.answer(std::move(order));
  EXPECT_EQ(answer.tokens, Tokens(expected.begin(), first));
  EXPECT_EQ(answer.finished->reason, FinishReason::kStop);
  EXPECT_EQ(answer.finished->usage.completion_tokens, first - expected.begin() + 1);
}

TEST(Batch, NoTokensAtAllEndsAtOnce) {
  ToyMill mill;
  const Answer answer = mill.answer(greedy(prompt_of(5, 1), 0));
  EXPECT_TRUE(answer.tokens.empty());
  EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
  EXPECT_EQ(answer.finished->usage.prompt_tokens, 5);
  EXPECT_EQ(mill.batch.load().steps, 0);
}

// What scoring must give, from the toy's logits directly.
void expect_scored(const Answer& answer, const Tokens& prompt) {
  ASSERT_EQ(answer.scored.size(), prompt.size());
  EXPECT_FALSE(answer.scored[0].logprob.has_value());
  for (size_t i = 0; i < prompt.size(); ++i) {
    ASSERT_EQ(answer.scored[i].token, prompt[i]);
    if (i == 0) continue;
    const auto logits = ToyForward::logits_of(std::span(prompt).first(i), {});
    double total = 0;
    for (const float x : logits) total += std::exp(static_cast<double>(x));
    const auto expected = logits[static_cast<size_t>(prompt[i])] - std::log(total);
    ASSERT_NEAR(*answer.scored[i].logprob, expected, 1e-5) << i;
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    ASSERT_EQ(answer.scored[i].top.size(), 2U);
    ASSERT_EQ(answer.scored[i].top[0].token, best);
  }
}

TEST(Batch, APromptIsScoredOverManyChunks) {
  ToyMill mill;
  for (const int64_t size : {1, 2, 64, 65, 200}) {
    for (const int32_t max_tokens : {0, 3}) {
      Order order = greedy(prompt_of(size, 3), max_tokens);
      order.score_prompt = true;
      order.sampling.top_logprobs = 2;
      const Answer answer = mill.answer(std::move(order));
      ASSERT_NO_FATAL_FAILURE(expect_scored(answer, prompt_of(size, 3)));
      EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt_of(size, 3), max_tokens));
      EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
      EXPECT_EQ(answer.finished->usage.completion_tokens, max_tokens);
    }
  }
}

TEST(Batch, PreemptedAnswersAreTheSameAndCountOnce) {
  ToyMill scarce(
      {.blocks = 14, .max_running = 8, .step_tokens = 64, .prefill_tokens = 16, .logit_rows = 8});
  std::vector<work::TokenStream> streams;
  int64_t prompts = 0;
  int64_t generated = 0;
  for (uint64_t i = 0; i < 40; ++i) {
    streams.push_back(scarce.submit(mixed(i)));
    prompts += std::ssize(mixed(i).prompt);
    generated += mixed(i).max_tokens;
  }
  scarce.run();
  EXPECT_GT(scarce.batch.load().preemptions, 3);
  EXPECT_EQ(scarce.batch.load().prompt_tokens, prompts) << "recomputed tokens don't count";
  EXPECT_EQ(scarce.batch.load().generated_tokens, generated);
  for (uint64_t i = 0; i < 40; ++i) {
    Answer answer;
    read(streams[i], answer);
    ToyMill alone;
    const Answer undisturbed = alone.answer(mixed(i));
    EXPECT_EQ(answer.tokens, undisturbed.tokens) << i;
    ASSERT_EQ(std::ssize(answer.tokens), mixed(i).max_tokens);
    if (mixed(i).score_prompt) {
      ASSERT_NO_FATAL_FAILURE(expect_scored(answer, mixed(i).prompt));
    }
    EXPECT_EQ(answer.finished->usage.prompt_tokens, std::ssize(mixed(i).prompt));
    EXPECT_EQ(answer.finished->usage.completion_tokens, mixed(i).max_tokens);
  }
}

TEST(Batch, CancelAtEveryTokenGivesTheBlocksBackWithinTwoSteps) {
  for (size_t at = 0; at < 30; ++at) {
    for (const bool drop : {false, true}) {
      ToyMill mill;
      auto other = mill.submit(greedy(prompt_of(40, 2), 60));
      std::optional<work::TokenStream> stream(mill.submit(greedy(prompt_of(600, 1), 40)));
      Answer answer;
      while (answer.tokens.size() < at) {
        mill.step();
        read(*stream, answer);
      }
      const int64_t before = mill.batch.size();
      if (drop) {
        stream.reset();
      } else {
        stream->cancel();
      }
      mill.step();
      mill.step();
      EXPECT_EQ(mill.batch.size(), before - 1);
      if (!drop) {
        read(*stream, answer);
        ASSERT_TRUE(answer.finished.has_value());
        EXPECT_EQ(answer.finished->reason, FinishReason::kCancelled);
        EXPECT_EQ(answer.finished->usage.completion_tokens, std::ssize(answer.tokens));
      }
      mill.run();
      Answer undisturbed;
      read(other, undisturbed);
      EXPECT_EQ(undisturbed.tokens, ToyForward::greedy(prompt_of(40, 2), 60));
    }
  }
}

TEST(Batch, DeadlinesEndThoseWhoRunAndThoseWhoWait) {
  ToyMill mill({.max_running = 1, .logit_rows = 1});
  Order running = greedy(prompt_of(3, 1), 100);
  running.deadline = mill.clock + std::chrono::milliseconds(20);
  Order waiting = greedy(prompt_of(3, 2), 100);
  waiting.deadline = mill.clock + std::chrono::milliseconds(10);
  auto first = mill.submit(std::move(running));
  auto second = mill.submit(std::move(waiting));
  auto third = mill.submit(greedy(prompt_of(3, 3), 5));
  mill.run();
  Answer late;
  read(first, late);
  EXPECT_EQ(late.finished->reason, FinishReason::kDeadline);
  EXPECT_EQ(late.tokens, ToyForward::greedy(prompt_of(3, 1), 19)) << "one token a millisecond";
  EXPECT_EQ(late.finished->usage.completion_tokens, 19);
  Answer never;
  read(second, never);
  EXPECT_EQ(never.finished->reason, FinishReason::kDeadline);
  EXPECT_EQ(never.finished->usage.completion_tokens, 0);
  Answer whole;
  read(third, whole);
  EXPECT_EQ(whole.tokens, ToyForward::greedy(prompt_of(3, 3), 5));
}

TEST(Batch, AFaultTouchesItsOwnRequestOnly) {
  ToyForward::Options toy;
  toy.poison = 39;
  ToyMill mill({}, toy);
  const Tokens poisoned = {1, 2, 39, 4};
  // Two more answers: one that comes to the poison by itself, and one that never does.
  const auto place_of_poison = [](uint64_t seed) {
    const Tokens tokens = ToyForward::greedy(prompt_of(1, seed), 30);
    return std::find(tokens.begin(), tokens.end(), 39) - tokens.begin();
  };
  uint64_t late_seed = 0;
  while (place_of_poison(late_seed) < 3 || place_of_poison(late_seed) > 25 ||
         prompt_of(1, late_seed)[0] == 39) {
    ++late_seed;
  }
  uint64_t good_seed = 0;
  while (place_of_poison(good_seed) < 30 || prompt_of(1, good_seed)[0] == 39) ++good_seed;

  auto bad = mill.submit(greedy(poisoned, 10));
  Order scored = greedy(poisoned, 10);
  scored.score_prompt = true;
  auto bad_scored = mill.submit(std::move(scored));
  auto late = mill.submit(greedy(prompt_of(1, late_seed), 30));
  auto good = mill.submit(greedy(prompt_of(1, good_seed), 30));
  mill.run();

  Answer answer;
  read(bad, answer);
  EXPECT_EQ(answer.finished->reason, FinishReason::kFault);
  ASSERT_TRUE(answer.finished->fault.has_value());
  EXPECT_EQ(answer.finished->fault->code, Code::kInternal);
  EXPECT_EQ(answer.finished->usage.completion_tokens, 0);
  Answer half;
  read(bad_scored, half);
  EXPECT_EQ(half.finished->reason, FinishReason::kFault);
  EXPECT_EQ(half.scored.size(), 3U) << "what came before the poison was fine";
  Answer cut;
  read(late, cut);
  EXPECT_EQ(cut.finished->reason, FinishReason::kFault);
  EXPECT_EQ(std::ssize(cut.tokens), place_of_poison(late_seed) + 1);
  Answer fine;
  read(good, fine);
  EXPECT_EQ(fine.finished->reason, FinishReason::kLength);
  EXPECT_EQ(fine.tokens, ToyForward::greedy(prompt_of(1, good_seed), 30));
}

TEST(Batch, EndAllEndsThoseWhoRunAndThoseWhoWait) {
  ToyMill mill({.max_running = 2, .logit_rows = 2});
  std::vector<work::TokenStream> streams;
  for (uint64_t i = 0; i < 5; ++i) streams.push_back(mill.submit(greedy(prompt_of(5, i), 50)));
  for (int i = 0; i < 3; ++i) mill.step();
  mill.batch.end_all(FinishReason::kCancelled);
  mill.batch.deliver_endings();
  mill.expect_clean();
  for (auto& stream : streams) {
    Answer answer;
    read(stream, answer);
    ASSERT_TRUE(answer.finished.has_value());
    EXPECT_EQ(answer.finished->reason, FinishReason::kCancelled);
  }
}

}  // namespace
}  // namespace mill::engine
