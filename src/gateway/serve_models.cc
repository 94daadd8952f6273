#include <fmt/format.h>

#include <optional>

#include "base/log.h"
#include "gateway/percent.h"
#include "gateway/reply_headers.h"
#include "gateway/stations.h"

namespace mill::gateway {
namespace {

void append_model(std::string& out, const KnownModel& model) {
  out += R"({"id":)";
  append_json_string(out, model.id);
  fmt::format_to(std::back_inserter(out),
                 R"(,"object":"model","created":{},"owned_by":"tokenmill")", model.created);
  if (model.context_tokens > 0)
    fmt::format_to(std::back_inserter(out), R"(,"context_length":{})", model.context_tokens);
  out += '}';
}

Task<Status> send_json(Stations at, net::HttpExchange& http, std::string body) {
  net::HttpReply reply;
  reply.content_type = "application/json";
  reply.headers = api_headers(http, at.options.delivery.cors_origin);
  reply.body = std::move(body);
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

}  // namespace

Task<Status> serve_models(Stations at, net::HttpExchange& http, RequestRecord&) {
  std::string body = R"({"object":"list","data":[)";
  for (const KnownModel& model : at.models.list()) {
    if (!body.ends_with('[')) body += ',';
    append_model(body, model);
  }
  body += "]}";
  Status sent = co_await send_json(at, http, std::move(body));
  co_return sent;
}

Task<Status> serve_model(Stations at, net::HttpExchange& http, RequestRecord&) {
  const std::string_view tail =
      http.request().path().substr(std::string_view("/v1/models/").size());
  const std::optional<std::string> id = percent_decoded(tail);
  for (const KnownModel& model : at.models.list()) {
    if (id != model.id) continue;
    std::string body;
    append_model(body, model);
    Status sent = co_await send_json(at, http, std::move(body));
    co_return sent;
  }
  co_return fail(Code::kNotFound, "there is no such model here: GET /v1/models lists them",
                 "model");
}

}  // namespace mill::gateway
