// The real decoder with sliding windows (small random models): tokens and likelihoods are the same
// to the last bit whether what lies behind a window is given back or kept.
#include <gtest/gtest.h>

#include <functional>

#include "engine/toy_mill.h"
#include "model/tiny_model.h"
#include "tensor/backend.h"

namespace mill::engine {
namespace {

constexpr int64_t kWindow = 40;       // a block and a part of one
constexpr int64_t kWindowBlocks = 3;  // that it lies in, with the next token's

// The same decoder for a planner that takes its window to be the whole context: nothing is ever
// behind it.
class KeepsAll final : public Forward {
 public:
  explicit KeepsAll(std::shared_ptr<Forward> of) : of_(std::move(of)) {}
  int64_t vocabulary() const override { return of_->vocabulary(); }
  int64_t context_tokens() const override { return of_->context_tokens(); }
  size_t block_bytes() const override { return of_->block_bytes(); }
  size_t window_block_bytes() const override { return of_->window_block_bytes(); }
  int64_t window() const override { return context_tokens(); }
  model::DecoderLimits limits() const override { return of_->limits(); }
  tensor::ConstMatrix forward(std::span<const model::SequenceSlice> slices,
                              const model::KvMemory& kv) override {
    return of_->forward(slices, kv);
  }

 private:
  std::shared_ptr<Forward> of_;
};

work::Order order_of(uint64_t i) {
  const Tokens beginning = prompt_of(100, 1000 + i % 2);
  work::Order order{.prompt = prompt_of(2 + static_cast<int64_t>(i * 37 % 90), i),
                    .sampling = {.temperature = i % 3 == 0 ? 0.0F : 1.0F, .seed = i},
                    .max_tokens = 30 + static_cast<int32_t>(i * 7 % 50)};
  order.prompt.insert(order.prompt.begin(), beginning.begin(), beginning.end());
  order.score_prompt = i % 5 == 4;
  order.sampling.top_logprobs = 1;
  return order;
}

// Calls `test` on every backend and type of cache.
void on_all(const std::function<void(const std::shared_ptr<Forward>&)>& test) {
  tensor::ThreadPool alone_is_faster(1);  // steps of microseconds
  // Seven layers: the sixth has no window.
  const std::vector<std::byte> bytes =
      model::tiny_model("gemma3", {.layers = 7, .context = 512, .window = kWindow}).build();
  for (const std::string_view name : tensor::backend_names()) {
    for (const auto type : {tensor::KvType::kF32, tensor::KvType::kBF16, tensor::KvType::kI8}) {
      SCOPED_TRACE(std::string(name) + ", type " + std::to_string(static_cast<int>(type)));
      auto file = model::Gguf::parse(bytes);
      ASSERT_TRUE(file.has_value()) << file.error().message;
      const auto backend = tensor::make_backend(name);
      ASSERT_TRUE(backend.has_value());
      auto decoder = model::Decoder::load(
          std::make_shared<model::Gguf>(std::move(*file)), **backend, alone_is_faster,
          {.batch_tokens = 64, .logit_rows = 16, .kv_type = type}, {});
      ASSERT_TRUE(decoder.has_value()) << decoder.error().message;
      ASSERT_NO_FATAL_FAILURE(test(make_forward(std::move(*decoder))));
    }
  }
}

Answer kept(const std::shared_ptr<Forward>& forward, work::Order order) {
  Trial trial(std::make_shared<KeepsAll>(forward),
              {.blocks = 16, .max_running = 8, .step_tokens = 64, .logit_rows = 16});
  return trial.answer(std::move(order));
}

void expect_same(const Answer& got, const Answer& expected) {
  ASSERT_EQ(got.tokens, expected.tokens);
  ASSERT_EQ(got.logprobs, expected.logprobs);
  ASSERT_EQ(got.scored.size(), expected.scored.size());
  for (size_t i = 0; i < expected.scored.size(); ++i) {
    ASSERT_EQ(got.scored[i].logprob, expected.scored[i].logprob) << i;
  }
}

TEST(DecoderWindows, WhatIsGivenBackDoesNotShow) {
  on_all([](const std::shared_ptr<Forward>& forward) {
    ASSERT_EQ(forward->window(), kWindow);
    ASSERT_GT(forward->window_block_bytes(), forward->block_bytes());
    for (uint64_t i = 0; i < 5; ++i) {
      SCOPED_TRACE(i);
      // In chunks that end anywhere, with no windowed block to spare.
      Trial trial(forward, {.blocks = 16,
                            .window_blocks = kWindowBlocks,
                            .max_running = 2,
                            .step_tokens = 9 + static_cast<int32_t>(i) * 11,
                            .logit_rows = 16});
      ASSERT_NO_FATAL_FAILURE(expect_same(trial.answer(order_of(i)), kept(forward, order_of(i))));
    }
  });
}

TEST(DecoderWindows, CrowdsPrefixesGuessesAndPreemptionsDontShow) {
  on_all([](const std::shared_ptr<Forward>& forward) {
    Crib crib;
    crib.say = [](TokenId truth, size_t place) { return place % 5 == 4 ? truth ^ 1 : truth; };
    std::vector<Answer> expected;
    for (uint64_t i = 0; i < 10; ++i) {
      expected.push_back(kept(forward, order_of(i)));
      crib.known.emplace_back(order_of(i).prompt, expected.back().tokens);
    }
    Trial crowd(forward,
                {.blocks = 20,
                 .window_blocks = 8,
                 .max_running = 8,
                 .step_tokens = 64,
                 .prefill_tokens = 24,
                 .logit_rows = 16},
                crib.drafters());
    std::vector<work::TokenStream> streams;
    for (uint64_t i = 0; i < 10; ++i) {
      work::Order order = order_of(i);
      order.priority = static_cast<int32_t>(i % 3);
      streams.push_back(crowd.submit(std::move(order)));
      crowd.step();
    }
    crowd.run();
    EXPECT_GT(crowd.batch.load().preemptions, 0);
    EXPECT_GT(crowd.batch.load().cached_tokens, 0);
    EXPECT_GT(crib.right, 50);
    EXPECT_GT(crib.computed, crib.right);
    for (uint64_t i = 0; i < 10; ++i) {
      SCOPED_TRACE(i);
      Answer answer;
      read(streams[i], answer);
      ASSERT_NO_FATAL_FAILURE(expect_same(answer, expected[i]));
    }
  });
}

}  // namespace
}  // namespace mill::engine
