#include <gtest/gtest.h>

#include "net/download_fixture_for_test.h"

namespace mill::net {
namespace {

TEST_F(DownloadTest, BringsAFileWhole) {
  TlsServerForTest server([](Exchange& http) { serve_honestly(http); });
  uint64_t seen = 0;
  watch_.progress = [&](uint64_t have, std::optional<uint64_t> total) {
    EXPECT_GE(have, seen);
    EXPECT_EQ(total, the_file().size());
    seen = have;
  };
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->bytes, the_file().size());
  EXPECT_EQ(done->sha256, sha256_of(the_file()));
  EXPECT_EQ(seen, the_file().size());
  EXPECT_EQ(server.requests(), 1);
  expect_whole();
}

TEST_F(DownloadTest, DroppedConnectionsAreResumedWhereTheyBroke) {
  TlsServerForTest server([](Exchange& http) { serve_honestly(http, 400'000); });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_GE(server.requests(), 4);
  EXPECT_NE(notes_.find("trying again"), std::string::npos);
  expect_whole();
}

TEST_F(DownloadTest, ProgressForgivesEarlierFailuresSoThatManyDropsAreFine) {
  // Five tries are needed, and two failures in a row would end it.
  TlsServerForTest server([](Exchange& http) { serve_honestly(http, 300'000); });
  DownloadRequest request = base_request(server);
  request.sha256 = sha256_of(the_file());
  request.attempts = 2;
  const auto done = get(request);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_GE(server.requests(), 5);
  expect_whole();
}

TEST_F(DownloadTest, ResetConnectionsAreResumed) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() > 3) return serve_honestly(http);
    serve_honestly(http, 400'000);
    http.reset();
  });
  DownloadRequest request = base_request(server);
  request.sha256 = sha256_of(the_file());
  request.attempts = 10;
  const auto done = get(request);
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
}

TEST_F(DownloadTest, AServerThatAlwaysDropsIsGivenUpAndWhatCameIsKept) {
  TlsServerForTest server([](Exchange& http) {
    if (http.range_from() == 0) return serve_honestly(http, 500'000);
    http.cut();
  });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kIo);
  EXPECT_NE(done.error().message.find("localhost"), std::string::npos) << done.error().message;
  expect_nothing_usable();
  EXPECT_GT(kept(), 0u);
}

TEST_F(DownloadTest, ALaterRunGoesOnWhereAnEarlierOneStopped) {
  {
    TlsServerForTest server([](Exchange& http) {
      http.range_from() == 0 ? serve_honestly(http, 700'000) : http.cut();
    });
    EXPECT_FALSE(get(server));
  }
  const uintmax_t before = kept();
  ASSERT_GT(before, 0u);
  size_t asked = 0;
  TlsServerForTest server([&](Exchange& http) {
    asked = http.range_from();
    EXPECT_EQ(http.header("If-Range"), "");  // the other address gave that ETag
    serve_honestly(http);
  });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(asked, before);
  EXPECT_EQ(done->resumed_from, before);
  expect_whole();
}

TEST_F(DownloadTest, IfRangeGuardsTheSeam) {
  std::string if_range;
  TlsServerForTest server([&](Exchange& http) {
    if (http.number() == 0) return serve_honestly(http, 600'000);
    if_range = http.header("If-Range");
    serve_honestly(http);
  });
  const auto done = get(server, false, false);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(if_range, "\"v1\"");
  expect_whole();
}

TEST_F(DownloadTest, AFileThatChangedBetweenTriesIsFetchedAfresh) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() > 0) return serve_honestly(http, SIZE_MAX, "\"v2\"");
    const std::string other = random_bytes(the_file().size(), 9);
    http.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: " + std::to_string(other.size()) +
              "\r\n\r\n" + other.substr(0, 600'000));
    http.cut();
  });
  const auto done = get(server, false, false);
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
}

TEST_F(DownloadTest, AnotherFileBehindA206IsSeenByItsETag) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() == 0) return serve_honestly(http, 600'000, "\"v0\"");
    if (http.range_from() == 0) return serve_honestly(http, SIZE_MAX, "\"v1\"");
    // Ignores If-Range: sends the rest of what it has now.
    http.reply("206 Partial Content",
               "ETag: \"v1\"\r\nContent-Range: bytes " + std::to_string(http.range_from()) +
                   "-1499999/1500000\r\n",
               random_bytes(the_file().size() - http.range_from(), 3));
  });
  const auto done = get(server, false, false);
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
}

TEST_F(DownloadTest, AServerWithoutRangesStartsOver) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() == 0) return serve_honestly(http, 500'000);
    http.reply("200 OK", "", the_file());
  });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_NE(notes_.find("from the beginning again"), std::string::npos) << notes_;
  expect_whole();
}

TEST_F(DownloadTest, AServerWithoutRangesThatAlwaysDropsIsGivenUp) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\nContent-Length: 1500000\r\n\r\n" + the_file().substr(0, 900'000));
    http.cut();
  });
  EXPECT_FALSE(get(server));
  EXPECT_LE(server.requests(), 5);
  expect_nothing_usable();
}

