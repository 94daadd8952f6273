#include "load/http_target.h"

#include <boost/json.hpp>
#include <iterator>
#include <utility>

#include "load/sse_answer.h"

namespace mill::load {
namespace {

namespace json = boost::json;

constexpr int32_t kFewWords = 16, kManyWords = 272;  // of the prompts that measure what words cost

std::string array_of(const std::vector<TokenId>& ids) {
  std::string text = "[";
  for (const TokenId id : ids) {
    if (text.size() > 1) text += ',';
    text += std::to_string(id);
  }
  return text + "]";
}

// "HTTP 503: the server's words".
Error refusal(const net::HttpAnswer& answer) {
  const Code code = answer.status == 429 || answer.status == 503 ? Code::kOverloaded
                    : answer.status / 100 == 4                   ? Code::kInvalid
                                                                 : Code::kInternal;
  std::string words;
  boost::system::error_code error;
  const json::value body = json::parse(answer.body, error);
  if (!error && body.is_object()) {
    const json::value* fault = body.get_object().if_contains("error");
    const json::object* inner = fault == nullptr ? nullptr : fault->if_object();
    const json::value* message = inner == nullptr ? nullptr : inner->if_contains("message");
    if (message != nullptr && message->is_string()) words = message->get_string();
  }
  if (words.empty()) words = answer.body.substr(0, 200);
  return {code, "HTTP " + std::to_string(answer.status) + ": " + words, ""};
}

}  // namespace

HttpTarget::HttpTarget(HttpTargetOptions options) : options_(std::move(options)) {
  target_prefix_ = options_.server.path.ends_with("/v1") ? "" : "/v1";
  client_ = std::make_unique<net::HttpClient>(options_.server, options_.limits);
}

Result<HttpTarget> HttpTarget::make(HttpTargetOptions options) {
  if (!options.extra.empty()) {
    boost::system::error_code error;
    const json::value value = json::parse(options.extra, error);
    if (error || !value.is_object()) {
      return fail(Code::kInvalid, "the members to add to every body are no JSON object", "body");
    }
  }
  if (options.endpoint == Endpoint::kChat) options.as_text = true;
  return HttpTarget(std::move(options));
}

std::vector<net::Header> HttpTarget::headers() const {
  std::vector<net::Header> headers{{"Content-Type", "application/json"},
                                   {"Accept", "text/event-stream"}};
  if (!options_.api_key.empty()) headers.push_back({"Authorization", "Bearer " + options_.api_key});
  return headers;
}

std::string HttpTarget::body_of(const Ask& ask) const {
  json::object rest{{"model", options_.model},
                    {"max_tokens", ask.output_tokens},
                    {"temperature", options_.temperature},
                    {"stream", true},
                    {"stream_options", {{"include_usage", true}}}};
  if (options_.temperature > 0) {
    rest["seed"] = static_cast<int64_t>(options_.seed % (1U << 31)) + ask.index;
  }
  if (options_.ignore_eos) rest["ignore_eos"] = true;
  if (options_.unique_salts) {
    rest["cache_salt"] = "load-" + std::to_string(options_.seed) + "-" + std::to_string(ask.index);
  }
  std::string prompt;  // its member of the body
  if (options_.endpoint == Endpoint::kChat) {
    rest["messages"] = json::array{
        {{"role", "user"}, {"content", prompt_words(ask, options_.words, options_.seed)}}};
  } else if (options_.as_text || !ask.text.empty()) {
    rest["prompt"] = prompt_words(ask, options_.words, options_.seed);
  } else {
    prompt = "\"prompt\":" + array_of(prompt_ids(ask, options_.ids, options_.seed)) + ",";
  }
  if (!options_.extra.empty()) {
    boost::system::error_code error;
    const json::value extra = json::parse(options_.extra, error);
    for (const auto& member : extra.as_object()) rest[member.key()] = member.value();
  }
  return "{" + prompt + json::serialize(rest).substr(1);
}

Task<Result<Reply>> HttpTarget::ask(Ask ask, Instant deadline) {
  SseAnswer answer;
  net::HttpClient::Call call{
      .method = "POST",
      .target = target_prefix_ +
                (options_.endpoint == Endpoint::kChat ? "/chat/completions" : "/completions"),
      .headers = headers(),
      .body = body_of(ask),
      .deadline = deadline,
      .reader = [&answer](std::string_view bytes) { return answer.feed(bytes, now()); }};
  MILL_CO_TRY(const net::HttpAnswer http, co_await client_->send(std::move(call)));
  if (http.status / 100 != 2) co_return fail(refusal(http));
  co_return answer.finish(now());
}

Task<Status> HttpTarget::measure_words(Instant deadline) {
  int64_t tokens[2] = {};
  const int32_t words[2] = {kFewWords, kManyWords};
  options_.words = {};
  for (int i = 0; i < 2; ++i) {
    Ask probe{.index = -1 - i, .output_tokens = 1};
    probe.segments.push_back({kOwnSource - 1 - static_cast<uint32_t>(i), words[i]});
    MILL_CO_TRY(const Reply reply, co_await ask(std::move(probe), deadline));
    if (!reply.counted || reply.prompt_tokens <= 0) {
      co_return fail(Code::kUnsupported,
                     "the server tells no usage for streams: how long its prompts are in tokens "
                     "can't be known");
    }
    tokens[i] = reply.prompt_tokens;
  }
  if (tokens[1] <= tokens[0]) {
    co_return fail(Code::kCorrupt, "the server counts no more tokens for a longer prompt");
  }
  options_.words.tokens_per_word =
      static_cast<double>(tokens[1] - tokens[0]) / (kManyWords - kFewWords);
  options_.words.overhead =
      static_cast<double>(tokens[0]) - kFewWords * options_.words.tokens_per_word;
  co_return Status{};
}

Task<Result<HttpTarget::Models>> HttpTarget::models(Instant deadline) {
  net::HttpClient::Call call{
      .target = target_prefix_ + "/models", .headers = headers(), .deadline = deadline};
  MILL_CO_TRY(const net::HttpAnswer http, co_await client_->send(std::move(call)));
  if (http.status / 100 != 2) co_return fail(refusal(http));
  boost::system::error_code error;
  const json::value value = json::parse(http.body, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* data = object == nullptr ? nullptr : object->if_contains("data");
  if (data == nullptr || !data->is_array()) {
    co_return fail(Code::kCorrupt, "the answer to GET /v1/models is no list of models");
  }
  Models models;
  for (const json::value& item : data->get_array()) {
    const json::object* model = item.if_object();
    const json::value* id = model == nullptr ? nullptr : model->if_contains("id");
    if (id == nullptr || !id->is_string()) continue;
    models.ids.emplace_back(id->get_string());
    const json::value* meta = model->if_contains("meta");
    const json::value* size =
        meta != nullptr && meta->is_object() ? meta->get_object().if_contains("n_vocab") : nullptr;
    if (size != nullptr && size->is_int64() && models.vocabulary == 0) {
      models.vocabulary = size->get_int64();
    }
  }
  co_return models;
}

}  // namespace mill::load
