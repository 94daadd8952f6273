// The gateway with a worker that follows a script, for clients in other languages to be tested
// against.
//
//   mill_scripted_server     prints its port as one line, serves until its standard input ends,
//   then drains
//
// What is said follows from the prompt: "count" brings six numbers, "unicode" characters of several
// bytes, "fail" a fault after three tokens, "forever" words without an end, "empty" nothing, "busy"
// a full queue that will have room in 6.5 s, "cached" a usage with 16 cached tokens, 2 right
// guesses and 5 wrong ones; anything else "Hello world".
#include <cstdio>
#include <iostream>
#include <string>

#include "gateway/gateway.h"
#include "gateway/scripted_worker_for_test.h"
#include "net/http_server.h"

namespace mill::gateway {
namespace {

Script script_for(const text::Tokenizer& tokenizer, const work::Order& order) {
  std::string prompt;
  for (const TokenId id : order.prompt) prompt += tokenizer.bytes(id);
  const auto has = [&](std::string_view word) { return prompt.find(word) != std::string::npos; };
  Script script;
  script.say = "Hello world";
  if (has("count")) script.say = " one two three four five six";
  if (has("unicode")) script.say = "é日本ü";
  if (has("empty")) script.say = "";
  if (has("forever") || has("fail")) {
    script.say = " cat";
    script.forever = true;
    script.pace = std::chrono::milliseconds(2);
  }
  if (has("fail")) script.fault_at = 3;
  if (has("busy")) script.refuse = Error{Code::kOverloaded, "the queue is full", ""};
  if (has("cached"))
    script.usage = {.cached_tokens = 16, .accepted_drafts = 2, .rejected_drafts = 5};
  return script;
}

int serve() {
  const text::Tokenizer tokenizer = tiny_tokenizer();
  const text::ChatTemplate chat_template = tiny_template();
  ScriptedWorker worker(tokenizer,
                        [&](const work::Order& order) { return script_for(tokenizer, order); });
  worker.set_drain_seconds(6.5);
  ServedModel model;
  model.id = "org/tiny";
  model.tokenizer = &tokenizer;
  model.chat_template = &chat_template;
  model.worker = &worker;
  model.context_tokens = 2048;
  model.created = unix_seconds();
  Options options;
  auto probe = std::make_shared<net::HttpProbe>();
  options.probe = probe;
  Gateway gateway({model}, options);
  net::HttpServerOptions server_options;
  server_options.probe = probe;
  server_options.refusal_reply = refusal_reply;
  auto server = net::HttpServer::listen(server_options, gateway.handler());
  if (!server) {
    std::cerr << server.error().message << "\n";
    return 1;
  }
  (*server)->start();
  std::cout << (*server)->port() << std::endl;
  while (std::getchar() != EOF) {
  }
  gateway.begin_drain();
  return (*server)->drain(now() + std::chrono::seconds(5)) ? 0 : 1;
}

}  // namespace
}  // namespace mill::gateway

int main() {
  return mill::gateway::serve();
}