TEST_F(DownloadTest, TheWrongPartOf206IsNotTaken) {
  TlsServerForTest server([](Exchange& http) {
    if (http.range_from() == 0)
      return serve_honestly(http, http.number() == 0 ? 500'000 : SIZE_MAX);
    http.reply("206 Partial Content", "ETag: \"v1\"\r\nContent-Range: bytes 7-1499999/1500000\r\n",
               the_file().substr(7));
  });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
}

TEST_F(DownloadTest, A416AfterACompletePartialIsTheEnd) {
  std::ofstream(partial(), std::ios::binary) << the_file();
  TlsServerForTest server([](Exchange& http) {
    http.reply("416 Range Not Satisfiable", "Content-Range: bytes */1500000\r\n", "");
  });
  std::ofstream(partial() + ".note") << "url " << server.url("/file") << "\n"
                                     << server.url("/file") << "\n\"v1\"\n";
  const auto done = get(server, false, false);
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
}

TEST_F(DownloadTest, A416OtherwiseStartsAfresh) {
  std::ofstream(partial(), std::ios::binary) << the_file().substr(0, 1000);
  std::ofstream(partial() + ".note") << "sha256 " << sha256_of(the_file()) << "\n\n\n";
  TlsServerForTest server([](Exchange& http) {
    if (http.range_from() > 0) return http.reply("416 Range Not Satisfiable", "", "");
    serve_honestly(http);
  });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
}

TEST_F(DownloadTest, AWrongByteIsNeverUsed) {
  TlsServerForTest server([](Exchange& http) {
    std::string bytes = the_file();
    bytes[777'777] ^= 1;
    http.reply("200 OK", "", bytes);
  });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kCorrupt);
  EXPECT_NE(done.error().message.find(sha256_of(the_file())), std::string::npos)
      << done.error().message;
  EXPECT_EQ(server.requests(), 1);
  expect_nothing_usable();
  EXPECT_EQ(kept(), 0u);
}

TEST_F(DownloadTest, AWrongByteInAnOldPartIsMendedByOneFreshStart) {
  std::string bytes = the_file().substr(0, 800'000);
  bytes[10] ^= 1;
  std::ofstream(partial(), std::ios::binary) << bytes;
  std::ofstream(partial() + ".note") << "sha256 " << sha256_of(the_file()) << "\n\n\n";
  TlsServerForTest server([](Exchange& http) { serve_honestly(http); });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(server.requests(), 2);
  EXPECT_NE(notes_.find("starting afresh"), std::string::npos) << notes_;
  expect_whole();
}

TEST_F(DownloadTest, APartOfSomethingElseIsNotGoneOnWith) {
  std::ofstream(partial(), std::ios::binary) << "what is this";
  TlsServerForTest server([](Exchange& http) {
    EXPECT_EQ(http.range_from(), 0u);
    serve_honestly(http);
  });
  ASSERT_TRUE(get(server));
  expect_whole();
}

TEST_F(DownloadTest, AnotherLengthThanExpectedIsAnotherFile) {
  for (const size_t announced : {size_t{1'000'000}, size_t{2'000'000}}) {
    TlsServerForTest server([&](Exchange& http) {
      http.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(announced) + "\r\n\r\n" +
                the_file());
    });
    const auto done = get(server);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kCorrupt);
    EXPECT_NE(done.error().message.find("another file"), std::string::npos) << done.error().message;
    EXPECT_EQ(server.requests(), 1);
    expect_nothing_usable();
  }
}

TEST_F(DownloadTest, ALengthThatIsTooLongIsABrokenConnection) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + the_file());
  });
  EXPECT_FALSE(get(server, true, false));
  expect_nothing_usable();
}

TEST_F(DownloadTest, ALengthThatIsTooShortIsAWrongFile) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + the_file());
  });
  const auto done = get(server, true, false);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kCorrupt);
  expect_nothing_usable();
}

TEST_F(DownloadTest, ABodyWithoutLengthIsCutAtTheExpectedSize) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 100; ++i) http.send(the_file());  // 150 MB, were it read
  });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("more bytes"), std::string::npos) << done.error().message;
  expect_nothing_usable();
  EXPECT_LE(kept(), the_file().size());
}

TEST_F(DownloadTest, ABodyWithoutLengthIsFineWhenTheSumIsRight) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + the_file());
  });
  ASSERT_TRUE(get(server, true, false));
  expect_whole();
}

TEST_F(DownloadTest, StallsAreLeftAndResumed) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() > 0) return serve_honestly(http);
    http.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 1500000\r\n\r\n" +
              the_file().substr(0, 500'000));
    http.stall();
  });
  const auto done = get(server);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_NE(notes_.find("stopped sending"), std::string::npos) << notes_;
  expect_whole();
}

TEST_F(DownloadTest, AServerThatNeverAnswersEndsInTime) {
  TlsServerForTest server([](Exchange& http) { http.stall(); });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDeadline);
}

TEST_F(DownloadTest, TooLargeForTheDiskIsToldBeforeTheFirstByte) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\nContent-Length: 4000000000000000\r\n\r\n" + the_file());
  });
  const auto done = get(server, true, false);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kIo);
  EXPECT_NE(done.error().message.find("are free on its disk"), std::string::npos)
      << done.error().message;
  EXPECT_EQ(kept(), 0u);
}

}  // namespace
}  // namespace mill::net
