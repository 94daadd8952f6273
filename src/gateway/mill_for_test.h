// A whole mill but for the model: HTTP server, gateway and a scripted worker, on a free port of the
// loopback.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/scripted_worker_for_test.h"
#include "net/raw_client_for_test.h"

namespace mill::gateway {

struct MillForTest {
  struct Setup {
    Options options;
    net::HttpServerOptions server;
    int32_t context_tokens = 512;
    bool add_bos = false;
  };

  explicit MillForTest(ScriptedWorker::Choose choose) : MillForTest(std::move(choose), Setup()) {}
  MillForTest(ScriptedWorker::Choose choose, Setup setup)
      : tokenizer(tiny_tokenizer(setup.add_bos)),
        chat_template(tiny_template()),
        worker(tokenizer, std::move(choose)) {
    set_log_level(LogLevel::kError);
    auto probe = std::make_shared<net::HttpProbe>();
    setup.options.probe = probe;
    setup.options.limits.answers = 8;
    std::vector<ServedModel> models(2);
    models[0].id = "org/tiny";
    models[0].chat_template = &chat_template;
    models[1].id = "base";
    for (ServedModel& model : models) {
      model.tokenizer = &tokenizer;
      model.worker = &worker;
      model.context_tokens = setup.context_tokens;
      model.created = 1700000000;
    }
    gateway = std::make_unique<Gateway>(std::move(models), std::move(setup.options));
    setup.server.probe = probe;
    setup.server.refusal_reply = refusal_reply;
    auto listening = net::HttpServer::listen(std::move(setup.server), gateway->handler());
    EXPECT_TRUE(listening.has_value());
    server = std::move(*listening);
    server->start();
  }

  net::RawClient client() const { return net::RawClient(server->port()); }

  // One request over a connection of its own.
  net::RawResponse post(const std::string& path, const std::string& body) const {
    net::RawClient connection = client();
    connection.send(request("POST", path, body));
    return connection.response();
  }
  net::RawResponse get(const std::string& path) const {
    net::RawClient connection = client();
    connection.send(request("GET", path, ""));
    return connection.response();
  }
  static std::string request(const std::string& method, const std::string& path,
                             const std::string& body, const std::string& headers = "") {
    std::string bytes = method + " " + path + " HTTP/1.1\r\nHost: test\r\n" + headers;
    if (!body.empty() || method == "POST") {
      bytes += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n";
    }
    return bytes + "\r\n" + body;
  }

  text::Tokenizer tokenizer;
  text::ChatTemplate chat_template;
  ScriptedWorker worker;
  std::unique_ptr<Gateway> gateway;
  std::unique_ptr<net::HttpServer> server;
};

// Always the same words.
inline ScriptedWorker::Choose says(std::string text) {
  return [text](const work::Order&) {
    Script script;
    script.say = text;
    return script;
  };
}

// The data of the events of a stream, "[DONE]" included; comments are left out.
inline std::vector<std::string> events_of(const std::string& body) {
  std::vector<std::string> events;
  size_t at = 0;
  while (at < body.size()) {
    const size_t end = body.find("\n\n", at);
    const std::string event = body.substr(at, end - at);
    if (event.starts_with("data: ")) events.push_back(event.substr(6));
    if (end == std::string::npos) break;
    at = end + 2;
  }
  return events;
}

}  // namespace mill::gateway
