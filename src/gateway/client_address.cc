#include "gateway/client_address.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace mill::gateway {
namespace {

bool is_trusted(const maas::IpAddress& address, std::span<const maas::Cidr> trusted) {
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const maas::Cidr& network) { return network.contains(address); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Some proxies add the port: "192.0.2.1:4711", "[2001:db8::1]:4711".
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    return end == std::string_view::npos ? std::string_view() : text.substr(1, end - 1);
  }
  const size_t colon = text.find(':');
  const bool one = colon != std::string_view::npos && text.find(':', colon + 1) == text.npos;
  return one ? text.substr(0, colon) : text;
}

}  // namespace

std::string client_address(const net::HttpRequest& request, std::string_view peer,
                           std::span<const maas::Cidr> trusted) {
  const auto nearest = maas::parse_ip(peer);
  if (!nearest || !is_trusted(*nearest, trusted)) return std::string(peer);
  std::vector<std::string_view> chain;
  for (const net::Header& header : request.headers) {
    if (!net::equal_ignoring_case(header.name, "X-Forwarded-For")) continue;
    std::string_view rest = header.value;
    for (;;) {
      const size_t comma = std::min(rest.find(','), rest.size());
      if (const std::string_view one = trimmed(rest.substr(0, comma)); !one.empty())
        chain.push_back(without_port(one));
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
  }
  std::string_view client = peer;
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    const auto address = maas::parse_ip(*at);
    if (!address) return "";
    client = *at;
    if (!is_trusted(*address, trusted)) break;
  }
  return std::string(client);
}

}  // namespace mill::gateway
