// One POST to a stranger's server by libcurl: to an address that people typed, so it may go only
// where the caller allows, and nowhere further.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace mill::net {

struct PostRequest {
  std::string url;  // http:// or https://
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string ca_file;  // PEM authorities instead of the system's; empty for those
  Duration connect_timeout{};
  Duration total_timeout{};
  // Asked about every address that the host's name stands for, as digits, before anything is sent
  // there: what a name meant a moment ago does not count. Empty: all are allowed.
  std::function<bool(std::string_view ip)> may_connect;
  const std::atomic<bool>* ending = nullptr;  // true: give up within a second
};

struct PostOutcome {
  int status = 0;                       // 0: no answer came, and `error` says why
  std::optional<Duration> retry_after;  // as the server asked
  // kPermission: the address is not allowed, or the certificate cannot be trusted; kDeadline; kIo;
  // kInvalid: no address.
  Error error;
};

// Follows no redirects, uses no proxy, keeps no cookies, reads at most 16 KiB of the answer's body
// and throws it away. Blocks; thread-safe.
PostOutcome http_post(const PostRequest& request);

// What `url` is to be: http or https, a host, perhaps a port, path and query; no user, no fragment,
// printable ASCII. Gives the host, without the brackets of an IPv6 address. kInvalid, param "url".
Result<std::string> host_to_post_to(std::string_view url);

}  // namespace mill::net
