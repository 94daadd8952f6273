#include "gateway/cache_salts.h"

#include <string>

namespace mill::gateway {

std::string_view credentials_of(const net::HttpRequest& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view value = request.header("authorization").value_or(std::string_view());
  if (value.empty()) return request.header("x-api-key").value_or(std::string_view());
  if (net::equal_ignoring_case(value.substr(0, kScheme.size()), kScheme))
    value.remove_prefix(kScheme.size());
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return value;
}

work::CacheSalt CacheSalts::of(std::string_view credentials, std::string_view of_client) const {
  // The length goes first, so that no two pairs come to one text.
  std::string text = std::to_string(credentials.size()) + ':';
  text.append(credentials).append(of_client);
  const net::Hash128 hash = net::keyed_hash(key_, text);
  return {.high = hash.high, .low = hash.low};
}

}  // namespace mill::gateway
