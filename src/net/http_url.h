// Addresses of HTTP servers as people type them: http://host[:port][/path].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::net {

struct HttpUrl {
  std::string host;  // a name or an address, an IPv6 one without its brackets
  uint16_t port = 80;
  std::string path;  // "" or "/v1": what goes before a request's target; never ends with '/'

  // For the Host header: with brackets, and without the port where it is 80.
  std::string authority() const;
};

// Fails with kInvalid (no host, a port that is none, a user or query in it, control bytes) and
// kUnsupported (https).
Result<HttpUrl> parse_http_url(std::string_view url);

}  // namespace mill::net
