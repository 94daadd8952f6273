#include "net/http_head.h"

#include <gtest/gtest.h>

namespace mill::net {
namespace {

// The status of the refusal, 0 for a head that is taken, -1 for one that isn't whole.
int judge(std::string_view bytes, size_t max_fields = 100) {
  HeadScanner scanner;
  const auto size = scanner.scan(bytes);
  if (!size) return size.error().status;
  if (*size == 0) return -1;
  const auto head = parse_head(bytes.substr(0, *size), max_fields);
  return head ? 0 : head.error().status;
}

TEST(HttpHead, takes_an_ordinary_request) {
  const std::string_view bytes =
      "POST /v1/x?q=1 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 12\r\nX-Y:  z \t\r\n\r\nrest";
  HeadScanner scanner;
  const auto size = scanner.scan(bytes);
  ASSERT_TRUE(size);
  ASSERT_EQ(*size, bytes.size() - 4);
  const auto head = parse_head(bytes.substr(0, *size), 100);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->request.method, "POST");
  EXPECT_EQ(head->request.path(), "/v1/x");
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_EQ(head->request.header("x-y"), "z");
  EXPECT_TRUE(head->keep_alive);
}

TEST(HttpHead, finds_the_end_however_the_bytes_are_cut) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    HeadScanner scanner;
    EXPECT_EQ(scanner.scan(std::string_view(bytes).substr(0, cut)), size_t{0}) << cut;
    EXPECT_EQ(scanner.scan(bytes), bytes.size()) << cut;
  }
}

TEST(HttpHead, takes_no_compressed_body) {
  const auto with = [](std::string_view coding) {
    return judge("POST / HTTP/1.1\r\nHost: a\r\ncontent-encoding: " + std::string(coding) +
                 "\r\n\r\n");
  };
  for (const char* coding : {"gzip", "br", "zstd", "deflate", "x", "identity, gzip"})
    EXPECT_EQ(with(coding), 415) << coding;
  for (const char* coding : {"", "identity", "Identity"}) EXPECT_EQ(with(coding), 0) << coding;
}

TEST(HttpHead, refuses_what_can_be_read_in_two_ways) {
  const auto with = [](std::string_view fields) {
    return judge("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n\r\n");
  };
  EXPECT_EQ(with("Content-Length: 1"), 0);
  EXPECT_EQ(with("Content-Length: 1\r\nContent-Length: 1"), 400);
  EXPECT_EQ(with("Content-Length: 1, 1"), 400);
  EXPECT_EQ(with("Content-Length: +1"), 400);
  EXPECT_EQ(with("Content-Length: 0x1"), 400);
  EXPECT_EQ(with("Content-Length: -1"), 400);
  EXPECT_EQ(with("Content-Length: 1_0"), 400);
  EXPECT_EQ(with("Content-Length:"), 400);
  EXPECT_EQ(with("Content-Length: 99999999999999999999"), 400);
  EXPECT_EQ(with("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400);
  EXPECT_EQ(with("Transfer-Encoding: chunked"), 0);
  EXPECT_EQ(with("Transfer-Encoding: Chunked"), 0);
  EXPECT_EQ(with("Transfer-Encoding: gzip, chunked"), 400);
  EXPECT_EQ(with("Transfer-Encoding: chunked, chunked"), 400);
  EXPECT_EQ(with("Transfer-Encoding: xchunked"), 400);
  EXPECT_EQ(with("Transfer-Encoding: \"chunked\""), 400);
  EXPECT_EQ(with("Transfer-Encoding : chunked"), 400);
  EXPECT_EQ(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400);
  EXPECT_EQ(with("A: b\r\n c"), 400);
  EXPECT_EQ(with("A b: c"), 400);
  EXPECT_EQ(with(": c"), 400);
  EXPECT_EQ(with("A"), 400);
  EXPECT_EQ(with("A: b\nC: d"), 400);
  EXPECT_EQ(with("A: b\rC: d"), 400);
  EXPECT_EQ(with(std::string_view("A: \0", 4)), 400);
  EXPECT_EQ(with("A: \x7f"), 400);
  EXPECT_EQ(with("A: \xC3\xBC"), 0);
  EXPECT_EQ(with("Host: b"), 400);
  EXPECT_EQ(with("Expect: 200-ok"), 417);
}

TEST(HttpHead, checks_the_request_line) {
  const auto line = [](std::string_view text) {
    return judge(std::string(text) + "\r\nHost: a\r\n\r\n");
  };
  EXPECT_EQ(line("GET / HTTP/1.1"), 0);
  EXPECT_EQ(line("BREW /pot HTTP/1.1"), 0);
  EXPECT_EQ(line("OPTIONS * HTTP/1.1"), 0);
  EXPECT_EQ(line("GET http://a/b HTTP/1.1"), 0);
  EXPECT_EQ(line("GET * HTTP/1.1"), 400);
  EXPECT_EQ(line("GET a HTTP/1.1"), 400);
  EXPECT_EQ(line("GET  / HTTP/1.1"), 400);
  EXPECT_EQ(line("GET / HTTP/1.1 "), 400);
  EXPECT_EQ(line("GET /a b HTTP/1.1"), 400);
  EXPECT_EQ(line("GET /#a HTTP/1.1"), 400);
  EXPECT_EQ(line("GET /\xC3\xBC HTTP/1.1"), 400);
  EXPECT_EQ(line("GET /"), 400);
  EXPECT_EQ(line("GET / HTTP/2.0"), 505);
  EXPECT_EQ(line("GET / HTTP/1.2"), 505);
  EXPECT_EQ(line("GET / http/1.1"), 400);
  EXPECT_EQ(line("GE(T / HTTP/1.1"), 400);
  EXPECT_EQ(judge("GET / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(judge("GET / HTTP/1.0\r\n\r\n"), 0);
}

TEST(HttpHead, counts_the_fields) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 99; ++i) bytes += "X: y\r\n";
  EXPECT_EQ(judge(bytes + "\r\n"), 0);
  EXPECT_EQ(judge(bytes + "X: y\r\n\r\n"), 431);
}

TEST(HttpHead, keep_alive_follows_the_version_and_the_header) {
  const auto keeps = [](std::string bytes) {
    const auto head = parse_head(bytes + "\r\n", 100);
    return head && head->keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n"));
}

}  // namespace
}  // namespace mill::net
