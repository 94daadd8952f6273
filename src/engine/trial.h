// For tests: a batch on a virtual clock, stepped by hand, and what its readers got.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "engine/batch.h"

namespace mill::engine {

using Tokens = std::vector<TokenId>;

struct Answer {
  std::vector<work::Piece> scored;
  Tokens tokens;
  std::vector<std::optional<float>> logprobs;  // of `tokens`
  std::optional<work::Finished> finished;
};

// Reads what is there; the stream may go on.
inline void read(work::TokenStream& stream, Answer& answer) {
  while (!answer.finished) {
    auto event = stream.next_blocking(Instant::min());
    if (!event) return;
    if (auto* finished = std::get_if<work::Finished>(&*event)) {
      answer.finished = *finished;
      return;
    }
    const auto& piece = std::get<work::Piece>(*event);
    if (piece.of_prompt) {
      answer.scored.push_back(piece);
    } else {
      answer.tokens.push_back(piece.token);
      answer.logprobs.push_back(piece.logprob);
    }
  }
}

struct Trial {
  Trial(std::shared_ptr<Forward> of, const scheduler::PlannerLimits& wanted,
        DrafterFactory drafters = {})
      : forward(std::move(of)),
        planned(with_windows(wanted, *forward)),
        batch(*forward,
              *KvStore::reserve({planned.blocks, forward->block_bytes(), planned.window_blocks,
                                 forward->window_block_bytes()}),
              pool(), planned, std::move(drafters)) {}

  // As many windowed blocks as others, where nothing else is wanted.
  static scheduler::PlannerLimits with_windows(scheduler::PlannerLimits limits,
                                               const Forward& forward) {
    limits.answers_apart = forward.prompts_apart();
    limits.window = forward.window();
    if (limits.window == 0) limits.window_blocks = 0;
    if (limits.window > 0 && limits.window_blocks == 0) limits.window_blocks = limits.blocks;
    return limits;
  }

  static tensor::ThreadPool& pool() {
    static tensor::ThreadPool two(2);
    return two;
  }

  work::TokenStream submit(work::Order order) {
    const size_t scored = order.score_prompt ? order.prompt.size() : 0;
    auto [sink, stream] = work::make_token_stream(scored + static_cast<size_t>(order.max_tokens));
    batch.take(std::move(order), std::move(sink), clock);
    return std::move(stream);
  }

  bool step() {
    clock += std::chrono::milliseconds(1);
    const bool went_on = batch.step(clock);
    batch.deliver_endings();
    return went_on;
  }

  void run() {
    for (int left = 1000000; step(); --left) ASSERT_GT(left, 0);
    expect_clean();
  }

  void expect_clean() {
    EXPECT_EQ(batch.size(), 0);
    EXPECT_EQ(batch.load().kv_blocks_free, batch.load().kv_blocks_total);
    EXPECT_EQ(batch.load().kv_window_blocks_free, batch.load().kv_window_blocks_total);
    EXPECT_EQ(batch.load().kv_bytes_owned, 0);
    const Status books = batch.audit();
    EXPECT_TRUE(books.has_value()) << books.error().message;
  }

  Answer answer(work::Order order) {
    work::TokenStream stream = submit(std::move(order));
    run();
    Answer all;
    read(stream, all);
    return all;
  }

  std::shared_ptr<Forward> forward;
  scheduler::PlannerLimits planned;
  Batch batch;
  Instant clock{};
};

inline Tokens prompt_of(int64_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  Tokens prompt(static_cast<size_t>(size));
  for (TokenId& token : prompt) token = static_cast<TokenId>(random() % 40);
  return prompt;
}

inline work::Order greedy(Tokens prompt, int32_t max_tokens) {
  return {.prompt = std::move(prompt), .sampling = {.temperature = 0}, .max_tokens = max_tokens};
}

}  // namespace mill::engine
