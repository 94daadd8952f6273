#include "net/http_server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <future>
#include <stdexcept>
#include <thread>

#include "base/channel.h"
#include "base/log.h"
#include "net/raw_client_for_test.h"

namespace mill::net {
namespace {

using namespace std::chrono_literals;

Task<void> echo(HttpExchange& http) {
  HttpReply reply;
  reply.content_type = "text/plain";
  reply.body = http.request().method + " " + http.request().target + " " + http.request().body;
  const Status sent = co_await http.reply(std::move(reply));
  (void)sent;
}

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  set_log_level(LogLevel::kError);
  auto server = HttpServer::listen(std::move(options), std::move(handler));
  EXPECT_TRUE(server);
  (*server)->start();
  return std::move(*server);
}

HttpServerOptions with(std::function<void(HttpLimits&)> change) {
  HttpServerOptions options;
  options.limits.linger_time = 200ms;
  change(options.limits);
  return options;
}

std::string post(std::string_view body) {
  return "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

// Waits for something that another thread brings about; false after 10 s.
bool eventually(const std::function<bool()>& holds) {
  const Instant deadline = now() + 10s;
  while (!holds()) {
    if (now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(HttpServer, answers_and_keeps_the_connection) {
  const auto server = serve(echo);
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.send(post("hi"));
    const RawResponse response = client.response();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "POST /a hi");
    EXPECT_EQ(response.header("Content-Length"), "10");
    EXPECT_EQ(response.header("X-Request-Id").substr(0, 4), "req_");
  }
}

TEST(HttpServer, answers_pipelined_requests_in_order) {
  const auto server = serve(echo);
  RawClient client(server->port());
  client.send(post("1") + post("22") + std::string(kGet) + "\r\n" + post("4"));
  for (const std::string_view body : {"POST /a 1", "POST /a 22", "GET /a ", "POST /a 4"}) {
    EXPECT_EQ(client.response().body, body);
  }
}

TEST(HttpServer, takes_a_request_in_single_bytes) {
  const auto server = serve(echo);
  RawClient client(server->port());
  for (const char byte :
       "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3;x=\"y\"\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: t\r\n\r\n") {
    if (byte != '\0') client.send(std::string_view(&byte, 1));
  }
  EXPECT_EQ(client.response().body, "POST /a abcd");
}

TEST(HttpServer, closes_when_the_client_asks) {
  const auto server = serve(echo);
  for (const std::string_view request :
       {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    RawClient client(server->port());
    client.send(request);
    const RawResponse response = client.response();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.header("Connection"), "close");
    client.receive_all();
    EXPECT_TRUE(client.ended());
  }
}

TEST(HttpServer, sends_no_body_to_head) {
  const auto server = serve(echo);
  RawClient client(server->port());
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(kGet));
  const RawResponse head = client.response(true);
  EXPECT_EQ(head.header("Content-Length"), "8");
  EXPECT_EQ(client.response().body, "GET /a ");
}

TEST(HttpServer, keeps_a_sane_request_id_and_replaces_another) {
  const auto server = serve(echo);
  const auto id_for = [&](const std::string& theirs) {
    RawClient client(server->port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + theirs + "\r\n\r\n");
    return client.response().header("X-Request-Id");
  };
  EXPECT_EQ(id_for("a-B_9"), "a-B_9");
  EXPECT_EQ(id_for(std::string(128, 'x')), std::string(128, 'x'));
  for (const std::string& bad :
       {std::string(129, 'x'), std::string("a b"), std::string("a\"b"), std::string("é")}) {
    EXPECT_EQ(id_for(bad).substr(0, 4), "req_") << bad;
  }
}

TEST(HttpServer, invites_a_body_that_is_announced) {
  const auto server = serve(echo, with([](HttpLimits& limits) { limits.body_bytes = 100; }));
  RawClient client(server->port());
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.response().status, 100);
  client.send("hi");
  EXPECT_EQ(client.response().body, "POST /a hi");
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n");
  EXPECT_EQ(client.response().status, 413) << "and it isn't invited";
}

TEST(HttpServer, bounds_the_body) {
  const auto server = serve(echo, with([](HttpLimits& limits) { limits.body_bytes = 1000; }));
  const auto status_of = [&](const std::string& request) {
    RawClient client(server->port());
    client.send(request);
    const RawResponse response = client.response();
    client.receive_all();
    EXPECT_EQ(client.ended(), response.status != 200);
    return response.status;
  };
  const std::string chunked = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  RawClient client(server->port());
  client.send(post(std::string(1000, 'x')));
  EXPECT_EQ(client.response().status, 200);
  client.send(chunked + "3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(client.response().status, 200);
  EXPECT_EQ(status_of(post(std::string(1001, 'x'))), 413);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n"),
            413);
  EXPECT_EQ(status_of(chunked + "3e9\r\n"), 413);
  EXPECT_EQ(status_of(chunked + "3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\nx"), 413);
  EXPECT_EQ(status_of(chunked + "ffffffffffffffff\r\n"), 413);
}

TEST(HttpServer, bounds_the_bodies_of_all_together) {
  HttpServerOptions options = with([](HttpLimits& limits) { limits.body_bytes_total = 1000; });
  options.probe = std::make_shared<HttpProbe>();
  const auto server = serve(echo, options);
  RawClient slow(server->port());
  slow.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return options.probe->body_bytes == 600; }));
  RawClient other(server->port());
  other.send(post(std::string(600, 'x')));
  EXPECT_EQ(other.response().status, 503);
  slow.send(std::string(600, 'x'));
  EXPECT_EQ(slow.response().status, 200);
  EXPECT_TRUE(eventually([&] { return options.probe->body_bytes == 0; }));
}

