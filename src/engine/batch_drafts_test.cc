// Speculation in the batch: the answer is the same with and without, whatever is guessed.
#include <gtest/gtest.h>

#include <map>

#include "engine/toy_mill.h"

namespace mill::engine {
namespace {

using work::FinishReason;
using work::Order;

Tokens alone(const Order& order, ToyForward::Options toy = {}) {
  ToyMill mill({}, std::move(toy));
  return mill.answer(order).tokens;
}

Crib crib_for(const std::vector<Order>& orders) {
  Crib crib;
  for (const Order& order : orders) crib.known.emplace_back(order.prompt, alone(order));
  return crib;
}

void expect_same(const Answer& got, const Answer& expected) {
  EXPECT_EQ(got.tokens, expected.tokens);
  ASSERT_EQ(got.scored.size(), expected.scored.size());
  for (size_t i = 0; i < got.scored.size(); ++i) {
    EXPECT_EQ(got.scored[i].logprob, expected.scored[i].logprob);
  }
  ASSERT_TRUE(got.finished.has_value() && expected.finished.has_value());
  EXPECT_EQ(got.finished->reason, expected.finished->reason);
  EXPECT_EQ(got.finished->usage.prompt_tokens, expected.finished->usage.prompt_tokens);
  EXPECT_EQ(got.finished->usage.completion_tokens, expected.finished->usage.completion_tokens);
}

TEST(BatchDrafts, RightGuessesSaveStepsAndNothingElse) {
  const Order order = greedy(prompt_of(10, 1), 100);
  Crib crib = crib_for({order});
  ToyMill plain;
  const Answer expected = plain.answer(order);
  ToyMill mill({}, {}, crib.drafters());
  const Answer answer = mill.answer(order);
  expect_same(answer, expected);
  EXPECT_EQ(plain.batch.load().steps, 100);
  EXPECT_LE(mill.batch.load().steps, 5) << "up to 33 tokens a step";
  const work::Usage& usage = answer.finished->usage;
  EXPECT_EQ(usage.completion_tokens, 100);
  EXPECT_EQ(usage.rejected_drafts, 0);
  EXPECT_EQ(usage.accepted_drafts, 100 - mill.batch.load().steps);
  EXPECT_EQ(crib.right, usage.accepted_drafts);
  EXPECT_EQ(mill.batch.load().accepted_drafts, usage.accepted_drafts);
  EXPECT_EQ(mill.batch.load().generated_tokens, 100);
}

TEST(BatchDrafts, WrongGuessesCostNothingButTheirCount) {
  const Order order = greedy(prompt_of(10, 1), 100);
  Crib crib = crib_for({order});
  crib.say = [](TokenId right, size_t) { return (right + 1) % 40; };
  ToyMill plain;
  ToyMill mill({}, {}, crib.drafters());
  const Answer answer = mill.answer(order);
  expect_same(answer, plain.answer(order));
  EXPECT_EQ(mill.batch.load().steps, 100);
  EXPECT_EQ(answer.finished->usage.accepted_drafts, 0);
  EXPECT_GT(answer.finished->usage.rejected_drafts, 1000);
  EXPECT_EQ(answer.finished->usage.rejected_drafts, crib.computed);
}

// All kinds of orders, alone and in a crowd with too few blocks, guesses right for some length.
TEST(BatchDrafts, TheAnswerIsTheSameForAllKindsOfOrders) {
  std::vector<Order> orders;
  for (uint64_t i = 0; i < 24; ++i) orders.push_back(mixed(i));
  Crib crib = crib_for(orders);
  for (const size_t period : {2, 5, 13}) {
    SCOPED_TRACE(period);
    crib.say = [period](TokenId right, size_t place) {
      return place % period == period - 1 ? (right + 1) % 40 : right;
    };
    ToyMill crowd(
        {.blocks = 20, .max_running = 8, .step_tokens = 64, .prefill_tokens = 16, .logit_rows = 32},
        {}, crib.drafters());
    std::vector<work::TokenStream> streams;
    for (const Order& order : orders) streams.push_back(crowd.submit(order));
    crowd.run();
    EXPECT_GT(crowd.batch.load().preemptions, 0);
    EXPECT_GT(crowd.batch.load().accepted_drafts, 100);
    EXPECT_GT(crowd.batch.load().rejected_drafts, 100);
    for (size_t i = 0; i < orders.size(); ++i) {
      SCOPED_TRACE(i);
      Answer answer;
      read(streams[i], answer);
      ToyMill plain;
      ASSERT_NO_FATAL_FAILURE(expect_same(answer, plain.answer(orders[i])));
      ToyMill single({}, {}, crib.drafters());
      ASSERT_NO_FATAL_FAILURE(expect_same(single.answer(orders[i]), answer));
    }
  }
}

TEST(BatchDrafts, LogprobsAreTheSame) {
  Order order = greedy(prompt_of(10, 3), 40);
  order.sampling.top_logprobs = 3;
  Crib crib = crib_for({order});
  const auto pieces = [&](DrafterFactory drafters) {
    ToyMill mill({}, {}, std::move(drafters));
    work::TokenStream stream = mill.submit(order);
    mill.run();
    std::vector<work::Piece> all;
    while (auto event = stream.next_blocking(Instant::min())) {
      if (const auto* piece = std::get_if<work::Piece>(&*event)) all.push_back(*piece);
    }
    return all;
  };
  const auto with = pieces(crib.drafters());
  const auto without = pieces({});
  ASSERT_EQ(with.size(), without.size());
  for (size_t i = 0; i < with.size(); ++i) {
    EXPECT_EQ(with[i].logprob, without[i].logprob);
    ASSERT_EQ(with[i].top.size(), 3U);
    EXPECT_EQ(with[i].top[2].logprob, without[i].top[2].logprob);
  }
}

TEST(BatchDrafts, AStopTokenOrTheLengthAmongThemEndsTheAnswerThere) {
  const Order whole = greedy(prompt_of(9, 1), 40);
  Crib crib = crib_for({whole});
  const Tokens& tokens = crib.known[0].second;
  std::map<TokenId, int64_t> first;
  for (int64_t i = 0; i < 40; ++i) first.emplace(tokens[static_cast<size_t>(i)], i);
  for (const auto& [stop, place] : first) {
    Order order = whole;
    order.stop_tokens = {stop};
    ToyMill mill({}, {}, crib.drafters());
    const Answer answer = mill.answer(order);
    EXPECT_EQ(answer.tokens, Tokens(tokens.begin(), tokens.begin() + place));
    EXPECT_EQ(answer.finished->reason, FinishReason::kStop);
    const work::Usage& usage = answer.finished->usage;
    EXPECT_EQ(usage.completion_tokens, place + 1);
    // Token 0 comes from the prompt, then a step gives up to 32 guessed ones and one more.
    const bool guessed = place % 33 != 0;
    EXPECT_EQ(usage.accepted_drafts, place + (guessed ? 2 : 1) - mill.batch.load().steps)
        << "the stop token too";
    EXPECT_EQ(usage.accepted_drafts + usage.rejected_drafts, crib.computed);
    crib.computed = 0;
  }
  for (int32_t most = 1; most <= 40; ++most) {
    Order order = whole;
    order.max_tokens = most;
    ToyMill mill({}, {}, crib.drafters());
    const Answer answer = mill.answer(order);
    EXPECT_EQ(answer.tokens, Tokens(tokens.begin(), tokens.begin() + most));
    EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
    EXPECT_EQ(answer.finished->usage.completion_tokens, most);
    EXPECT_EQ(answer.finished->usage.rejected_drafts, 0) << "no guess behind the end";
  }
}

TEST(BatchDrafts, AGuessThatBreaksTheModelBreaksNothing) {
  ToyForward::Options toy;
  toy.poison = 39;
  uint64_t seed = 0;  // an answer that never comes to the poison
  const auto clean = [&] {
    const Order order = greedy(prompt_of(3, seed), 60);
    const Tokens answer = alone(order);
    return std::count(order.prompt.begin(), order.prompt.end(), 39) +
               std::count(answer.begin(), answer.end(), 39) ==
           0;
  };
  while (!clean()) ++seed;
  const Order order = greedy(prompt_of(3, seed), 60);
  Crib crib = crib_for({order});
  crib.say = [](TokenId right, size_t place) { return place % 4 == 3 ? 39 : right; };
  ToyMill mill({}, toy, crib.drafters());
  const Answer answer = mill.answer(order);
  EXPECT_EQ(answer.tokens, crib.known[0].second);
  EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
  EXPECT_GT(answer.finished->usage.accepted_drafts, 10);
}

TEST(BatchDrafts, AFaultComesAtTheSamePlace) {
  ToyForward::Options toy;
  toy.poison = 39;
  int faults = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const Order order = greedy(prompt_of(3, seed), 60);
    Crib crib;
    crib.known.emplace_back(order.prompt, alone(order));  // the model without the poison
    ToyMill plain({}, toy);
    ToyMill mill({}, toy, crib.drafters());
    const Answer expected = plain.answer(order);
    ASSERT_NO_FATAL_FAILURE(expect_same(mill.answer(order), expected));
    faults += expected.finished->reason == FinishReason::kFault ? 1 : 0;
  }
  EXPECT_GT(faults, 10);
}

TEST(BatchDrafts, AnOrderMayDecline) {
  Order order = greedy(prompt_of(10, 1), 50);
  Crib crib = crib_for({order});
  order.speculate = false;
  ToyMill mill({}, {}, crib.drafters());
  const Answer answer = mill.answer(order);
  EXPECT_EQ(answer.tokens, crib.known[0].second);
  EXPECT_EQ(mill.batch.load().steps, 50);
  EXPECT_EQ(crib.computed, 0);
}

}  // namespace
}  // namespace mill::engine
