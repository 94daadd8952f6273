#include "net/http_url.h"

#include <gtest/gtest.h>

namespace mill::net {
namespace {

TEST(HttpUrl, takes_what_people_type) {
  const auto plain = parse_http_url("http://localhost:8080/");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "localhost");
  EXPECT_EQ(plain->port, 8080);
  EXPECT_EQ(plain->path, "");
  EXPECT_EQ(plain->authority(), "localhost:8080");
  const auto path = parse_http_url("http://mill.example/api/v1//");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->port, 80);
  EXPECT_EQ(path->path, "/api/v1");
  EXPECT_EQ(path->authority(), "mill.example");
  const auto six = parse_http_url("http://[::1]:81");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->authority(), "[::1]:81");
}

TEST(HttpUrl, refuses_what_is_none) {
  for (const std::string_view text :
       {"", "localhost:8080", "ftp://x", "http://", "http://:80", "http://x:", "http://x:0",
        "http://x:65536", "http://x:8o", "http://[::1", "http://[::1]x", "http://u@x", "http://x?q",
        "http://x#f", "http://x/ y", "http://x\r\nEvil: 1", "http://x\x80"}) {
    const auto url = parse_http_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Code::kInvalid) << text;
  }
  EXPECT_EQ(parse_http_url("https://x").error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace mill::net
