#include <gtest/gtest.h>

#include "net/download_fixture_for_test.h"

namespace mill::net {
namespace {

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
  request.attempts = 6;
  request.first_pause = milliseconds(1);
  request.url = "https://localhost:1/file";
  const auto done = get(request);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("cannot reach localhost:1"), std::string::npos)
      << done.error().message;
  EXPECT_NE(notes_.find("(2 of 2)"), std::string::npos) << notes_;  // no six tries at a closed door
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
  std::filesystem::remove(target_);

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

}  // namespace
}  // namespace mill::net
