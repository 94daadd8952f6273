#include "net/download.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "net/checksum.h"
#include "net/tls_server_for_test.h"

namespace mill::net {
namespace {

using Exchange = TlsServerForTest::Exchange;
using std::chrono::milliseconds;

std::string random_bytes(size_t count, uint32_t stream) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<char>(philox({static_cast<uint32_t>(i), stream, 0, 0}, {1, 2})[0]);
  return bytes;
}

const std::string& the_file() {
  static const std::string bytes = random_bytes(1'500'000, 0);
  return bytes;
}

// Answers as an honest server of the_file() would, ranges included, sending at most `most` bytes
// before it cuts the line.
void serve_honestly(Exchange& http, size_t most = SIZE_MAX, const std::string& etag = "\"v1\"") {
  const bool same = http.header("If-Range").empty() || http.header("If-Range") == etag;
  const size_t from = same ? http.range_from() : 0;
  const std::string rest = the_file().substr(from);
  std::string head = from > 0
                         ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " +
                               std::to_string(from) + "-" + std::to_string(the_file().size() - 1) +
                               "/" + std::to_string(the_file().size()) + "\r\n"
                         : "HTTP/1.1 200 OK\r\n";
  if (!etag.empty()) head += "ETag: " + etag + "\r\n";
  http.send(head + "Connection: close\r\nContent-Length: " + std::to_string(rest.size()) +
            "\r\n\r\n");
  http.send(std::string_view(rest).substr(0, most));
  if (most < rest.size()) http.cut();
}

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    char pattern[] = "/tmp/tokenmill_download_XXXXXX";
    folder_ = ::mkdtemp(pattern);
    target_ = folder_ / "model.gguf";
    watch_.note = [this](std::string_view sentence) { notes_.append(sentence).append("\n"); };
  }
  ~DownloadTest() override { std::filesystem::remove_all(folder_); }

  // Downloads /file from a server that answers by `handler`, with quick retries.
  Result<Downloaded> get(const TlsServerForTest& server, bool with_sum = true,
                         bool with_size = true) {
    DownloadRequest request = base_request(server);
    if (with_sum) request.sha256 = sha256_of(the_file());
    if (with_size) request.size = the_file().size();
    return get(request);
  }
  Result<Downloaded> get(const DownloadRequest& request) {
    auto file = PartialFile::open(target_);
    if (!file) return fail(file.error());
    return download(request, *file, watch_);
  }
  DownloadRequest base_request(const TlsServerForTest& server) const {
    DownloadRequest request;
    request.url = server.url("/file");
    request.ca_file = server.ca_file();
    request.attempts = 4;
    request.first_pause = milliseconds(1);
    request.longest_pause = milliseconds(1500);
    request.stall_timeout = milliseconds(300);
    return request;
  }

  void expect_whole() const {
    EXPECT_EQ(read(target_), the_file());
    EXPECT_FALSE(std::filesystem::exists(partial()));
    EXPECT_FALSE(std::filesystem::exists(partial() + ".note"));
  }
  void expect_nothing_usable() const { EXPECT_FALSE(std::filesystem::exists(target_)); }
  std::string partial() const { return target_.string() + ".partial"; }
  uintmax_t kept() const {
    std::error_code none;
    const uintmax_t size = std::filesystem::file_size(partial(), none);
    return none ? 0 : size;
  }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::filesystem::path folder_;
  std::filesystem::path target_;
  DownloadWatch watch_;
  std::string notes_;
};

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

TEST_F(DownloadTest, RedirectsAreFollowed) {
  TlsServerForTest server([](Exchange& http) {
    if (http.path() == "/file") return http.reply("302 Found", "Location: /there\r\n", "moved");
    if (http.path() == "/there")
      return http.reply("307 Temporary Redirect", "Location: /here\r\n", "moved");
    serve_honestly(http);
  });
  ASSERT_TRUE(get(server));
  EXPECT_EQ(server.requests(), 3);
  expect_whole();
}

TEST_F(DownloadTest, RedirectsToPlainHttpAreRefused) {
  TlsServerForTest server([&](Exchange& http) {
    http.reply("302 Found", "Location: http://localhost:1/file\r\n", "");
  });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kPermission);
  EXPECT_NE(done.error().message.find("not https"), std::string::npos) << done.error().message;
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(DownloadTest, RedirectsToLocalFilesAreRefused) {
  TlsServerForTest server(
      [&](Exchange& http) { http.reply("302 Found", "Location: file:///etc/passwd\r\n", ""); });
  const auto done = get(server, false, false);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kPermission);
  expect_nothing_usable();
}

TEST_F(DownloadTest, RedirectLoopsEnd) {
  TlsServerForTest server(
      [](Exchange& http) { http.reply("302 Found", "Location: /file\r\n", ""); });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("redirects more than 8 times"), std::string::npos)
      << done.error().message;
  EXPECT_EQ(server.requests(), 9);
}

TEST_F(DownloadTest, PlainHttpIsRefused) {
  DownloadRequest request;
  for (const char* url :
       {"http://localhost/file", "file:///etc/passwd", "ftp://a/b", "", "https//x"}) {
    request.url = url;
    const auto done = get(request);
    ASSERT_FALSE(done) << url;
    EXPECT_EQ(done.error().code, Code::kInvalid);
  }
}

