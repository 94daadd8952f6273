// The batch on the real decoder (small random models): what an answer is must not depend on who
// else is in the batch, on how prompts are cut, or on preemptions. One bit of difference in a logit
// would show sooner or later, as the draws are at temperature 1.
#include <gtest/gtest.h>

#include <functional>

#include "engine/toy_mill.h"
#include "model/tiny_model.h"
#include "tensor/backend.h"

namespace mill::engine {
namespace {

constexpr model::DecoderLimits kLimits{.batch_tokens = 64, .logit_rows = 8};

work::Order order_of(uint64_t i) {
  work::Order order{.prompt = prompt_of(2 + static_cast<int64_t>(i * 13 % 40), i),
                    .sampling = {.top_p = i % 2 == 0 ? 0.95F : 1.0F, .seed = i},
                    .max_tokens = 40 + static_cast<int32_t>(i * 7 % 40)};
  order.score_prompt = i % 4 == 0;
  order.sampling.top_logprobs = 1;
  return order;
}

void expect_same(const Answer& crowded, const Answer& alone) {
  EXPECT_EQ(crowded.tokens, alone.tokens);
  EXPECT_EQ(crowded.logprobs, alone.logprobs);
  ASSERT_EQ(crowded.scored.size(), alone.scored.size());
  for (size_t i = 0; i < alone.scored.size(); ++i) {
    EXPECT_EQ(crowded.scored[i].logprob, alone.scored[i].logprob) << i;
  }
}

class DecoderBatch : public ::testing::TestWithParam<std::string> {};

// Calls `test` with the model on every backend there is.
void on_every_backend(const std::string& architecture,
                      const std::function<void(const std::shared_ptr<Forward>&)>& test) {
  tensor::ThreadPool alone_is_faster(1);  // steps of microseconds
  const std::vector<std::byte> bytes = model::tiny_model(architecture).build();
  for (const std::string_view name : tensor::backend_names()) {
    SCOPED_TRACE(std::string(name));
    auto file = model::Gguf::parse(bytes);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const auto backend = tensor::make_backend(name);
    ASSERT_TRUE(backend.has_value());
    auto decoder = model::Decoder::load(std::make_shared<model::Gguf>(std::move(*file)), **backend,
                                        alone_is_faster, kLimits, {});
    ASSERT_TRUE(decoder.has_value()) << decoder.error().message;
    ASSERT_NO_FATAL_FAILURE(test(make_forward(std::move(*decoder))));
  }
}

Answer alone(const std::shared_ptr<Forward>& forward, work::Order order) {
  Trial trial(forward, {.blocks = 7, .max_running = 8, .step_tokens = 64, .logit_rows = 8});
  return trial.answer(std::move(order));
}

TEST_P(DecoderBatch, CrowdsAndPreemptionsDontShowInAnyAnswer) {
  on_every_backend(GetParam(), [](const std::shared_ptr<Forward>& forward) {
    const scheduler::PlannerLimits scarce{
        .blocks = 7, .max_running = 8, .step_tokens = 64, .prefill_tokens = 24, .logit_rows = 8};
    Trial crowd(forward, scarce);
    std::vector<work::TokenStream> streams;
    for (uint64_t i = 0; i < 10; ++i) streams.push_back(crowd.submit(order_of(i)));
    crowd.run();
    EXPECT_GT(crowd.batch.load().preemptions, 0);
    for (uint64_t i = 0; i < 10; ++i) {
      SCOPED_TRACE(i);
      Answer answer;
      read(streams[i], answer);
      ASSERT_NO_FATAL_FAILURE(expect_same(answer, alone(forward, order_of(i))));
    }
  });
}

TEST_P(DecoderBatch, ACachedPrefixDoesNotShow) {
  on_every_backend(GetParam(), [](const std::shared_ptr<Forward>& forward) {
    Trial trial(forward, {.blocks = 40, .max_running = 8, .step_tokens = 64, .logit_rows = 8});
    const Tokens beginning = prompt_of(70, 1);
    for (uint64_t i = 0; i < 6; ++i) {
      SCOPED_TRACE(i);
      work::Order order = order_of(i);
      order.score_prompt = false;
      order.prompt.insert(order.prompt.begin(), beginning.begin(), beginning.end());
      const Answer answer = trial.answer(order);
      EXPECT_EQ(answer.finished->usage.cached_tokens, i == 0 ? 0 : 64);
      ASSERT_NO_FATAL_FAILURE(expect_same(answer, alone(forward, order)));
    }
  });
}

TEST_P(DecoderBatch, GuessesDontShow) {
  on_every_backend(GetParam(), [](const std::shared_ptr<Forward>& forward) {
    Crib crib;
    crib.say = [](TokenId truth, size_t place) { return place % 5 == 4 ? truth ^ 1 : truth; };
    std::vector<Answer> expected;
    for (uint64_t i = 0; i < 6; ++i) {
      expected.push_back(alone(forward, order_of(i)));
      crib.known.emplace_back(order_of(i).prompt, expected.back().tokens);
    }
    Trial crowd(forward, {.blocks = 30, .max_running = 4, .step_tokens = 64, .logit_rows = 8},
                crib.drafters());
    std::vector<work::TokenStream> streams;
    for (uint64_t i = 0; i < 6; ++i) streams.push_back(crowd.submit(order_of(i)));
    crowd.run();
    EXPECT_GT(crib.right, 50);
    EXPECT_GT(crib.computed, crib.right);
    for (uint64_t i = 0; i < 6; ++i) {
      SCOPED_TRACE(i);
      Answer answer;
      read(streams[i], answer);
      ASSERT_NO_FATAL_FAILURE(expect_same(answer, expected[i]));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Architectures, DecoderBatch,
                         ::testing::Values("llama", "qwen2", "qwen3", "gemma3"),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace mill::engine
