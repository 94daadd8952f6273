#include "net/http_post.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "net/tls_server_for_test.h"

namespace mill::net {
namespace {

using std::chrono::milliseconds;
using Exchange = TlsServerForTest::Exchange;

PostRequest to(const TlsServerForTest& server, std::string_view path = "/hook") {
  PostRequest request;
  request.url = server.url(path);
  request.headers = {{"Content-Type", "application/json"}, {"webhook-id", "msg_1"}};
  request.body = R"({"a":1})";
  request.ca_file = server.ca_file();
  request.connect_timeout = milliseconds(2000);
  request.total_timeout = milliseconds(5000);
  return request;
}

TEST(HttpPost, BringsTheBodyAndItsHeaders) {
  std::string path, id, type, body;
  TlsServerForTest server([&](Exchange& http) {
    path = http.path();
    id = http.header("webhook-id");
    type = http.header("Content-Type");
    body = http.body();
    http.reply("204 No Content", "", "");
  });
  const PostOutcome outcome = http_post(to(server, "/hook?a=b"));
  EXPECT_EQ(outcome.status, 204) << outcome.error.message;
  EXPECT_EQ(path, "/hook?a=b");
  EXPECT_EQ(id, "msg_1");
  EXPECT_EQ(type, "application/json");
  EXPECT_EQ(body, R"({"a":1})");
}

TEST(HttpPost, FollowsNoRedirect) {
  TlsServerForTest server([](Exchange& http) {
    http.body();
    http.reply("307 Temporary Redirect", "Location: /elsewhere\r\n", "");
  });
  EXPECT_EQ(http_post(to(server)).status, 307);
  EXPECT_EQ(server.requests(), 1);
}

TEST(HttpPost, SendsNothingWhereItMayNot) {
  TlsServerForTest server([](Exchange& http) { http.reply("200 OK", "", ""); });
  PostRequest request = to(server);
  std::vector<std::string> asked;
  request.may_connect = [&](std::string_view ip) {
    asked.emplace_back(ip);
    return false;
  };
  const PostOutcome outcome = http_post(request);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.error.code, Code::kPermission) << outcome.error.message;
  EXPECT_EQ(server.requests(), 0);
  EXPECT_FALSE(asked.empty());  // by address, not by name
  for (const std::string& ip : asked) EXPECT_TRUE(ip == "127.0.0.1" || ip == "::1") << ip;
  request.may_connect = [](std::string_view) { return true; };
  EXPECT_EQ(http_post(request).status, 200);
}

TEST(HttpPost, OtherSpellingsOfAnAddressAreTheSameAddress) {
  for (const char* url : {"http://2130706433:1/", "http://0x7f.1:1/", "http://127.1:1/",
                          "http://[::ffff:127.0.0.1]:1/", "http://localhost:1/"}) {
    PostRequest request;
    request.url = url;
    request.connect_timeout = milliseconds(1000);
    request.total_timeout = milliseconds(1000);
    bool asked = false;
    request.may_connect = [&](std::string_view ip) {
      asked = true;
      EXPECT_TRUE(ip == "127.0.0.1" || ip == "::1" || ip == "::ffff:127.0.0.1") << ip;
      return false;
    };
    EXPECT_EQ(http_post(request).error.code, Code::kPermission) << url;
    EXPECT_TRUE(asked) << url;
  }
}

TEST(HttpPost, DoesNotWaitLongerThanItsTime) {
  TlsServerForTest server([](Exchange& http) { http.stall(); });
  PostRequest request = to(server);
  request.total_timeout = milliseconds(100);
  const Instant before = now();
  EXPECT_EQ(http_post(request).error.code, Code::kDeadline);
  EXPECT_LT(now() - before, std::chrono::seconds(3));
}

TEST(HttpPost, GivesUpWhenItsCallerEnds) {
  TlsServerForTest server([](Exchange& http) { http.stall(); });
  std::atomic<bool> ending{false};
  PostRequest request = to(server);
  request.total_timeout = std::chrono::seconds(30);
  request.ending = &ending;
  std::jthread other([&] {
    while (server.requests() == 0) std::this_thread::yield();
    ending = true;
  });
  const Instant before = now();
  EXPECT_EQ(http_post(request).status, 0);
  EXPECT_LT(now() - before, std::chrono::seconds(10));
}

TEST(HttpPost, TrustsNoStrangersCertificate) {
  TlsServerForTest server([](Exchange& http) { http.reply("200 OK", "", ""); });
  PostRequest request = to(server);
  request.ca_file.clear();
  EXPECT_EQ(http_post(request).error.code, Code::kPermission);
  EXPECT_EQ(server.requests(), 0);
}

TEST(HttpPost, AnEndlessBodyIsNotRead) {
  TlsServerForTest server([](Exchange& http) {
    http.body();
    http.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    http.send(std::string(1 << 20, 'x'));
    http.stall();
  });
  EXPECT_EQ(http_post(to(server)).status, 200);
}

TEST(HttpPost, SaysWhenTheServerWantsToBeAskedAgain) {
  TlsServerForTest server([](Exchange& http) {
    http.body();
    http.reply("503 Service Unavailable", "Retry-After: 7\r\n", "");
  });
  const PostOutcome outcome = http_post(to(server));
  EXPECT_EQ(outcome.status, 503);
  EXPECT_EQ(outcome.retry_after, std::chrono::seconds(7));
}

TEST(HttpPost, NobodyThereIsAnError) {
  PostRequest request;
  request.url = "http://127.0.0.1:1/";
  request.connect_timeout = request.total_timeout = milliseconds(2000);
  EXPECT_EQ(http_post(request).error.code, Code::kIo);
}

TEST(HttpPost, AnAddressToPostToIsHttpAndPlain) {
  EXPECT_EQ(*host_to_post_to("https://a.example/hook?x=1&y=%20"), "a.example");
  EXPECT_EQ(*host_to_post_to("http://a.example:8080"), "a.example");
  EXPECT_EQ(*host_to_post_to("https://[2001:db8::1]:443/"), "2001:db8::1");
  for (const char* url :
       {"", "a.example", "ftp://a.example", "file:///etc/passwd", "https://", "https:///x",
        "https://u:p@a.example/", "https://a.example@b/", "https://a.example/#f",
        "https://a.example/a b", "https://a.example/\n", "https://a.example:0/",
        "https://a.example:65536/", "https://a.example:8x/", "https://[::1/", "https://[::1]x/",
        "gopher://a.example", "https://a.example/\\b", "https://\xc3\xa4.example/"}) {
    const auto host = host_to_post_to(url);
    ASSERT_FALSE(host.has_value()) << url;
    EXPECT_EQ(host.error().param, "url") << url;
  }
}

}  // namespace
}  // namespace mill::net
