// Layers with a sliding window in the batch: what lies behind the window is given back, and no
// answer shows it. The toy reads the last tokens from the windowed blocks alone, so its answers are
// right only as long as these are.
#include <gtest/gtest.h>

#include "engine/toy_mill.h"

namespace mill::engine {
namespace {

using work::FinishReason;
using work::Order;

constexpr int64_t kBlock = tensor::kBlockTokens;

TEST(BatchWindows, ASequenceKeepsItsWindowAndNoMore) {
  ToyMill mill({.blocks = 60, .max_running = 4, .step_tokens = 96}, {.window = 2 * kBlock});
  const Tokens prompt = prompt_of(1000, 1);
  work::TokenStream stream = mill.submit(greedy(prompt, 500));
  while (mill.step()) {
    const work::Load load = mill.batch.load();
    const int64_t windowed = load.kv_window_blocks_total - load.kv_window_blocks_free;
    ASSERT_LE(windowed, 3) << "two blocks, and the one that is being filled";
    const int64_t full = load.kv_blocks_total - load.kv_blocks_free;
    const auto block_bytes = static_cast<int64_t>(mill.forward->block_bytes());
    ASSERT_EQ(load.kv_bytes_owned, (full + windowed) * block_bytes);
  }
  mill.expect_clean();
  Answer answer;
  read(stream, answer);
  EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt, 500));
}

TEST(BatchWindows, WithoutOneThereIsNoSecondKindOfBlock) {
  ToyMill mill;
  const work::Load load = mill.batch.load();
  EXPECT_EQ(load.kv_window_blocks_total, 0);
  EXPECT_EQ(load.kv_bytes_total,
            load.kv_blocks_total * static_cast<int64_t>(mill.forward->block_bytes()));
}

// Windows of one token, of less than a block, of whole blocks and of parts of them; hardly more
// blocks than one sequence's window needs, and either kind the one that runs out.
TEST(BatchWindows, NeitherCrowdsNorPreemptionsNorGuessesShow) {
  std::vector<Order> orders;
  std::vector<Answer> expected;
  Crib crib;
  crib.say = [](TokenId truth, size_t place) { return place % 4 == 3 ? (truth + 1) % 40 : truth; };
  for (uint64_t i = 0; i < 24; ++i) {
    orders.push_back(mixed(i));
    ToyMill plain;
    expected.push_back(plain.answer(orders.back()));
    crib.known.emplace_back(orders.back().prompt, expected.back().tokens);
  }
  struct Shape {
    int64_t window;
    int32_t blocks, window_blocks;
  };
  for (const Shape& shape : {Shape{1, 20, 9}, Shape{17, 20, 6}, Shape{64, 40, 8}, Shape{64, 14, 40},
                             Shape{80, 30, 5}, Shape{1000, 20, 20}}) {
    for (const bool guesses : {false, true}) {
      SCOPED_TRACE("window " + std::to_string(shape.window) + (guesses ? " with guesses" : ""));
      ToyMill crowd({.blocks = shape.blocks,
                     .window_blocks = shape.window_blocks,
                     .max_running = 8,
                     .step_tokens = 64,
                     .prefill_tokens = 24,
                     .logit_rows = 24},
                    {.window = shape.window}, guesses ? crib.drafters() : DrafterFactory{});
      std::vector<work::TokenStream> streams;
      for (const Order& order : orders) streams.push_back(crowd.submit(order));
      crowd.run();
      EXPECT_EQ(crowd.batch.load().accepted_drafts > 0, guesses);
      for (size_t i = 0; i < orders.size(); ++i) {
        SCOPED_TRACE(i);
        Answer answer;
        read(streams[i], answer);
        ASSERT_EQ(answer.tokens, expected[i].tokens);
        ASSERT_EQ(answer.logprobs, expected[i].logprobs);
        ASSERT_EQ(answer.scored.size(), expected[i].scored.size());
      }
    }
  }
}

TEST(BatchWindows, APrefixIsFoundByItsLastWindow) {
  ToyMill mill({.blocks = 60, .window_blocks = 12}, {.window = 2 * kBlock});
  const Tokens prompt = prompt_of(300, 1);
  EXPECT_EQ(mill.answer(greedy(prompt, 20)).finished->usage.cached_tokens, 0);
  EXPECT_EQ(mill.answer(greedy(prompt, 20)).finished->usage.cached_tokens, 9 * kBlock);
  // Another that parts from it in the middle, where its window was long ago.
  Tokens cousin = prompt;
  cousin[150] = (cousin[150] + 1) % 40;
  const Answer other = mill.answer(greedy(cousin, 20));
  EXPECT_EQ(other.finished->usage.cached_tokens, 4 * kBlock);
  EXPECT_EQ(other.tokens, ToyForward::greedy(cousin, 20));
}

TEST(BatchWindows, APrefixWhoseWindowIsGoneIsComputedAgain) {
  ToyMill mill({.blocks = 60, .window_blocks = 3}, {.window = 2 * kBlock});
  const Tokens first = prompt_of(300, 1);
  const Tokens second = prompt_of(300, 2);
  mill.answer(greedy(first, 20));
  mill.answer(greedy(second, 20));  // took all the windowed blocks there are
  EXPECT_EQ(mill.answer(greedy(second, 20)).finished->usage.cached_tokens, 9 * kBlock);
  const Answer again = mill.answer(greedy(first, 20));
  EXPECT_EQ(again.finished->usage.cached_tokens, 0);
  EXPECT_EQ(again.tokens, ToyForward::greedy(first, 20));
}

TEST(BatchWindows, SixteenClientsWithOneBeginningComputeItOnce) {
  ToyMill mill({.blocks = 400, .window_blocks = 60}, {.window = 100});
  const auto prompt = [](uint64_t i) {
    Tokens tokens = prompt_of(2048, 1);
    const Tokens own = prompt_of(20, 100 + i);
    tokens.insert(tokens.end(), own.begin(), own.end());
    return tokens;
  };
  std::vector<work::TokenStream> streams;
  for (uint64_t i = 0; i < 16; ++i) streams.push_back(mill.submit(greedy(prompt(i), 10)));
  mill.run();
  EXPECT_EQ(mill.batch.load().prompt_tokens, 2048 + 16 * 20);
  EXPECT_EQ(mill.batch.load().preemptions, 0);
  for (uint64_t i = 0; i < 16; ++i) {
    Answer answer;
    read(streams[i], answer);
    EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt(i), 10));
  }
}

TEST(BatchWindows, AFaultyPromptLeavesNothingBehindInEitherKind) {
  ToyMill mill({.blocks = 20, .window_blocks = 4}, {.window = kBlock, .poison = 39});
  Tokens bad(200, 1);
  bad[20] = 39;  // long behind the window when the first logits come
  for (int i = 0; i < 3; ++i) {
    const Answer answer = mill.answer(greedy(bad, 5));
    EXPECT_EQ(answer.finished->reason, FinishReason::kFault);
    EXPECT_EQ(answer.finished->usage.cached_tokens, 0);
  }
}

}  // namespace
}  // namespace mill::engine