TEST(HttpServer, refuses_chunks_that_can_be_read_in_two_ways) {
  const auto server = serve(echo);
  for (const std::string_view body :
       {"0x5\r\nhello\r\n0\r\n\r\n",    "5_0\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",     "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",     "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",        "5\r\nhelloX\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",       ";x\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",    "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;\x01\r\nhello\r\n0\r\n\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",      "0\r\nX : y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",           "0\r\nX: y\nZ: w\r\n\r\n"}) {
    RawClient client(server->port());
    client.send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                std::string(body));
    client.finish_sending();
    const std::string answers = client.receive_all();
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(answers.find("HTTP/1.1 200"), std::string::npos) << body;
  }
}

TEST(HttpServer, refuses_a_head_that_is_too_large) {
  const auto server = serve(echo);
  for (const std::string& request :
       {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(1 << 20, 'x'),
        "GET /" + std::string(1 << 20, 'x'), std::string(1 << 20, 'x')}) {
    RawClient client(server->port());
    client.send(request);  // may fail: the server needn't read it all
    EXPECT_EQ(client.response().status, 431);
  }
}

TEST(HttpServer, drops_who_is_late_with_the_head) {
  const auto server = serve(echo, with([](HttpLimits& limits) {
                              limits.header_time = 100ms;
                              limits.idle_time = 300ms;
                            }));
  RawClient drip(server->port());
  std::thread sender([&] {  // a byte now and then doesn't move the deadline
    for (const char byte : kGet.substr(0, 20)) {
      if (!drip.send(std::string_view(&byte, 1))) return;
      std::this_thread::sleep_for(20ms);
    }
  });
  const Instant begun = now();
  EXPECT_EQ(drip.response().status, 408);
  EXPECT_LT(now() - begun, 5s);
  sender.join();
}

TEST(HttpServer, drops_who_is_late_with_the_body) {
  const auto server = serve(echo, with([](HttpLimits& limits) { limits.body_time = 100ms; }));
  for (const std::string_view framing : {"Content-Length: 5", "Transfer-Encoding: chunked"}) {
    RawClient client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(framing) + "\r\n\r\n1");
    EXPECT_EQ(client.response().status, 408);
    client.receive_all();
    EXPECT_TRUE(client.ended());
  }
}

TEST(HttpServer, closes_idle_connections_without_a_word) {
  const auto server = serve(echo, with([](HttpLimits& limits) { limits.idle_time = 100ms; }));
  RawClient fresh(server->port());
  EXPECT_EQ(fresh.receive_all(), "");
  EXPECT_TRUE(fresh.ended());
  RawClient used(server->port());
  used.send(kGet);
  EXPECT_EQ(used.response().status, 200);
  EXPECT_EQ(used.receive_all(), "");
  EXPECT_TRUE(used.ended());
}

TEST(HttpServer, turns_away_one_connection_too_many) {
  HttpServerOptions options = with([](HttpLimits& limits) { limits.connections = 2; });
  options.probe = std::make_shared<HttpProbe>();
  const auto server = serve(echo, options);
  RawClient first(server->port());
  auto second = std::make_unique<RawClient>(server->port());
  ASSERT_TRUE(eventually([&] { return options.probe->open_connections == 2; }));
  RawClient third(server->port());
  EXPECT_EQ(third.response().status, 503);
  second.reset();
  third.close();
  ASSERT_TRUE(eventually([&] { return options.probe->open_connections == 1; }));
  RawClient fourth(server->port());
  fourth.send(kGet);
  EXPECT_EQ(fourth.response().status, 200);
}

