// The prefix cache in the batch: what is found is not computed, and changes no answer.
#include <gtest/gtest.h>

#include "engine/toy_mill.h"

namespace mill::engine {
namespace {

using work::FinishReason;
using work::Order;

constexpr int64_t kBlock = tensor::kBlockTokens;

Order of_tenant(Order order, uint64_t tenant) {
  order.cache_salt = {tenant, 1};
  return order;
}

TEST(BatchCache, TheSamePromptAgainIsFound) {
  ToyMill mill;
  const Tokens prompt = prompt_of(100, 1);
  const Answer first = mill.answer(greedy(prompt, 20));
  EXPECT_EQ(first.finished->usage.cached_tokens, 0);
  EXPECT_EQ(mill.batch.load().cached_blocks, (100 + 19) / kBlock);
  const Answer second = mill.answer(greedy(prompt, 20));
  EXPECT_EQ(second.tokens, first.tokens);
  EXPECT_EQ(second.finished->usage.prompt_tokens, 100);
  EXPECT_EQ(second.finished->usage.cached_tokens, 3 * kBlock);
  EXPECT_EQ(mill.batch.load().cached_tokens, 3 * kBlock);
  EXPECT_EQ(mill.batch.load().prompt_tokens, 200 - 3 * kBlock);
}

TEST(BatchCache, AnAnswerIsFoundWhenTheTalkGoesOn) {
  ToyMill mill;
  Tokens talk = prompt_of(50, 1);
  const Answer first = mill.answer(greedy(talk, 60));
  talk.insert(talk.end(), first.tokens.begin(), first.tokens.end());
  talk.push_back(7);
  const Answer second = mill.answer(greedy(talk, 10));
  EXPECT_EQ(second.tokens, ToyForward::greedy(talk, 10));
  EXPECT_EQ(second.finished->usage.cached_tokens, 3 * kBlock);
}

TEST(BatchCache, SixteenClientsWithOneBeginningComputeItOnce) {
  ToyMill mill({.blocks = 400});
  const Tokens beginning = prompt_of(2048, 1);
  std::vector<work::TokenStream> streams;
  const auto prompt = [&](uint64_t i) {
    Tokens tokens = beginning;
    const Tokens own = prompt_of(20, 100 + i);
    tokens.insert(tokens.end(), own.begin(), own.end());
    return tokens;
  };
  for (uint64_t i = 0; i < 16; ++i) streams.push_back(mill.submit(greedy(prompt(i), 10)));
  mill.run();
  EXPECT_EQ(mill.batch.load().prompt_tokens, 2048 + 16 * 20);
  EXPECT_EQ(mill.batch.load().preemptions, 0);
  for (uint64_t i = 0; i < 16; ++i) {
    Answer answer;
    read(streams[i], answer);
    EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt(i), 10));
    EXPECT_EQ(answer.finished->usage.cached_tokens, i == 0 ? 0 : 2048);
  }
}

TEST(BatchCache, TheChoicesOfOnePromptShareIt) {
  ToyMill mill;
  const Tokens prompt = prompt_of(130, 1);
  std::vector<work::TokenStream> streams;
  for (uint32_t choice = 0; choice < 4; ++choice) {
    Order order{.prompt = prompt, .sampling = {.seed = 9, .choice = choice}, .max_tokens = 30};
    streams.push_back(mill.submit(std::move(order)));
  }
  mill.run();
  EXPECT_EQ(mill.batch.load().prompt_tokens, 4 * 130 - 3 * 128);
  std::vector<Tokens> answers;
  for (uint32_t choice = 0; choice < 4; ++choice) {
    Answer answer;
    read(streams[choice], answer);
    ToyMill alone;
    Order order{.prompt = prompt, .sampling = {.seed = 9, .choice = choice}, .max_tokens = 30};
    EXPECT_EQ(answer.tokens, alone.answer(std::move(order)).tokens);
    for (const Tokens& other : answers) EXPECT_NE(answer.tokens, other);
    answers.push_back(answer.tokens);
  }
}

