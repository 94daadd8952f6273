#include "load/http_target.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <mutex>

#include "base/log.h"
#include "load/drive.h"
#include "load/summary.h"
#include "load/workload.h"
#include "net/http_server.h"

namespace mill::load {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

std::string event(const json::value& value) {
  return "data: " + json::serialize(value) + "\n\n";
}

// A server that answers as OpenAI's does: as many tokens as asked, a prompt as long as it was sent
// (a word costs two tokens, and a chat five more).
class FakeServer {
 public:
  explicit FakeServer(net::HttpHandler handler = nullptr) {
    set_log_level(LogLevel::kError);
    auto listening = net::HttpServer::listen(
        {}, handler ? std::move(handler) : [this](net::HttpExchange& http) { return serve(http); });
    EXPECT_TRUE(listening);
    server_ = std::move(*listening);
    server_->start();
  }

  net::HttpUrl url() const { return {.host = "127.0.0.1", .port = server_->port()}; }
  std::vector<json::object> bodies() {
    std::lock_guard lock(mutex_);
    return bodies_;
  }
  std::vector<std::string> keys() {
    std::lock_guard lock(mutex_);
    return keys_;
  }

 private:
  static int64_t tokens_of(const json::object& body) {
    if (const json::value* messages = body.if_contains("messages")) {
      const auto& text = messages->at(0).at("content").as_string();
      return 5 + 2 * (std::count(text.begin(), text.end(), ' ') + 1);
    }
    const json::value& prompt = body.at("prompt");
    if (prompt.is_array()) return static_cast<int64_t>(prompt.as_array().size());
    const auto& text = prompt.as_string();
    return 2 * (std::count(text.begin(), text.end(), ' ') + 1);
  }

  Task<void> serve(net::HttpExchange& http) {
    if (http.request().method == "GET") {
      net::HttpReply list{.status = 200, .content_type = "application/json"};
      list.body = R"({"data":[{"id":"one","meta":{"n_vocab":4000}},{"id":"two"}]})";
      const Status listed = co_await http.reply(std::move(list));
      (void)listed;
      co_return;
    }
    json::object body = json::parse(http.request().body).as_object();
    const bool chat = http.request().target == "/v1/chat/completions";
    EXPECT_TRUE(chat || http.request().target == "/v1/completions") << http.request().target;
    {
      std::lock_guard lock(mutex_);
      bodies_.push_back(body);
      keys_.emplace_back(http.request().header("authorization").value_or(""));
    }
    http.begin_stream({.status = 200, .content_type = "text/event-stream"});
    const int64_t count = body.at("max_tokens").as_int64();
    for (int64_t i = 0; i < count; ++i) {
      json::object choice{{"index", 0}, {"finish_reason", nullptr}};
      if (chat) {
        choice["delta"] = json::object{{"content", "t "}};
      } else {
        choice["text"] = "t ";
      }
      std::string one = event({{"choices", {choice}}});
      const Status sent = co_await http.send(std::move(one));
      if (!sent) co_return;
    }
    std::string last =
        event({{"choices", {{{"index", 0}, {"text", ""}, {"finish_reason", "length"}}}}});
    last += event({{"choices", json::array()},
                   {"usage", {{"prompt_tokens", tokens_of(body)}, {"completion_tokens", count}}}});
    last += "data: [DONE]\n\n";
    const Status sent = co_await http.send(std::move(last));
    if (!sent) co_return;
    const Status ended = co_await http.end_stream();
    (void)ended;
  }