TEST(HttpServer, holds_a_thousand_idle_connections) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2200) GTEST_SKIP() << "only " << files.rlim_cur << " open files are allowed";
  HttpServerOptions options;
  options.probe = std::make_shared<HttpProbe>();
  const auto server = serve(echo, options);
  std::vector<RawClient> clients;
  for (int i = 0; i < 1000; ++i) clients.emplace_back(server->port());
  ASSERT_TRUE(eventually([&] { return options.probe->open_connections == 1000; }));
  for (int i : {0, 500, 999}) {
    clients[static_cast<size_t>(i)].send(kGet);
    EXPECT_EQ(clients[static_cast<size_t>(i)].response().status, 200);
  }
  clients.clear();
  EXPECT_TRUE(eventually([&] { return options.probe->open_connections == 0; }));
}

TEST(HttpServer, says_500_for_a_handler_that_fails) {
  int call = 0;
  const auto server = serve([&](HttpExchange&) -> Task<void> {
    if (++call == 1) throw std::runtime_error("on purpose");
    co_return;
  });
  for (int i = 0; i < 2; ++i) {
    RawClient client(server->port());
    client.send(kGet);
    EXPECT_EQ(client.response().status, 500);
  }
}

// Streams what it is told, up to a limit.
struct Streamer {
  size_t pieces;
  bool ends = true;
  std::promise<Status> sent;

  Task<void> operator()(HttpExchange& http) {
    HttpReply head;
    http.begin_stream(std::move(head));
    Status status;
    for (size_t i = 0; i < pieces && status; ++i) {
      std::string piece(1000, 'x');
      status = co_await http.send(std::move(piece));
    }
    if (ends && status) status = co_await http.end_stream();
    sent.set_value(status);
  }
  HttpHandler handler() {
    return [this](HttpExchange& http) { return (*this)(http); };
  }
};

TEST(HttpServer, streams_in_chunks) {
  Streamer streamer{3};
  const auto server = serve(streamer.handler());
  RawClient client(server->port());
  client.send(kGet);
  const RawResponse response = client.response();
  EXPECT_TRUE(response.whole);
  EXPECT_EQ(response.body, std::string(3000, 'x'));
}

TEST(HttpServer, streams_to_the_close_for_http_1_0) {
  Streamer streamer{3};
  const auto server = serve(streamer.handler());
  RawClient client(server->port());
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const RawResponse response = client.response();
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_EQ(response.body, std::string(3000, 'x'));
}

TEST(HttpServer, cuts_a_stream_that_is_not_ended) {
  Streamer streamer{3, false};
  const auto server = serve(streamer.handler());
  RawClient client(server->port());
  client.send(kGet);
  const RawResponse response = client.response();
  EXPECT_FALSE(response.whole);
  EXPECT_TRUE(client.ended());
}

TEST(HttpServer, gives_up_a_reader_that_stalls) {
  Streamer streamer{1 << 20};
  HttpServerOptions options = with([](HttpLimits& limits) { limits.write_stall = 100ms; });
  options.send_buffer_bytes = 16 << 10;
  options.probe = std::make_shared<HttpProbe>();
  const auto server = serve(streamer.handler(), options);
  RawClient client(server->port(), 4096);
  client.send(kGet);
  auto sent = streamer.sent.get_future();
  ASSERT_EQ(sent.wait_for(10s), std::future_status::ready);
  const Status status = sent.get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDeadline);
  EXPECT_EQ(options.probe->writes_stalled, 1);
  EXPECT_TRUE(eventually([&] { return options.probe->open_connections == 0; }));
}

// A handler that waits until its client leaves.
struct Waiter {
  Channel<int> left{2};
  std::promise<void> waiting;
  std::promise<void> done;

  Task<void> operator()(HttpExchange& http) {
    http.when_client_leaves([this] { left.push(1); });
    waiting.set_value();
    const std::optional<int> event = co_await left.next(now() + 10s);
    EXPECT_TRUE(event.has_value());
    EXPECT_TRUE(http.client_left());
    done.set_value();
  }
  HttpHandler handler() {
    return [this](HttpExchange& http) { return (*this)(http); };
  }
};

TEST(HttpServer, notices_that_the_client_left_while_nothing_is_sent) {
  for (const int how : {0, 1, 2, 3}) {
    Waiter waiter;
    const auto server = serve(waiter.handler());
    RawClient client(server->port());
    client.send(kGet);
    waiter.waiting.get_future().wait();
    if (how == 1) client.send(kGet);  // bytes of a next request don't hide it
    if (how == 2) client.finish_sending();
    if (how == 3) client.reset();
    if (how < 2) client.close();
    EXPECT_EQ(waiter.done.get_future().wait_for(10s), std::future_status::ready) << how;
  }
}