TEST_F(DownloadTest, StatusesThatMeanNoAreNotAskedTwice) {
  const struct {
    const char* status;
    Code code;
  } cases[] = {{"404 Not Found", Code::kNotFound},
               {"410 Gone", Code::kNotFound},
               {"401 Unauthorized", Code::kPermission},
               {"403 Forbidden", Code::kPermission},
               {"400 Bad Request", Code::kIo},
               {"501 Not Implemented", Code::kIo},
               {"204 No Content", Code::kIo}};
  for (const auto& one : cases) {
    TlsServerForTest server([&](Exchange& http) { http.reply(one.status, "", ""); });
    const auto done = get(server);
    ASSERT_FALSE(done) << one.status;
    EXPECT_EQ(done.error().code, one.code) << one.status;
    EXPECT_NE(done.error().message.find(std::string(one.status).substr(0, 3)), std::string::npos)
        << done.error().message;
    EXPECT_EQ(server.requests(), 1) << one.status;
    expect_nothing_usable();
  }
}

TEST_F(DownloadTest, BusyServersAreAskedAgain) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() == 0) return http.reply("429 Too Many Requests", "", "slow down");
    if (http.number() == 1) return http.reply("500 Internal Server Error", "", "");
    serve_honestly(http);
  });
  ASSERT_TRUE(get(server));
  EXPECT_EQ(server.requests(), 3);
  expect_whole();
}

TEST_F(DownloadTest, RetryAfterIsHonoured) {
  TlsServerForTest server([](Exchange& http) {
    if (http.number() == 0) return http.reply("503 Service Unavailable", "Retry-After: 1\r\n", "");
    serve_honestly(http);
  });
  const Instant start = now();
  ASSERT_TRUE(get(server));
  EXPECT_GE(to_seconds(now() - start), 1.0);
  expect_whole();
}

TEST_F(DownloadTest, TooMuchPatienceAskedForIsAnError) {
  TlsServerForTest server(
      [](Exchange& http) { http.reply("503 Service Unavailable", "Retry-After: 86400\r\n", ""); });
  const auto done = get(server);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kOverloaded);
  EXPECT_NE(done.error().message.find("86400"), std::string::npos) << done.error().message;
  EXPECT_EQ(server.requests(), 1);
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

TEST_F(DownloadTest, AnEndlessHeadEnds) {
  TlsServerForTest server([](Exchange& http) {
    http.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; ++i)
      http.send("X-Filler: 0123456789012345678901234567890123456789\r\n");
  });
  const auto done = get(server);
  ASSERT_FALSE(done);
  expect_nothing_usable();
}

TEST_F(DownloadTest, GarbageInsteadOfHttpEnds) {
  TlsServerForTest server([](Exchange& http) { http.send(random_bytes(10000, 5)); });
  ASSERT_FALSE(get(server));
  expect_nothing_usable();
}

TEST_F(DownloadTest, AStrangersCertificateIsRefused) {
  TlsServerForTest server([](Exchange& http) { serve_honestly(http); });
  DownloadRequest request = base_request(server);
  request.ca_file.clear();
  const auto done = get(request);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kPermission);
  EXPECT_NE(done.error().message.find("certificate"), std::string::npos) << done.error().message;
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(DownloadTest, NobodyThere) {
  DownloadRequest request;
  request.attempts = 2;
  request.first_pause = milliseconds(1);
  request.url = "https://localhost:1/file";
  const auto done = get(request);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("cannot reach localhost:1"), std::string::npos)
      << done.error().message;
}

TEST_F(DownloadTest, TheTokenStaysWithItsHost) {
  std::string first, second;
  TlsServerForTest other([&](Exchange& http) {
    second = http.header("Authorization");
    serve_honestly(http);
  });
  TlsServerForTest server([&](Exchange& http) {
    first = http.header("Authorization");
    http.reply("302 Found", "Location: " + other.url("/file") + "\r\n", "");
  });
  // One authority file for both servers.
  const std::string both = folder_ / "both.pem";
  std::ofstream(both) << read(server.ca_file()) << read(other.ca_file());
  DownloadRequest request = base_request(server);
  request.bearer = "hush";
  request.ca_file = both;
  const auto done = get(request);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(first, "Bearer hush");
  EXPECT_EQ(second, "");
}

TEST_F(DownloadTest, TheSumThatTheHubNamesIsChecked) {
  std::string linked = sha256_of(the_file());
  TlsServerForTest server([&](Exchange& http) {
    if (http.path() == "/file")
      return http.reply("302 Found", "X-Linked-Etag: \"" + linked + "\"\r\nLocation: /cdn\r\n", "");
    serve_honestly(http);
  });
  const auto done = get(server, false, false);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->linked_sha256, linked);

  linked = std::string(64, 'a');
  const auto wrong = get(server, false, false);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kCorrupt);
  const int before = server.requests();
  const auto changed =
      get(server, true, true);  // the hub tells at once that it has another file than we want
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::kCorrupt);
  EXPECT_EQ(server.requests(), before + 2);
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