  std::mutex mutex_;
  std::vector<json::object> bodies_;
  std::vector<std::string> keys_;
  std::unique_ptr<net::HttpServer> server_;
};

HttpTarget target_at(const FakeServer& server, HttpTargetOptions options = {}) {
  options.server = server.url();
  options.model = "one";
  options.ids = {.first = 10, .end = 4000};
  auto target = HttpTarget::make(std::move(options));
  EXPECT_TRUE(target);
  return std::move(*target);
}

AskSource requests(int64_t count, int32_t prompt = 100) {
  return synthetic({.prompt = {.low = prompt}, .output = {.low = 6}, .requests = count});
}

TEST(HttpTarget, asks_with_ids_and_reads_the_stream) {
  FakeServer server;
  net::EventLoop loop;
  HttpTarget target = target_at(server, {.api_key = "k"});
  const RunLog run = drive(loop, target, requests(20), {.clients = 4});
  ASSERT_EQ(run.records.size(), 20);
  for (const Record& record : run.records) {
    ASSERT_TRUE(record.ok) << record.failure;
    EXPECT_EQ(record.reply.prompt_tokens, 100);
    EXPECT_EQ(record.reply.completion_tokens, 6);
    EXPECT_EQ(record.reply.pieces.size(), 6);
    EXPECT_EQ(record.reply.text, "t t t t t t ");
    EXPECT_EQ(record.reply.finish_reason, "length");
  }
  const json::object body = server.bodies().front();
  EXPECT_EQ(body.at("model").as_string(), "one");
  EXPECT_EQ(body.at("temperature").to_number<double>(), 0);
  EXPECT_TRUE(body.at("stream").as_bool());
  EXPECT_TRUE(body.at("stream_options").at("include_usage").as_bool());
  EXPECT_TRUE(body.at("ignore_eos").as_bool());
  EXPECT_FALSE(body.contains("cache_salt"));
  EXPECT_EQ(server.keys().front(), "Bearer k");
}

TEST(HttpTarget, words_are_measured_and_come_out_as_long_as_asked) {
  FakeServer server;
  for (const Endpoint endpoint : {Endpoint::kCompletions, Endpoint::kChat}) {
    net::EventLoop loop;
    HttpTarget target = target_at(server, {.endpoint = endpoint, .as_text = true});
    std::optional<Status> measured;
    loop.start([](HttpTarget& at, std::optional<Status>& into) -> Task<void> {
      into = co_await at.measure_words(now() + 10s);
    }(target, measured));
    loop.run();
    ASSERT_TRUE(*measured) << measured->error().message;
    EXPECT_DOUBLE_EQ(target.options().words.tokens_per_word, 2);
    const int64_t wanted = endpoint == Endpoint::kChat ? 105 : 100;
    const RunLog run =
        drive(loop, target, requests(2, static_cast<int32_t>(wanted)), {.clients = 1});
    for (const Record& record : run.records) {
      ASSERT_TRUE(record.ok) << record.failure;
      EXPECT_EQ(record.reply.prompt_tokens, wanted);
    }
  }
}

TEST(HttpTarget, bodies_carry_what_was_asked_besides) {
  FakeServer server;
  net::EventLoop loop;
  HttpTarget target = target_at(server, {.temperature = 0.5,
                                         .ignore_eos = false,
                                         .unique_salts = true,
                                         .extra = R"({"speculate":false,"max_tokens":2})"});
  const RunLog run = drive(loop, target, requests(2), {.clients = 1});
  EXPECT_EQ(run.records[0].reply.completion_tokens, 2) << "what is added wins";
  const auto bodies = server.bodies();
  EXPECT_FALSE(bodies[0].at("speculate").as_bool());
  EXPECT_FALSE(bodies[0].contains("ignore_eos"));
  EXPECT_TRUE(bodies[0].contains("seed"));
  EXPECT_NE(bodies[0].at("cache_salt"), bodies[1].at("cache_salt"));
  for (const std::string_view wrong : {"x", "[]", "{"}) {
    EXPECT_FALSE(HttpTarget::make({.extra = std::string(wrong)})) << wrong;
  }
}

TEST(HttpTarget, lists_models) {
  FakeServer server;
  net::EventLoop loop;
  HttpTarget target = target_at(server);
  std::optional<Result<HttpTarget::Models>> models;
  loop.start([](HttpTarget& at, std::optional<Result<HttpTarget::Models>>& into) -> Task<void> {
    into = co_await at.models(now() + 10s);
  }(target, models));
  loop.run();
  ASSERT_TRUE(*models) << models->error().message;
  EXPECT_EQ((*models)->ids, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ((*models)->vocabulary, 4000);
}

// Answers every request with `reply`.
FakeServer saying(net::HttpReply reply) {
  return FakeServer([reply](net::HttpExchange& http) -> Task<void> {
    net::HttpReply copy = reply;
    const Status sent = co_await http.reply(std::move(copy));
    (void)sent;
  });
}

TEST(HttpTarget, refusals_are_failures_with_the_servers_words) {
  const struct {
    net::HttpReply reply;
    std::string_view failure;
  } cases[] = {{{.status = 503, .body = R"({"error":{"message":"the queue is full"}})"},
                "overloaded: HTTP 503: the queue is full"},
               {{.status = 429, .body = "slow down"}, "overloaded: HTTP 429: slow down"},
               {{.status = 400, .body = R"({"error":{"message":"no such member"}})"},
                "invalid: HTTP 400: no such member"},
               {{.status = 500, .body = "<html>"}, "internal: HTTP 500: <html>"},
               {{.status = 200, .content_type = "text/html", .body = "<html>"},
                "io: the stream ended before the answer did"},
               {{.status = 200, .body = "data: {\"error\":{\"message\":\"it broke\"}}\n\n"},
                "internal: an error in the stream: it broke"}};
  for (const auto& [reply, failure] : cases) {
    FakeServer server = saying(reply);
    net::EventLoop loop;
    HttpTarget target = target_at(server);
    const RunLog run = drive(loop, target, requests(3), {.clients = 1});
    ASSERT_EQ(run.records.size(), 3);
    for (const Record& record : run.records) EXPECT_EQ(record.failure, failure);
  }
}

TEST(HttpTarget, a_stream_that_is_cut_or_never_ends_is_a_failure) {
  for (const bool hang : {false, true}) {
    FakeServer server([hang](net::HttpExchange& http) -> Task<void> {
      http.begin_stream({.status = 200, .content_type = "text/event-stream"});
      std::string one = event({{"choices", {{{"text", "t"}}}}});
      const Status sent = co_await http.send(std::move(one));
      (void)sent;
      while (hang && !http.client_left()) {
        co_await net::sleep_until(now() + 1ms);
      }
    });
    net::EventLoop loop;
    HttpTarget target = target_at(server);
    const RunLog run = drive(loop, target, requests(1), {.clients = 1, .patience = 200ms});
    ASSERT_EQ(run.records.size(), 1);
    EXPECT_FALSE(run.records[0].ok);
    EXPECT_EQ(run.records[0].failure,
              hang ? "deadline: the answer took longer than allowed"
                   : "io: the connection was cut in the middle of an answer");
  }
}

}  // namespace
}  // namespace mill::load
