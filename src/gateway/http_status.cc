#include "gateway/http_status.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace mill::gateway {
namespace {

bool names_a_prompt(std::string_view param) {
  return param == "messages" || param == "prompt";
}

std::string body_of(std::string_view message, const WireError& wire, std::string_view param) {
  const auto add = [](std::string& out, std::string_view text) {
    if (text.empty()) {
      out += "null";
    } else {
      append_json_string(out, text);
    }
  };
  std::string out = R"({"error":{"message":)";
  append_json_string(out, message);
  out += R"(,"type":)";
  append_json_string(out, wire.type);
  out += R"(,"param":)";
  add(out, param);
  out += R"(,"code":)";
  add(out, wire.code);
  out += "}}";
  return out;
}

net::HttpReply reply_of(const WireError& wire, std::string body, int64_t retry_after) {
  net::HttpReply reply;
  reply.status = wire.status;
  reply.content_type = "application/json";
  reply.body = std::move(body);
  if (wire.status == 401) reply.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (wire.status == 503) reply.headers.push_back({"Retry-After", std::to_string(retry_after)});
  return reply;
}

}  // namespace

WireError wire_error(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
      return {400, "invalid_request_error", ""};
    case Code::kNotFound:
      return {404, "invalid_request_error",
              error.param == "model" ? "model_not_found" : "not_found"};
    case Code::kUnsupported:
      return {400, "invalid_request_error", "unsupported_parameter"};
    case Code::kTooLarge:
      if (names_a_prompt(error.param))
        return {400, "invalid_request_error", "context_length_exceeded"};
      return {413, "invalid_request_error", "request_too_large"};
    case Code::kPermission:
      if (error.param == "key") return {401, "invalid_request_error", "invalid_api_key"};
      return {403, "permission_error", "forbidden"};
    case Code::kOverloaded:
      return {503, "server_error", "overloaded"};
    case Code::kDeadline:
      return {504, "server_error", "deadline_exceeded"};
    case Code::kCancelled:
      return {499, "server_error", "client_left"};
    case Code::kCorrupt:
    case Code::kIo:
    case Code::kInternal:
      break;
  }
  return {500, "server_error", "internal_error"};
}

std::string error_body(const Error& error) {
  const WireError wire = wire_error(error);
  return body_of(error.message, wire, wire.status == 401 ? "" : error.param);
}

net::HttpReply error_reply(const Error& error, int64_t retry_after) {
  return reply_of(wire_error(error), error_body(error), retry_after);
}

net::HttpReply wire_reply(const WireError& wire, std::string_view message) {
  return reply_of(wire, body_of(message, wire, ""), 1);
}

int64_t retry_after(double drain_seconds) {
  constexpr double kDay = 86400;
  if (!(drain_seconds > 1)) return 1;
  return static_cast<int64_t>(std::ceil(std::min(drain_seconds, kDay)));
}

net::HttpReply refusal_reply(const net::Refusal& refusal) {
  const bool ours = refusal.status >= 500;
  const WireError wire{refusal.status, ours ? "server_error" : "invalid_request_error", ""};
  return reply_of(wire, body_of(refusal.sentence, wire, ""), 1);
}

}  // namespace mill::gateway
