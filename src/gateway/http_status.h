// What an Error looks like to a client of the OpenAI API: status, type and code; one table for all
// endpoints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace mill::gateway {

struct WireError {
  int status;
  std::string_view type;  // "invalid_request_error", "server_error", …
  std::string_view code;  // "" is sent as null
};

// The row for an error. The field at fault decides some codes: a kNotFound of "model" is
// model_not_found, a kTooLarge of a prompt is context_length_exceeded (400, as OpenAI has it) and
// not 413, a kPermission of "key" is 401 invalid_api_key and not 403.
WireError wire_error(const Error& error);

// {"error":{"message":…,"type":…,"param":…,"code":…}}
std::string error_body(const Error& error);
// `retry_after`: the seconds that a 503 asks the client to wait, at least 1.
net::HttpReply error_reply(const Error& error, int64_t retry_after = 1);
// The same form for a row of its own.
net::HttpReply wire_reply(const WireError& wire, std::string_view message);
// Whole seconds, rounded up, at least 1, from how long a worker says that a new order would wait.
int64_t retry_after(double drain_seconds);
// The same form for what the HTTP server refuses on its own.
net::HttpReply refusal_reply(const net::Refusal& refusal);

}  // namespace mill::gateway
