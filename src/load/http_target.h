// A load on a server that speaks the OpenAI API: this one, llama-server, vLLM and others.
//
// Every request asks for a stream with its usage at the end. Prompts of /v1/completions are arrays
// of token ids, so that they are as long as asked to the token; for servers that take text alone,
// and for chat, they are words whose cost is measured first (measure_words).
#pragma once

#include <cstdint>
#include <string>

#include "load/prompt.h"
#include "load/target.h"
#include "net/http_client.h"

namespace mill::load {

enum class Endpoint { kCompletions, kChat };

struct HttpTargetOptions {
  net::HttpUrl server;  // http://host:port or http://host:port/v1
  net::HttpClientLimits limits;
  std::string api_key;  // sent as a bearer's; empty: none
  std::string model;
  Endpoint endpoint = Endpoint::kCompletions;
  bool as_text = false;  // always so for chat
  IdRange ids{.first = 0, .end = 1};
  WordCost words;
  uint64_t seed = 1;
  double temperature = 0;
  bool ignore_eos = true;     // sends "ignore_eos": answers are as long as asked
  bool unique_salts = false;  // sends a "cache_salt" of its own with each request
  std::string extra;          // a JSON object whose members go into every body, and win; or ""
};

class HttpTarget final : public Target {
 public:
  // Fails with kInvalid when `extra` is no JSON object.
  static Result<HttpTarget> make(HttpTargetOptions options);

  Task<Result<Reply>> ask(Ask ask, Instant deadline) override;

  // What words cost there: two short prompts, and the prompt_tokens of their usage. Takes the
  // answer as the cost from now on. Fails as ask() does, and with kUnsupported when no usage comes.
  Task<Status> measure_words(Instant deadline);

  // The ids of its models, and (where it tells, as llama-server does) how many tokens the first
  // knows; 0: it does not tell.
  struct Models {
    std::vector<std::string> ids;
    int64_t vocabulary = 0;
  };
  Task<Result<Models>> models(Instant deadline);

  HttpTargetOptions& options() { return options_; }

 private:
  explicit HttpTarget(HttpTargetOptions options);
  std::string body_of(const Ask& ask) const;
  std::vector<net::Header> headers() const;

  HttpTargetOptions options_;
  std::string target_prefix_;  // "/v1", or "" where the server's address ends with it
  std::unique_ptr<net::HttpClient> client_;
};

}  // namespace mill::load
