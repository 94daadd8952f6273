#include "load/trace.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace mill::load {
namespace {

constexpr std::string_view kAzure =
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:47.1805900,396,109\r\n"
    "\r\n"
    "2023-11-16 18:15:46.9305900,0,0\r\n";

constexpr std::string_view kMooncake =
    "{\"timestamp\": 1000, \"input_length\": 1030, \"output_length\": 5, \"hash_ids\": [0, 7, 9]}\n"
    "{\"timestamp\": 3000, \"input_length\": 600, \"output_length\": 2, \"hash_ids\": [0, 8]}";

TEST(Trace, reads_azures_columns_in_order_of_time) {
  const auto asks = parse_trace(kAzure, {});
  ASSERT_TRUE(asks) << asks.error().message;
  ASSERT_EQ(asks->size(), 3);
  EXPECT_EQ((*asks)[0].prompt_tokens(), 374);
  EXPECT_EQ((*asks)[0].output_tokens, 44);
  EXPECT_EQ((*asks)[0].at, Duration{});
  EXPECT_NEAR(to_seconds((*asks)[1].at), 0.25, 1e-6);
  EXPECT_EQ((*asks)[1].prompt_tokens(), 1) << "nothing can be asked without a token";
  EXPECT_EQ((*asks)[1].output_tokens, 1);
  EXPECT_NEAR(to_seconds((*asks)[2].at), 0.5, 1e-6);
  EXPECT_EQ((*asks)[2].index, 2);
}

TEST(Trace, reads_a_day_that_ends_and_other_spellings_of_time) {
  const auto asks = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-02-29 23:59:59.5,1,1\n"
      "2024-03-01T00:00:01+00:00,1,1\n2024-03-01 00:00:02.25Z,1,1\n",
      {});
  ASSERT_TRUE(asks) << asks.error().message;
  EXPECT_NEAR(to_seconds((*asks)[1].at), 1.5, 1e-6);
  EXPECT_NEAR(to_seconds((*asks)[2].at), 2.75, 1e-6);
}

TEST(Trace, reads_mooncakes_blocks_as_shared_prefixes) {
  const auto asks = parse_trace(kMooncake, {});
  ASSERT_TRUE(asks) << asks.error().message;
  ASSERT_EQ(asks->size(), 2);
  const auto& first = (*asks)[0].segments;
  ASSERT_EQ(first.size(), 3);
  EXPECT_EQ(first[0].source, 0);
  EXPECT_EQ(first[0].tokens, 512);
  EXPECT_EQ(first[2].source, 9);
  EXPECT_EQ(first[2].tokens, 6);
  EXPECT_EQ((*asks)[1].segments[0].source, 0);
  EXPECT_EQ((*asks)[1].segments[1].tokens, 88);
  EXPECT_NEAR(to_seconds((*asks)[1].at), 2, 1e-9);
}

TEST(Trace, is_cut_and_hurried_as_asked) {
  const auto cut = parse_trace(kMooncake, {.requests = 1, .max_prompt = 600, .max_output = 3});
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->size(), 1);
  EXPECT_EQ((*cut)[0].prompt_tokens(), 600);
  EXPECT_EQ((*cut)[0].segments.size(), 2);
  EXPECT_EQ((*cut)[0].output_tokens, 3);
  EXPECT_NEAR(to_seconds((*parse_trace(kMooncake, {.speed = 4}))[1].at), 0.5, 1e-9);
  EXPECT_NEAR(to_seconds((*parse_trace(kMooncake, {.per_second = 10}))[1].at), 0.2, 1e-9);
}

