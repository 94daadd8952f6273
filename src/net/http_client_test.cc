#include "net/http_client.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "base/log.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "net/raw_client_for_test.h"

namespace mill::net {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  set_log_level(LogLevel::kError);
  auto server = HttpServer::listen(std::move(options), std::move(handler));
  EXPECT_TRUE(server);
  (*server)->start();
  return std::move(*server);
}

Task<void> echo(HttpExchange& http) {
  HttpReply reply;
  reply.content_type = "text/plain";
  reply.body = http.request().method + " " + http.request().target + " " + http.request().body;
  const Status sent = co_await http.reply(std::move(reply));
  (void)sent;
}

HttpUrl at(uint16_t port) {
  return {.host = "127.0.0.1", .port = port};
}

// A client, and a loop to run it on.
struct Asker {
  explicit Asker(HttpUrl url, HttpClientLimits limits = {}) : client(std::move(url), limits) {}

  Result<HttpAnswer> ask(HttpClient::Call call) {
    std::optional<Result<HttpAnswer>> answer;
    loop.start(keep(*this, std::move(call), answer));
    loop.run();
    return std::move(*answer);
  }
  static Task<void> keep(Asker& self, HttpClient::Call call,
                         std::optional<Result<HttpAnswer>>& into) {
    into = co_await self.client.send(std::move(call));
  }

  EventLoop loop;
  HttpClient client;
};

// Says fixed bytes to every connection that asks something, and closes (or keeps it open).
class RawServer {
 public:
  explicit RawServer(std::string bytes, bool stay = false) : bytes_(std::move(bytes)), stay_(stay) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 16), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~RawServer() {
    ending_ = true;
    thread_.join();
    for (const int open : open_) ::close(open);
    ::close(fd_);
  }
  uint16_t port() const { return port_; }

 private:
  void run() {
    while (!ending_) {
      pollfd ready{fd_, POLLIN, 0};
      if (::poll(&ready, 1, 10) <= 0) continue;
      const int client = ::accept(fd_, nullptr, nullptr);
      char request[4096];
      if (::recv(client, request, sizeof request, 0) <= 0) {
        ::close(client);
        continue;
      }
      ::send(client, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
      if (stay_) {
        open_.push_back(client);
      } else {
        ::close(client);
      }
    }
  }

  const std::string bytes_;
  const bool stay_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::vector<int> open_;
  std::thread thread_;
};

TEST(HttpClient, asks_and_keeps_the_connection) {
  const auto server = serve(echo);
  Asker asker(at(server->port()));
  for (int i = 0; i < 3; ++i) {
    const auto answer = asker.ask({.method = "POST", .target = "/a", .body = "hi"});
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "POST /a hi");
    EXPECT_EQ(answer->header("content-TYPE").value_or(""), "text/plain");
    EXPECT_FALSE(answer->header("nothing").has_value());
  }
  EXPECT_EQ(asker.client.connections_made(), 1);
}

TEST(HttpClient, many_at_a_time_have_a_connection_each) {
  const auto server = serve(echo);
  Asker asker(at(server->port()));
  std::vector<std::optional<Result<HttpAnswer>>> answers(50);
  for (size_t i = 0; i < answers.size(); ++i) {
    asker.loop.start(Asker::keep(asker, {.target = "/" + std::to_string(i)}, answers[i]));
  }
  asker.loop.run();
  for (size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(*answers[i]) << answers[i]->error().message;
    EXPECT_EQ((*answers[i])->body, "GET /" + std::to_string(i) + " ");
  }
  EXPECT_LE(asker.client.connections_made(), 50);
}

TEST(HttpClient, opens_a_new_connection_when_the_idle_one_was_closed) {
  HttpServerOptions options;
  options.limits.idle_time = 50ms;
  const auto server = serve(echo, options);
  Asker asker(at(server->port()));
  ASSERT_TRUE(asker.ask({.target = "/a"}));
  while (server->probe().open_connections > 0) std::this_thread::yield();
  const auto again = asker.ask({.target = "/b"});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->body, "GET /b ");
  EXPECT_EQ(asker.client.connections_made(), 2);
}

TEST(HttpClient, asks_anew_when_a_kept_connection_ends_under_its_request) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread server([listener] {
    constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    for (int i = 0; i < 2; ++i) {
      const int client = ::accept(listener, nullptr, nullptr);
      EXPECT_GT(::recv(client, request, sizeof request, 0), 0);
      ::send(client, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
      if (i == 0) {
        EXPECT_GT(::recv(client, request, sizeof request, 0), 0) << "asked, and not answered";
      }
      ::close(client);
    }
  });
  Asker asker(at(ntohs(address.sin_port)));
  EXPECT_TRUE(asker.ask({.target = "/"}));
  const auto second = asker.ask({.method = "POST", .target = "/", .body = "x"});
  server.join();
  ::close(listener);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->body, "ok");
  EXPECT_EQ(asker.client.connections_made(), 2);
}

// Sends a piece, then waits until `taken` says that the client has it.
Task<void> drip(HttpExchange& http, std::atomic<int>& taken) {
  http.begin_stream({.status = 200, .content_type = "text/event-stream"});
  for (int i = 0; i < 4; ++i) {
    std::string piece = "data: " + std::to_string(i) + "\n\n";
    const Status sent = co_await http.send(std::move(piece));
    if (!sent) co_return;
    while (taken <= i) {
      co_await sleep_until(now() + 1ms);
    }
  }
  const Status ended = co_await http.end_stream();
  (void)ended;
}

