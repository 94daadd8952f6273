// Signatures of webhooks, as https://www.standardwebhooks.com (version 1) has them: the headers
// webhook-id, webhook-timestamp and webhook-signature; the last is "v1," and the base64 of
// HMAC-SHA256 over "ID.TIMESTAMP.BODY", one for each secret that is valid, with a space between.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mill::net {

// "whsec_" and the base64 of the secret's bytes.
std::string webhook_secret_text(std::string_view secret);

// Requires: there is a secret, and `id` has no dot.
std::string webhook_signature(std::span<const std::string> secrets, std::string_view id,
                              int64_t unix_seconds, std::string_view body);

}  // namespace mill::net
