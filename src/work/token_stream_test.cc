#include "work/token_stream.h"

#include <gtest/gtest.h>

namespace mill::work {
namespace {

TEST(TokenStream, PiecesThenFinishedOnce) {
  auto [sink, stream] = make_token_stream(2);
  sink.deliver({.token = 5});
  sink.deliver({.token = 6});
  sink.finish({.reason = FinishReason::kLength, .usage = {.prompt_tokens = 1, .completion_tokens = 2}});
  EXPECT_EQ(std::get<Piece>(*stream.next_blocking()).token, 5);
  EXPECT_EQ(std::get<Piece>(*stream.next_blocking()).token, 6);
  const auto last = std::get<Finished>(*stream.next_blocking());
  EXPECT_EQ(last.reason, FinishReason::kLength);
  EXPECT_EQ(last.usage.completion_tokens, 2);
  EXPECT_FALSE(stream.next_blocking().has_value());
}

TEST(TokenStream, DroppingTheReaderIsSeenByTheWriter) {
  auto [sink, stream] = make_token_stream(1);
  EXPECT_FALSE(sink.cancelled());
  { const TokenStream gone = std::move(stream); }
  EXPECT_TRUE(sink.cancelled());
  sink.finish({.reason = FinishReason::kCancelled});
}

}  // namespace
}  // namespace mill::work
