// Where a request comes from, when proxies stand in front of this server.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "maas/tenancy/cidr.h"
#include "net/http.h"

namespace mill::gateway {

// The address of the client: the `peer` of the connection, unless that is one of the `trusted`
// proxies; then the rightmost address of X-Forwarded-For (of all its lines) that is no trusted
// proxy, for each proxy adds to the right the one it was asked by, and what stands further left is
// the client's own tale. With nothing but trusted proxies in it: the leftmost. Empty, so that it is
// in no network, where what counts is no address. Pure.
std::string client_address(const net::HttpRequest& request, std::string_view peer,
                           std::span<const maas::Cidr> trusted);

}  // namespace mill::gateway
