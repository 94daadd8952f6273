#include "app/sim_model.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "app/model_plan.h"

namespace mill::app {
namespace {

Settings settings_of(std::map<std::string, std::vector<std::string>> flags = {}) {
  return *Settings::resolve({.flags = std::move(flags), .environment = {{"HOME", "/nowhere"}}});
}

TEST(SimModel, SpeaksPrintableTextOfItsPlainVocabulary) {
  const Settings settings = settings_of();
  auto model = SimModel::mount("sim:instant,answer=30", "sim:instant", 0, settings);
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const gateway::ServedModel& served = (*model)->served();
  EXPECT_EQ(served.id, "sim:instant");
  EXPECT_EQ(served.context_tokens, 131072);
  ASSERT_NE(served.chat_template, nullptr);
  const boost::json::object asked{
      {"messages", boost::json::array{boost::json::object{{"role", "user"}, {"content", "Hé"}}}},
      {"add_generation_prompt", true}};
  const auto rendered = served.chat_template->render(asked, 0);
  ASSERT_TRUE(rendered.has_value()) << rendered.error().message;
  EXPECT_EQ(rendered->text(), "<|im_start|>user\nHé<|im_end|>\n<|im_start|>assistant\n");
  work::Order order{.prompt = served.tokenizer->encode(rendered->spans(),
                                                       text::Tokenizer::Ends::kNone),
                    .max_tokens = 100};
  EXPECT_EQ(order.prompt.front(), 257) << "<|im_start|>";
  const auto ends = served.tokenizer->ends_of_generation();
  order.stop_tokens.assign(ends.begin(), ends.end());
  EXPECT_EQ(order.stop_tokens.size(), 2U);
  auto stream = served.worker->submit(order);
  ASSERT_TRUE(stream.has_value());
  int64_t tokens = 0;
  for (;;) {
    const auto event = stream->next_blocking();
    ASSERT_TRUE(event.has_value());
    if (const auto* finished = std::get_if<work::Finished>(&*event)) {
      EXPECT_EQ(finished->reason, work::FinishReason::kStop);
      EXPECT_EQ(finished->usage.completion_tokens, tokens + 1);
      break;
    }
    ++tokens;
    const std::string_view bytes =
        served.tokenizer->bytes(std::get<work::Piece>(*event).token);
    ASSERT_EQ(bytes.size(), 1U);
    EXPECT_TRUE(bytes[0] >= ' ' && bytes[0] < 0x7F);
  }
  EXPECT_EQ(tokens, 29);
  (*model)->end();
  const auto gone = served.worker->submit(order);
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, Code::kOverloaded);
}

TEST(SimModel, WhatIsWrongIsSaid) {
  const Settings settings = settings_of();
  const auto refusal = [&](const std::string& model) {
    const auto mounted = SimModel::mount(model, "x", 0, settings);
    return mounted ? Error{} : mounted.error();
  };
  EXPECT_EQ(refusal("sim:gpt5").code, Code::kInvalid);
  EXPECT_EQ(refusal("sim:").code, Code::kInvalid);
  EXPECT_EQ(refusal("sim:instant,vocabulary=/nowhere/a.gguf").code, Code::kNotFound);
}

TEST(SimModel, IsCalledByItsNameWithoutTheChanges) {
  EXPECT_EQ(id_of_model("sim:instant"), "sim:instant");
  EXPECT_EQ(id_of_model("sim:smollm2,vocabulary=/a/b.gguf,answer=3"), "sim:smollm2");
  const Settings settings = settings_of({{"max-batch", {"4"}}, {"ctx", {"1000"}}});
  auto model = SimModel::mount("sim:smollm2", "x", 1000, settings);
  ASSERT_TRUE(model.has_value());
  EXPECT_EQ((*model)->served().context_tokens, 1000);
}

}  // namespace
}  // namespace mill::app
