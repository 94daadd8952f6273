#include <fmt/format.h>

#include <optional>

#include "base/log.h"
#include "gateway/reply_headers.h"
#include "gateway/stations.h"

namespace mill::gateway {
namespace {

void append_model(std::string& out, const ServedModel& model) {
  out += R"({"id":)";
  append_json_string(out, model.id);
  fmt::format_to(std::back_inserter(out),
                 R"(,"object":"model","created":{},"owned_by":"tokenmill","context_length":{}}})",
                 model.created, model.context_tokens);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
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
  for (const ServedModel& model : at.models) {
    if (&model != at.models.data()) body += ',';
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
  for (const ServedModel& model : at.models) {
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