TEST(HttpClient, hands_a_stream_on_as_it_comes) {
  std::atomic<int> taken{0};
  const auto server = serve([&](HttpExchange& http) { return drip(http, taken); });
  Asker asker(at(server->port()));
  std::vector<std::string> pieces;
  const auto answer = asker.ask({.target = "/", .reader = [&](std::string_view bytes) -> Status {
                                   pieces.emplace_back(bytes);
                                   ++taken;
                                   return {};
                                 }});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(pieces,
            (std::vector<std::string>{"data: 0\n\n", "data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}));
  EXPECT_EQ(answer->body, "");
}

TEST(HttpClient, a_reader_that_fails_ends_the_exchange_and_the_connection) {
  std::atomic<int> taken{0};
  const auto server = serve([&](HttpExchange& http) { return drip(http, taken); });
  Asker asker(at(server->port()));
  const auto answer = asker.ask({.target = "/", .reader = [&](std::string_view) -> Status {
                                   return fail(Code::kCancelled, "enough");
                                 }});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kCancelled);
  taken = 100;
  while (server->probe().open_connections > 0) std::this_thread::yield();
}

TEST(HttpClient, other_statuses_are_answers_with_their_body) {
  for (const int status : {404, 429, 503}) {
    const auto server = serve([status](HttpExchange& http) -> Task<void> {
      HttpReply reply{.status = status, .content_type = "text/plain", .body = "no"};
      reply.headers.push_back({"Retry-After", "7"});
      const Status sent = co_await http.reply(std::move(reply));
      (void)sent;
    });
    Asker asker(at(server->port()));
    bool read = false;
    const auto answer = asker.ask({.target = "/", .reader = [&](std::string_view) -> Status {
                                     read = true;
                                     return {};
                                   }});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, status);
    EXPECT_EQ(answer->body, "no");
    EXPECT_EQ(answer->header("retry-after").value_or(""), "7");
    EXPECT_FALSE(read) << "a reader is for what was asked for";
  }
}

TEST(HttpClient, a_slow_server_meets_the_deadline_or_the_stall_time) {
  const RawServer silent("", true);
  Asker asker(at(silent.port()));
  const Instant begun = now();
  const auto late = asker.ask({.target = "/", .deadline = now() + 50ms});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadline);

  const RawServer half("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true);
  Asker patient(at(half.port()), {.stall_time = 50ms});
  const auto stalled = patient.ask({.target = "/"});
  ASSERT_FALSE(stalled);
  EXPECT_EQ(stalled.error().code, Code::kDeadline);
  EXPECT_LT(now() - begun, 5s);
}

TEST(HttpClient, a_cut_answer_is_an_error_and_not_a_short_answer) {
  for (const std::string_view bytes :
       {"", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"}) {
    const RawServer server{std::string(bytes)};
    Asker asker(at(server.port()));
    const auto answer = asker.ask({.target = "/"});
    ASSERT_FALSE(answer) << bytes;
    EXPECT_EQ(answer.error().code, Code::kIo) << bytes << ": " << answer.error().message;
  }
}

TEST(HttpClient, reads_an_answer_that_ends_with_the_connection_and_passes_interim_ones_over) {
  const RawServer server("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end");
  Asker asker(at(server.port()));
  const auto answer = asker.ask({.target = "/"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "to the end");
}

TEST(HttpClient, what_is_not_http_is_refused) {
  for (const std::string_view bytes :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    const RawServer server{std::string(bytes)};
    Asker asker(at(server.port()));
    const auto answer = asker.ask({.target = "/"});
    ASSERT_FALSE(answer) << bytes;
    EXPECT_EQ(answer.error().code, Code::kCorrupt) << bytes << ": " << answer.error().message;
  }
}

TEST(HttpClient, bounds_what_it_takes) {
  const RawServer wide("HTTP/1.1 200 OK\r\nX: " + std::string(100000, 'x') + "\r\n\r\n");
  const RawServer long_one("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" +
                           std::string(2000, 'x'));
  const RawServer endless("HTTP/1.1 200 OK\r\n\r\n" + std::string(200000, 'x'), true);
  for (const uint16_t port : {wide.port(), long_one.port(), endless.port()}) {
    Asker asker(at(port), {.stall_time = 5s, .body_bytes = 1000});
    const auto answer = asker.ask({.target = "/"});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kTooLarge) << answer.error().message;
  }
}

TEST(HttpClient, no_server_and_no_injected_header) {
  uint16_t closed_port = 0;
  {
    const RawServer gone("");
    closed_port = gone.port();
  }
  Asker asker(at(closed_port));
  const auto answer = asker.ask({.target = "/"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kIo);
  const auto injected = asker.ask({.target = "/", .headers = {{"A", "b\r\nEvil: 1"}}});
  ASSERT_FALSE(injected);
  EXPECT_EQ(injected.error().code, Code::kInvalid);
  EXPECT_EQ(asker.ask({.target = "/ a\r\nX: y"}).error().code, Code::kInvalid);
}

TEST(HttpClient, an_early_refusal_of_a_large_body_is_read) {
  HttpServerOptions options;
  options.limits.body_bytes = 1000;
  const auto server = serve(echo, options);
  Asker asker(at(server->port()));
  const auto answer = asker.ask({.method = "POST", .target = "/", .body = std::string(50000, 'x')});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 413);
  const auto next = asker.ask({.method = "POST", .target = "/a", .body = "x"});
  ASSERT_TRUE(next) << "over a connection of its own: " << next.error().message;
  EXPECT_EQ(next->body, "POST /a x");
}

}  // namespace
}  // namespace mill::net