TEST(HttpServer, goes_on_with_what_came_while_it_was_watching) {
  Channel<int> go(1);
  std::promise<void> waiting;
  bool first = true;
  const auto server = serve([&](HttpExchange& http) -> Task<void> {
    if (std::exchange(first, false)) {
      http.when_client_leaves([] { ADD_FAILURE(); });
      waiting.set_value();
      const std::optional<int> event = co_await go.next(now() + 10s);
      EXPECT_TRUE(event);
    }
    co_await echo(http);
  });
  RawClient client(server->port());
  client.send(kGet);
  waiting.get_future().wait();
  client.send(post("next") + post("last"));
  go.push(1);
  EXPECT_EQ(client.response().body, "GET /a ");
  EXPECT_EQ(client.response().body, "POST /a next");
  EXPECT_EQ(client.response().body, "POST /a last");
}

TEST(HttpServer, drains_what_runs_and_closes_what_is_idle) {
  Channel<int> go(1);
  std::promise<void> waiting;
  const auto server = serve([&](HttpExchange& http) -> Task<void> {
    waiting.set_value();
    const std::optional<int> event = co_await go.next(now() + 10s);
    EXPECT_TRUE(event);
    co_await echo(http);
  });
  RawClient idle(server->port());
  RawClient running(server->port());
  running.send(kGet);
  waiting.get_future().wait();
  auto drained = std::async(std::launch::async, [&] { return server->drain(now() + 10s); });
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_TRUE(idle.ended());
  EXPECT_EQ(drained.wait_for(0s), std::future_status::timeout);
  go.push(1);
  const RawResponse response = running.response();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Connection"), "close");
  running.close();
  EXPECT_TRUE(drained.get());
  EXPECT_FALSE(RawClient(server->port()).connected());
}

TEST(HttpServer, cuts_off_what_outlives_the_drain) {
  Waiter waiter;
  const auto server = serve(waiter.handler());
  RawClient client(server->port());
  client.send(kGet);
  waiter.waiting.get_future().wait();
  EXPECT_TRUE(server->drain(now() + 50ms));
  EXPECT_EQ(waiter.done.get_future().wait_for(0s), std::future_status::ready);
  client.receive_all();
  EXPECT_TRUE(client.ended());
}

TEST(HttpServer, says_when_an_answer_outlives_even_that) {
  Channel<int> never(1);
  std::promise<void> waiting;
  auto server = serve([&](HttpExchange&) -> Task<void> {
    waiting.set_value();
    const std::optional<int> event = co_await never.next();
    (void)event;
  });
  RawClient client(server->port());
  client.send(kGet);
  waiting.get_future().wait();
  const Status drained = server->drain(now(), 50ms);
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().code, Code::kDeadline);
  server.reset();  // and can still be taken down
}

TEST(HttpServer, says_why_it_can_not_listen) {
  const auto server = serve(echo);
  HttpServerOptions taken;
  taken.port = server->port();
  const auto again = HttpServer::listen(taken, echo);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kIo);
  EXPECT_NE(again.error().message.find("in use"), std::string::npos);
  HttpServerOptions elsewhere;
  elsewhere.host = "203.0.113.7";
  const auto foreign = HttpServer::listen(elsewhere, echo);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::kInvalid);
  elsewhere.host = "no such host";
  const auto nowhere = HttpServer::listen(elsewhere, echo);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Code::kInvalid);
}

TEST(HttpServer, serves_an_honest_client_among_a_crowd_that_drips) {
  const auto server = serve(echo, with([](HttpLimits& limits) { limits.header_time = 500ms; }));
  std::vector<RawClient> drips;
  for (int i = 0; i < 200; ++i) {
    drips.emplace_back(server->port());
    drips.back().send("GET / HT");
  }
  const Instant begun = now();
  RawClient honest(server->port());
  for (int i = 0; i < 50; ++i) {
    for (RawClient& drip : drips) drip.send("T");
    honest.send(kGet);
    EXPECT_EQ(honest.response().status, 200);
  }
  EXPECT_LT(now() - begun, 10s);
  for (RawClient& drip : drips) {
    drip.receive_all();
    EXPECT_TRUE(drip.ended());
  }
}

TEST(HttpServer, works_with_several_threads) {
  HttpServerOptions options;
  options.io_threads = 3;
  const auto server = serve(echo, options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        RawClient client(server->port());
        const std::string body = std::to_string(t) + ":" + std::to_string(i);
        client.send(post(body) + post(body));
        EXPECT_EQ(client.response().body, "POST /a " + body);
        if (i % 3 == 0) continue;
        EXPECT_EQ(client.response().body, "POST /a " + body);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(server->drain(now() + 10s));
}

}  // namespace
}  // namespace mill::net
