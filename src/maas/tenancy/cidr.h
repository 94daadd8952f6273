// Networks from which a key may be used: CIDR blocks of IPv4 (RFC 4632) and IPv6 (RFC 4291).
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mill::maas {

// An IPv4 address is its four bytes behind ::ffff:0:0/96, so a peer of a dual-stack socket is the
// same peer.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};
  bool v4 = false;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};
// kInvalid, param "ip". A zone ("fe80::1%eth0") is left out: it names our interface, not the peer.
Result<IpAddress> parse_ip(std::string_view text);

struct Cidr {
  IpAddress network;
  uint8_t bits = 0;  // of 32 or 128; the network's bits behind them are zero
  bool contains(const IpAddress& address) const;
  friend bool operator==(const Cidr&, const Cidr&) = default;
};
// "10.0.0.0/8", "2001:db8::/32", or one address. kInvalid, param "ip_allow_list": also for bits
// behind the prefix ("10.0.0.1/8"), which are an error more often than meant.
Result<Cidr> parse_cidr(std::string_view text);
std::string to_string(const Cidr& cidr);  // "10.0.0.0/8"
// Whether an address is of the public Internet: none of those that IANA's special-purpose
// registries (RFC 6890) keep for this machine, a private network, a link, documentation or
// multicast, nor an IPv6 one that carries an IPv4 address in it (6to4, Teredo, NAT64), which may be
// any of these.
bool is_public(const IpAddress& address);
// Whether the fields are those of a network; what comes from a file may be anything.
bool is_valid(const Cidr& cidr);

}  // namespace mill::maas