TEST(Trace, a_file_that_is_wrong_is_refused_with_its_line) {
  const std::string head = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string good = "2023-11-16 18:15:46.68,1,1\n";
  const struct {
    std::string text, says;
  } cases[] = {
      {"", "line 1"},
      {std::string(1000, '\0'), "line 1"},
      {"a,b,c\n1,2,3\n", "not a trace"},
      {head, "no requests"},
      {head + good + "2023-11-16 18:15:46.68,1\n", "line 3: GeneratedTokens"},
      {head + "2023-11-16 18:15:46.68,1,1,1\n", "line 2: there are more"},
      {head + "2023-11-16 18:15:46.68,-1,1\n", "line 2: ContextTokens"},
      {head + "2023-11-16 18:15:46.68,1,99999999999999999999\n", "line 2: GeneratedTokens"},
      {head + "2023-02-30 18:15:46.68,1,1\n", "line 2: TIMESTAMP"},
      {head + "2023-11-16 25:15:46,1,1\n", "line 2: TIMESTAMP"},
      {head + "2023-11-16 18:15:46.,1,1\n", "line 2: TIMESTAMP"},
      {head + "2023-11-16 18:15:46.-5,1,1\n", "line 2: TIMESTAMP"},
      {head + "yesterday,1,1\n", "line 2: TIMESTAMP"},
      {"{", "line 1: is not JSON"},
      {"{}", "line 1: \"timestamp\""},
      {"{\"timestamp\":0,\"input_length\":-1,\"output_length\":1,\"hash_ids\":[]}",
       "\"input_length\""},
      {"{\"timestamp\":0,\"input_length\":1e300,\"output_length\":1,\"hash_ids\":[]}",
       "\"input_length\""},
      {"{\"timestamp\":0,\"input_length\":1,\"output_length\":\"1\",\"hash_ids\":[1]}",
       "\"output_length\""},
      {"{\"timestamp\":0,\"input_length\":1,\"output_length\":1}", "\"hash_ids\""},
      {"{\"timestamp\":0,\"input_length\":1,\"output_length\":1,\"hash_ids\":[-1]}", "2^31"},
      {"{\"timestamp\":0,\"input_length\":1,\"output_length\":1,\"hash_ids\":[4294967296]}",
       "2^31"},
      {"{\"timestamp\":0,\"input_length\":513,\"output_length\":1,\"hash_ids\":[1]}",
       "fewer blocks"},
      {std::string(kMooncake) + "\nnot json", "line 3"},
      {std::string("{\"a\":") + std::string(100000, '['), "line 1: is not JSON"},
  };
  for (const auto& [text, says] : cases) {
    const auto asks = parse_trace(text, {});
    ASSERT_FALSE(asks) << text.substr(0, 100);
    EXPECT_EQ(asks.error().code, Code::kCorrupt);
    EXPECT_NE(asks.error().message.find(says), std::string::npos)
        << says << " is not in: " << asks.error().message;
  }
}

TEST(Trace, files_that_are_not_there_or_no_files_are_errors) {
  EXPECT_EQ(read_trace("/nowhere/trace.csv", {}).error().code, Code::kNotFound);
  EXPECT_FALSE(read_trace("/", {}));
  const auto file = std::filesystem::temp_directory_path() /
                    ("trace-test-" + std::to_string(::getpid()) + ".csv");
  std::ofstream(file) << "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,1\n";
  const auto wrong = read_trace(file, {});
  std::filesystem::remove(file);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message.find(file.string() + ", line 2"), 0) << wrong.error().message;
}

TEST(Trace, reads_prompts_in_words) {
  const auto asks =
      parse_prompts("{\"prompt\":\"one\"}\n\n{\"prompt\":\"two\",\"output_tokens\":9}\n", 5);
  ASSERT_TRUE(asks);
  EXPECT_EQ((*asks)[0].text, "one");
  EXPECT_EQ((*asks)[0].output_tokens, 5);
  EXPECT_EQ((*asks)[1].output_tokens, 9);
  for (const std::string_view wrong :
       {"", "x", "[]", "{}", "{\"prompt\":\"\"}", "{\"prompt\":[1]}",
        "{\"prompt\":\"a\",\"output_tokens\":0}", "{\"prompt\":\"a\",\"output_tokens\":\"9\"}"}) {
    EXPECT_EQ(parse_prompts(wrong, 5).error().code, Code::kCorrupt) << wrong;
  }
}

std::filesystem::path shared_data(const std::string& file) {
  const char* given = std::getenv("TOKENMILL_SHARED");
  const std::filesystem::path root = given != nullptr ? given : MILL_SOURCE_DIR "/../shared";
  return root / "data" / file;
}

// The figures are those of the traces' own descriptions.
TEST(Trace, reads_the_real_ones) {
  const auto conversation = shared_data("traces_azure_llm/AzureLLMInferenceTrace_conv.csv");
  const auto mooncake = shared_data("traces_mooncake/conversation_trace.jsonl");
  if (!std::filesystem::exists(conversation) || !std::filesystem::exists(mooncake)) {
    GTEST_SKIP() << "the shared traces are not here (set TOKENMILL_SHARED)";
  }
  const auto azure = read_trace(conversation, {});
  ASSERT_TRUE(azure) << azure.error().message;
  EXPECT_EQ(azure->size(), 19366);
  EXPECT_NEAR(to_seconds(azure->back().at), 3502, 1);
  double prompts = 0;
  for (const Ask& ask : *azure) prompts += static_cast<double>(ask.prompt_tokens());
  EXPECT_NEAR(prompts / 19366, 1155, 1);
  const auto moon = read_trace(mooncake, {});
  ASSERT_TRUE(moon) << moon.error().message;
  EXPECT_EQ(moon->size(), 12031);
  prompts = 0;
  for (const Ask& ask : *moon) prompts += static_cast<double>(ask.prompt_tokens());
  EXPECT_NEAR(prompts / 12031, 12035, 1);
}

}  // namespace
}  // namespace mill::load
