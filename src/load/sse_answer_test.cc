#include "load/sse_answer.h"

#include <gtest/gtest.h>

namespace mill::load {
namespace {

Instant at(int64_t ms) {
  return Instant{} + std::chrono::milliseconds(ms);
}
std::string event(std::string_view data) {
  return "data: " + std::string(data) + "\n\n";
}

TEST(SseAnswer, reads_a_text_completion) {
  SseAnswer answer;
  ASSERT_TRUE(answer.feed(event(R"({"choices":[{"text":"a","finish_reason":null}]})"), at(1)));
  ASSERT_TRUE(answer.feed(
      ": keepalive\n\n" + event(R"({"choices":[{"text":"","finish_reason":null}]})"), at(2)));
  ASSERT_TRUE(answer.feed(event(R"({"choices":[{"text":"bc"}]})"), at(3)));
  ASSERT_TRUE(answer.feed(event(R"({"choices":[{"text":"","finish_reason":"length"}]})"), at(4)));
  ASSERT_TRUE(
      answer.feed(event(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4,)"
                        R"("prompt_tokens_details":{"cached_tokens":3},)"
                        R"("completion_tokens_details":{"accepted_prediction_tokens":2}}})") +
                      event("[DONE]"),
                  at(5)));
  const auto reply = answer.finish(at(6));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->pieces, (std::vector<Instant>{at(1), at(2), at(3)}))
      << "an empty text in the middle is a token that has no letters yet; the last event is none";
  EXPECT_EQ(reply->text, "abc");
  EXPECT_EQ(reply->finish_reason, "length");
  EXPECT_EQ(reply->prompt_tokens, 7);
  EXPECT_EQ(reply->cached_tokens, 3);
  EXPECT_EQ(reply->completion_tokens, 4);
  EXPECT_EQ(reply->accepted_drafts, 2);
  EXPECT_TRUE(reply->counted);
  EXPECT_EQ(reply->ended, at(6));
}

TEST(SseAnswer, reads_a_chat) {
  SseAnswer answer;
  ASSERT_TRUE(
      answer.feed(event(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})"), at(1)));
  ASSERT_TRUE(answer.feed(event(R"({"choices":[{"delta":{"reasoning_content":"h"}}]})"), at(2)));
  ASSERT_TRUE(answer.feed(event(R"({"choices":[{"delta":{"content":"i"}}]})"), at(3)));
  ASSERT_TRUE(answer.feed(
      event(R"({"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null})"), at(4)));
  const auto reply = answer.finish(at(5));
  ASSERT_TRUE(reply) << "a finish reason is an end, [DONE] or not";
  EXPECT_EQ(reply->pieces, (std::vector<Instant>{at(2), at(3)}));
  EXPECT_EQ(reply->text, "hi");
  EXPECT_FALSE(reply->counted);
  EXPECT_EQ(reply->completion_tokens, 2);
}

TEST(SseAnswer, what_is_no_answer_is_an_error) {
  const struct {
    std::string_view data;
    Code code;
  } cases[] = {{"x", Code::kCorrupt},
               {"[]", Code::kCorrupt},
               {"{}", Code::kCorrupt},
               {R"({"choices":{}})", Code::kCorrupt},
               {R"({"choices":[1]})", Code::kCorrupt},
               {R"({"error":{"message":"out of memory"}})", Code::kInternal},
               {R"({"error":"out of memory"})", Code::kInternal}};
  for (const auto& [data, code] : cases) {
    SseAnswer answer;
    const Status fed = answer.feed(event(data), at(1));
    ASSERT_FALSE(fed) << data;
    EXPECT_EQ(fed.error().code, code) << data;
    if (code == Code::kInternal) {
      EXPECT_NE(fed.error().message.find("out of memory"), std::string::npos);
    }
  }
  SseAnswer nothing;
  EXPECT_EQ(nothing.finish(at(1)).error().code, Code::kIo);
  SseAnswer half;
  ASSERT_TRUE(half.feed(event(R"({"choices":[{"text":"a"}]})"), at(1)));
  EXPECT_EQ(half.finish(at(2)).error().code, Code::kIo);
  SseAnswer odd;
  ASSERT_TRUE(
      odd.feed(event(R"({"choices":[{"text":3,"finish_reason":[]}],"usage":{"prompt_tokens":-5,)"
                     R"("completion_tokens":"x"}})") +
                   event("[DONE]"),
               at(1)));
  EXPECT_EQ(odd.finish(at(2))->prompt_tokens, 0);
}

}  // namespace
}  // namespace mill::load