// The paired test. Whether another tenant has asked the same before, or is asking it just now,
// changes nothing that a tenant can see: tokens cached, steps until each token, blocks in use.
TEST(BatchCache, ATenantNeitherFindsNorTimesAnothersPrompt) {
  const Tokens prompt = prompt_of(700, 1);
  struct Seen {
    std::vector<int64_t> steps;  // after which each token came
    int64_t cached = 0;
    bool operator==(const Seen&) const = default;
  };
  const auto ask = [&](ToyMill& mill, uint64_t tenant) {
    Seen seen;
    work::TokenStream stream = mill.submit(of_tenant(greedy(prompt, 5), tenant));
    Answer answer;
    for (int64_t step = 0; !answer.finished; ++step) {
      mill.step();
      read(stream, answer);
      while (seen.steps.size() < answer.tokens.size()) seen.steps.push_back(step);
    }
    seen.cached = answer.finished->usage.cached_tokens;
    EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt, 5));
    return seen;
  };
  for (const int64_t window : {0, 100}) {
    SCOPED_TRACE(window);
    ToyMill cold({}, {.window = window});
    const Seen alone = ask(cold, 2);
    EXPECT_EQ(alone.cached, 0);
    ToyMill warm({}, {.window = window});
    ask(warm, 1);
    EXPECT_EQ(ask(warm, 2), alone);
    EXPECT_NE(ask(warm, 2), alone) << "his own he finds";
    EXPECT_EQ(ask(warm, 3), alone);
  }
}

TEST(BatchCache, AScoredPromptIsComputedWholly) {
  ToyMill mill;
  Order order = greedy(prompt_of(100, 1), 5);
  mill.answer(order);
  order.score_prompt = true;
  const Answer scored = mill.answer(order);
  EXPECT_EQ(scored.finished->usage.cached_tokens, 0);
  ToyMill alone;
  const Answer expected = alone.answer(order);
  ASSERT_EQ(scored.scored.size(), expected.scored.size());
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(scored.scored[i].logprob, expected.scored[i].logprob);
  }
}

TEST(BatchCache, AFaultyPromptLeavesNothingBehind) {
  ToyForward::Options toy;
  toy.poison = 39;
  ToyMill mill({}, toy);
  Tokens prompt(100, 1);
  prompt[60] = 39;
  for (int i = 0; i < 3; ++i) {
    const Answer answer = mill.answer(greedy(prompt, 5));
    EXPECT_EQ(answer.finished->reason, FinishReason::kFault);
    EXPECT_EQ(answer.finished->usage.cached_tokens, 0);
    EXPECT_EQ(mill.batch.load().cached_blocks, 0);
  }
}

TEST(BatchCache, AFaultLeavesThoseAloneWhoShareTheBeginning) {
  ToyForward::Options toy;
  toy.poison = 39;
  ToyMill mill({}, toy);
  Tokens good(100, 1);
  while (true) {  // whose answer never comes to the poison
    const Tokens answer = ToyForward::greedy(good, 40);
    if (std::find(answer.begin(), answer.end(), 39) == answer.end()) break;
    good.back() = (good.back() + 1) % 39;
  }
  Tokens bad = good;
  bad[98] = 39;
  auto fine = mill.submit(greedy(good, 40));
  mill.step();
  mill.step();
  auto broken = mill.submit(greedy(bad, 40));
  mill.run();
  Answer answer;
  read(broken, answer);
  EXPECT_EQ(answer.finished->reason, FinishReason::kFault);
  EXPECT_EQ(answer.finished->usage.cached_tokens, 96);
  Answer whole;
  read(fine, whole);
  EXPECT_EQ(whole.tokens, ToyForward::greedy(good, 40));
}

TEST(BatchCache, WhoIsPreemptedGoesOnFromWhatIsCached) {
  ToyMill mill({.blocks = 11, .max_running = 8, .step_tokens = 64, .logit_rows = 8});
  auto slow = mill.submit(greedy(prompt_of(200, 1), 60));
  for (int i = 0; i < 6; ++i) mill.step();
  Order urgent = greedy(prompt_of(150, 2), 10);
  urgent.priority = 1;
  auto fast = mill.submit(std::move(urgent));
  mill.run();
  EXPECT_EQ(mill.batch.load().preemptions, 1);
  EXPECT_EQ(mill.batch.load().prompt_tokens, 350);
  Answer answer;
  read(slow, answer);
  EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt_of(200, 1), 60));
  EXPECT_EQ(answer.finished->usage.cached_tokens, 0) << "it computed that itself";
  EXPECT_LT(mill.batch.load().steps, 6 + 13 + 60 + 3) << "most of it was still there";
}

}  // namespace
}  // namespace mill::engine
