#include "net/sse_reader.h"

#include <gtest/gtest.h>

namespace mill::net {
namespace {

using Events = std::vector<std::string>;

// The events of `stream`, fed in pieces of `piece` bytes.
Events events_of(std::string_view stream, size_t piece = 1 << 20) {
  SseReader reader;
  Events events;
  for (size_t at = 0; at < stream.size(); at += piece) {
    EXPECT_TRUE(reader.feed(stream.substr(at, piece), events));
  }
  return events;
}

TEST(SseReader, takes_events_however_they_are_cut_and_ended) {
  for (const std::string_view stream :
       {"data: one\n\n: note\n\nevent: x\ndata:two\nid: 7\ndata:  three\n\ndata: [DONE]\n\n",
        "data: one\r\n\r\n: note\r\n\r\nevent: x\r\ndata:two\r\nid: 7\r\ndata:  three\r\n\r\n"
        "data: [DONE]\r\n\r\n",
        "\xEF\xBB\xBF"
        "data: one\r\r: note\r\revent: x\rdata:two\rid: 7\rdata:  three\r\rdata: [DONE]\r\r"}) {
    for (const size_t piece : {1, 2, 3, 7, 1000}) {
      EXPECT_EQ(events_of(stream, piece), (Events{"one", "two\n three", "[DONE]"})) << piece;
    }
  }
}

TEST(SseReader, an_empty_data_line_counts_and_an_unfinished_event_does_not) {
  EXPECT_EQ(events_of("data\n\n"), Events{""});
  EXPECT_EQ(events_of("data:\ndata:\n\n"), Events{"\n"});
  EXPECT_EQ(events_of("datas: x\n\n"), Events{});
  EXPECT_EQ(events_of("data: lost"), Events{});
  SseReader reader;
  Events events;
  ASSERT_TRUE(reader.feed("data: whole\n\n", events));
  EXPECT_FALSE(reader.in_event());
  ASSERT_TRUE(reader.feed("data: half\n", events));
  EXPECT_TRUE(reader.in_event());
}

TEST(SseReader, bounds_an_event) {
  Events events;
  SseReader one_line(100);
  EXPECT_FALSE(one_line.feed("data: " + std::string(200, 'x'), events));
  SseReader many_lines(100);
  Status fed;
  for (int i = 0; i < 100 && fed; ++i) fed = many_lines.feed("data: xx\n", events);
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().code, Code::kTooLarge);
  EXPECT_TRUE(events.empty());
}

}  // namespace
}  // namespace mill::net
