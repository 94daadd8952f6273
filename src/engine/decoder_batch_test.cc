// The batch on the real decoder (small random models): what an answer is must not depend on who
// else is in the batch, on how prompts are cut, or on preemptions. One bit of difference in a logit
// would show sooner or later, as the draws are at temperature 1.
#include <gtest/gtest.h>

#include "engine/trial.h"
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
  return order;
}

void expect_same(const Answer& crowded, const Answer& alone) {
  EXPECT_EQ(crowded.tokens, alone.tokens);
  ASSERT_EQ(crowded.scored.size(), alone.scored.size());
  for (size_t i = 0; i < alone.scored.size(); ++i) {
    EXPECT_EQ(crowded.scored[i].logprob, alone.scored[i].logprob) << i;
  }
}

class DecoderBatch : public ::testing::TestWithParam<std::string> {};

TEST_P(DecoderBatch, CrowdsAndPreemptionsDontShowInAnyAnswer) {
  tensor::ThreadPool alone_is_faster(1);  // steps of microseconds
  const std::vector<std::byte> bytes = model::tiny_model(GetParam()).build();
  for (const std::string_view name : tensor::backend_names()) {
    SCOPED_TRACE(std::string(name));
    auto file = model::Gguf::parse(bytes);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const auto backend = tensor::make_backend(name);
    ASSERT_TRUE(backend.has_value());
    auto decoder = model::Decoder::load(std::make_shared<model::Gguf>(std::move(*file)), **backend,
                                        alone_is_faster, kLimits, {});
    ASSERT_TRUE(decoder.has_value()) << decoder.error().message;
    const std::shared_ptr<Forward> forward = make_forward(std::move(*decoder));

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
      Trial alone(forward, {.blocks = 7, .max_running = 8, .step_tokens = 64, .logit_rows = 8});
      ASSERT_NO_FATAL_FAILURE(expect_same(answer, alone.answer(order_of(i))));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, DecoderBatch,
                         ::testing::Values("llama", "qwen2", "qwen3", "gemma3"),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace mill::engine
