#include "gateway/gateway.h"

#include <algorithm>

#include "base/log.h"
#include "gateway/reply_headers.h"
#include "gateway/routes.h"
#include "gateway/stations.h"

namespace mill::gateway {
namespace {

double milliseconds(Duration duration) {
  return to_seconds(duration) * 1e3;
}

void log_request(const net::HttpExchange& http, const RequestRecord& record, const Status& served) {
  LogLine line = log_info("request");
  line.add("method", std::string_view(http.request().method).substr(0, 32))
      .add("path", http.request().path().substr(0, 256))
      .add("status", record.status)
      .add("request_id", http.id())
      .add("duration_ms", milliseconds(now() - http.received()));
  if (!record.model.empty()) line.add("model", record.model);
  if (!record.reason.empty()) line.add("refused", record.reason);
  if (!record.limit.empty()) line.add("limit", record.limit).add("level", record.level);
  if (!record.organization.empty()) line.add("organization", record.organization);
  if (!record.key.empty()) line.add("key", record.key);
  if (!record.receipt.empty()) {
    line.add("receipt", record.receipt).add("charge_nano", record.charge);
  }
  if (!record.finish_reason.empty()) {
    line.add("prompt_tokens", record.usage.prompt_tokens)
        .add("cached_tokens", record.usage.cached_tokens)
        .add("completion_tokens", record.usage.completion_tokens)
        .add("accepted_drafts", record.usage.accepted_drafts)
        .add("rejected_drafts", record.usage.rejected_drafts)
        .add("busy_ms", milliseconds(record.usage.busy))
        .add("finish_reason", record.finish_reason);
  }
  if (record.first_token) {
    line.add("ttft_ms", milliseconds(*record.first_token - http.received()));
  }
  if (!served) line.add("error", served.error().message);
}

// Of a refusal that says no more than its status.
std::string_view reason_of(int status) {
  switch (status) {
    case 401:
      return "key";
    case 403:
      return "forbidden";
    case 503:
      return "overloaded";
    default:
      return {};
  }
}

Task<Status> answer_options(net::HttpExchange& http, std::string allow, std::string cors) {
  net::HttpReply reply;
  reply.status = 204;
  reply.headers = api_headers(http, cors);
  reply.headers.push_back({"Allow", allow});
  if (!cors.empty()) {
    reply.headers.push_back({"Access-Control-Allow-Methods", allow});
    reply.headers.push_back(
        {"Access-Control-Allow-Headers",
         "authorization, content-type, x-request-id, x-api-key, idempotency-key"});
    reply.headers.push_back({"Access-Control-Max-Age", "600"});
  }
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

}  // namespace

Gateway::Gateway(ModelDirectory& models, Options options)
    : models_(models),
      options_(std::move(options)),
      token_cache_(options_.token_cache_bytes),
      metrics_(models_, token_cache_, options_.probe),
      kept_answers_(options_.kept_answers),
      side_threads_(options_.side_threads) {}

Gateway::Gateway(std::vector<ServedModel> models, Options options)
    : fixed_(std::make_unique<FixedModels>(std::move(models))),
      models_(*fixed_),
      options_(std::move(options)),
      token_cache_(options_.token_cache_bytes),
      metrics_(models_, token_cache_, options_.probe),
      kept_answers_(options_.kept_answers),
      side_threads_(options_.side_threads) {}

Gateway::~Gateway() = default;

void Gateway::begin_drain() {
  draining_ = true;
}

Status Gateway::load_kept_answers() {
  if (!options_.office) return {};
  return kept_answers_.load(options_.office->book(), unix_nanoseconds(), now());
}

net::HttpHandler Gateway::handler() {
  return [this](net::HttpExchange& http) { return handle(http); };
}

Task<void> Gateway::handle(net::HttpExchange& http) {
  const Stations at{models_,   options_,     metrics_,     side_threads_, desk_thread_,
                    draining_, cache_salts_, token_cache_, kept_answers_};
  RequestRecord record;
  Status served;
  const net::HttpRequest& request = http.request();
  const Found found = find_route(request.method, request.path());
  net::HttpReply reply;
  if (found.route) {
    record.route = found.route->name;
    served = co_await found.route->serve(at, http, record);
    if (!served) reply = error_reply(served.error(), record.retry_after);
  } else if (request.method == "OPTIONS" && (request.target == "*" || !found.allow.empty())) {
    std::string allow = found.allow.empty() ? "GET, POST" : found.allow;
    served = co_await answer_options(http, std::move(allow), options_.delivery.cors_origin);
  } else if (found.allow.empty()) {
    served = fail(Code::kNotFound, "there is nothing at this path; the API begins at /v1");
    reply = error_reply(served.error());
  } else {
    served = fail(Code::kInvalid,
                  "this path takes " + found.allow + ", not " + request.method.substr(0, 32));
    reply = error_reply(served.error());
    reply.status = 405;
    reply.headers.push_back({"Allow", found.allow});
  }
  const bool nobody = !served && served.error().code == Code::kCancelled;
  if (!http.answered() && !nobody) {
    auto common = api_headers(http, options_.delivery.cors_origin);
    std::move(common.begin(), common.end(), std::back_inserter(reply.headers));
    const Status sent = co_await http.reply(std::move(reply));
    (void)sent;
  }
  record.status = http.answered() ? http.status() : 499;
  if (record.reason.empty()) record.reason = reason_of(record.status);
  metrics_.count_request(record);
  log_request(http, record, served);
}

}  // namespace mill::gateway
