// Who asks: the key that a request brings, looked up in the keyring.
#pragma once

#include <string_view>

#include "base/result.h"
#include "maas/office/office.h"
#include "net/http_exchange.h"

namespace mill::gateway {

struct Options;

// `options` has an office. kPermission, param "key" (401: none, unknown, revoked, expired) or "ip"
// (403).
Result<maas::Caller> identify(const Options& options, const net::HttpExchange& http);

}  // namespace mill::gateway
