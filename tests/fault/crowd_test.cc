// Crowds that behave badly, against the whole server with a worker of no numbers: a storm of
// clients that leave at any moment, a thousand that stop reading, a thousand that send a byte now
// and then. Afterwards everything is as it was before: no answer runs, no connection, descriptor or
// body is held, the memory is back.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/log.h"
#include "base/rng.h"
#include "gateway/gateway.h"
#include "gateway/scripted_worker_for_test.h"
#include "net/raw_client_for_test.h"
#include "step_worker_for_test.h"

namespace mill {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // slow, and its memory says nothing
#else
constexpr bool kSanitized = false;
#endif

// The server, the gateway and the worker, on a free port.
struct Mill {
  Mill(Duration step, net::HttpLimits limits)
      : tokenizer(gateway::tiny_tokenizer()),
        chat_template(gateway::tiny_template()),
        worker(static_cast<TokenId>('x'), step),
        probe(std::make_shared<net::HttpProbe>()) {
    set_log_level(LogLevel::kError);
    gateway::ServedModel model;
    model.id = "tiny";
    model.tokenizer = &tokenizer;
    model.chat_template = &chat_template;
    model.worker = &worker;
    model.context_tokens = 1 << 20;
    gateway::Options options;
    options.probe = probe;
    door = std::make_unique<gateway::Gateway>(std::vector{model}, std::move(options));
    net::HttpServerOptions server_options;
    server_options.limits = limits;
    server_options.send_buffer_bytes = 16 << 10;
    server_options.probe = probe;
    server_options.refusal_reply = gateway::refusal_reply;
    auto listening = net::HttpServer::listen(std::move(server_options), door->handler());
    EXPECT_TRUE(listening.has_value());
    server = std::move(*listening);
    server->start();
  }

  bool at_rest() const {
    return probe->open_connections == 0 && worker.submitted() == worker.finished();
  }
  bool comes_to_rest() const {
    const Instant deadline = now() + 20s;
    while (!at_rest() && now() < deadline) std::this_thread::sleep_for(1ms);
    return at_rest();
  }

  text::Tokenizer tokenizer;
  text::ChatTemplate chat_template;
  StepWorker worker;
  std::shared_ptr<net::HttpProbe> probe;
  std::unique_ptr<gateway::Gateway> door;
  std::unique_ptr<net::HttpServer> server;
};

int64_t open_descriptors() {
  const auto files = std::filesystem::directory_iterator("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

int64_t resident_bytes() {
  int64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * ::getpagesize();
}

std::string chat(int max_tokens, bool stream) {
  const std::string body =
      R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"max_tokens":)" +
      std::to_string(max_tokens) + R"(,"stream":)" + (stream ? "true" : "false") + "}";
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

// One client that leaves at a moment of its choice. False: something was wrong with what it saw.
bool leave(uint16_t port, uint64_t dice) {
  net::RawClient client(port);
  if (!client.connected()) return false;
  const bool stream = (dice >> 8) % 4 != 0;
  const std::string request = chat(1000, stream);
  const auto end = [&] {
    // Mostly a reset: it leaves no port waiting behind.
    if ((dice >> 16) % 8 != 0) client.reset();
    return true;
  };
  switch (dice % 4) {
    case 0:  // in the middle of the request
      client.send(std::string_view(request).substr(0, (dice >> 20) % request.size()));
      return end();
    case 1:  // before the answer
      client.send(request);
      return end();
    case 2:  // at the first token, where there are tokens
      client.send(request);
      if (stream && !client.receive_until("data: ")) return false;
      return end();
    default:  // some tokens later
      client.send(request);
      if (stream && !client.receive_until("\"x\"}")) return false;
      return end();
  }
}

// One that stays: its answer must be its own and whole.
bool stay(uint16_t port) {
  net::RawClient client(port);
  client.send(chat(3, false));
  const net::RawResponse response = client.response();
  return response.status == 200 && response.whole &&
         response.body.find(R"("content":"xxx")") != std::string::npos;
}

// Runs `total` clients on 8 threads, at most `limit` long; gives how many there were.
int64_t storm(uint16_t port, int64_t total, Duration limit, std::atomic<int64_t>& wrong) {
  std::atomic<int64_t> taken{0};
  const Instant deadline = now() + limit;
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int64_t i = taken++; i < total && now() < deadline; i = taken++) {
        const auto dice = philox({static_cast<uint32_t>(i), 0, 0, 0}, {7, 0});
        const bool good = i % 64 == 0 ? stay(port) : leave(port, uint64_t{dice[0]} << 32 | dice[1]);
        if (!good) ++wrong;
      }
    });
  }
  threads.clear();
  return std::min(taken.load(), total);
}

TEST(Crowd, OfClientsThatLeaveAtAnyMomentLeavesNothingBehind) {
  Mill mill(1ms, {});
  std::atomic<int64_t> wrong{0};
  storm(mill.server->port(), 2000, 10s, wrong);  // whatever is made once is made now
  ASSERT_TRUE(mill.comes_to_rest());
  const int64_t descriptors = open_descriptors();
  const int64_t resident = resident_bytes();

  const Instant start = now();
  const int64_t made = storm(mill.server->port(), kSanitized ? 5000 : 100'000, 30s, wrong);
  const double seconds = to_seconds(now() - start);
  EXPECT_TRUE(mill.comes_to_rest()) << mill.probe->open_connections << " connections, "
                                    << mill.worker.load().running << " answers";
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(mill.probe->body_bytes, 0);
  EXPECT_EQ(open_descriptors(), descriptors);
  const int64_t grown = resident_bytes() - resident;
  if (!kSanitized) {
    EXPECT_LT(grown, 16 << 20);
  }
  EXPECT_GE(made, kSanitized ? 500 : 10'000) << "too slow to be called a storm";
  EXPECT_GT(mill.worker.cancelled(), made / 4);
  EXPECT_TRUE(stay(mill.server->port()));
  std::printf("%ld clients in %.1f s, %ld answers cancelled, memory %+.1f MB\n", made, seconds,
              mill.worker.cancelled(), static_cast<double>(grown) / 1e6);
}

// Whether this process may have that many connections to itself; raises its limit.
bool may_have(int connections) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur >= static_cast<rlim_t>(2 * connections + 100);
}

TEST(Crowd, OfReadersThatStallCostsLittleAndIsCutOff) {
  constexpr int kReaders = 1000;
  if (!may_have(kReaders)) GTEST_SKIP() << "this process may not have so many open files";
  net::HttpLimits limits;
  limits.write_stall = 3s;
  Mill mill(10ms, limits);
  ASSERT_TRUE(stay(mill.server->port()));
  ASSERT_TRUE(mill.comes_to_rest());
  const int64_t descriptors = open_descriptors();
  const int64_t resident = resident_bytes();

  int64_t peak = 0;
  {
    std::vector<net::RawClient> readers;
    const std::string request = chat(1 << 19, true);
    for (int i = 0; i < kReaders; ++i) {
      readers.emplace_back(mill.server->port(), 4096);
      readers.back().send(request);
    }
    const Instant deadline = now() + 60s;
    while (mill.probe->writes_stalled < kReaders && now() < deadline) {
      peak = std::max(peak, resident_bytes() - resident);
      std::this_thread::sleep_for(20ms);
    }
    EXPECT_EQ(mill.probe->writes_stalled, kReaders);
    EXPECT_TRUE(mill.comes_to_rest());
    EXPECT_TRUE(stay(mill.server->port()));
  }
  EXPECT_TRUE(mill.comes_to_rest());
  EXPECT_EQ(open_descriptors(), descriptors);
  // A reader costs its connection, one write of events and what was milled while it stalled.
  if (!kSanitized) {
    EXPECT_LT(peak, int64_t{kReaders} * (128 << 10));
  }
  std::printf("%d readers, at most %.1f KB each\n", kReaders,
              static_cast<double>(peak) / kReaders / 1e3);
}

TEST(Crowd, OfSlowSendersDelaysNobodyAndIsTurnedAway) {
  constexpr int kSenders = 1000;
  if (!may_have(kSenders)) GTEST_SKIP() << "this process may not have so many open files";
  net::HttpLimits limits;
  limits.header_time = 3s;
  limits.body_time = 3s;
  limits.linger_time = 100ms;
  Mill mill(1ms, limits);
  ASSERT_TRUE(stay(mill.server->port()));
  ASSERT_TRUE(mill.comes_to_rest());
  const int64_t descriptors = open_descriptors();

  std::vector<net::RawClient> senders;
  const std::string request = chat(3, false);
  const size_t body = request.find("\r\n\r\n") + 4;
  const Instant start = now();
  for (int i = 0; i < kSenders; ++i) {
    senders.emplace_back(mill.server->port());
    // Half of them stop in the head, half in the body.
    senders.back().send(std::string_view(request).substr(0, i % 2 == 0 ? 4 : body));
  }
  Duration slowest{};
  for (size_t byte = 0; byte < 20; ++byte) {
    for (size_t i = 0; i < senders.size(); ++i) {
      const size_t at = (i % 2 == 0 ? 4 : body) + byte;
      senders[i].send(std::string_view(request).substr(at, 1));
    }
    const Instant asked = now();
    EXPECT_TRUE(stay(mill.server->port()));
    slowest = std::max(slowest, now() - asked);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_LT(slowest, kSanitized ? 5s : 1s);
  int late = 0;
  for (net::RawClient& sender : senders) late += sender.response().status == 408;
  const Duration taken = now() - start;
  EXPECT_EQ(late, kSenders);
  EXPECT_LT(taken, 15s) << "a byte now and then must not buy time";
  senders.clear();
  EXPECT_TRUE(mill.comes_to_rest());
  EXPECT_EQ(mill.probe->body_bytes, 0);
  EXPECT_EQ(open_descriptors(), descriptors);
  std::printf("%d slow senders gone after %.1f s; the slowest honest answer took %.0f ms\n",
              kSenders, to_seconds(taken), to_seconds(slowest) * 1e3);
}

}  // namespace
}  // namespace mill
