#include "maas/tenancy/cidr.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace mill::maas {
namespace {

constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

bool is_mapped(const std::array<uint8_t, 16>& bytes) {
  return std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
}

// How many leading bits of the 16 bytes a prefix of `bits` fixes.
unsigned fixed_bits(const Cidr& cidr) {
  return cidr.bits + (cidr.network.v4 ? 96u : 0u);
}

bool bits_behind(const std::array<uint8_t, 16>& bytes, unsigned fixed) {
  for (unsigned i = fixed; i < 128; ++i) {
    if (bytes[i / 8] >> (7 - i % 8) & 1) return true;
  }
  return false;
}

tl::unexpected<Error> bad(std::string_view text, const char* rule) {
  return fail(Code::kInvalid, fmt::format("'{}' {}", text, rule), "ip_allow_list");
}

}  // namespace

Result<IpAddress> parse_ip(std::string_view text) {
  const std::string_view whole = text;
  if (const size_t zone = text.find('%'); zone != text.npos && text.find(':') < zone)
    text = text.substr(0, zone);
  char buffer[INET6_ADDRSTRLEN + 1] = {};
  IpAddress address;
  if (text.size() < sizeof buffer && text.find('\0') == text.npos) {
    text.copy(buffer, text.size());
    if (inet_pton(AF_INET, buffer, address.bytes.data() + 12) == 1) {
      std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin());
      address.v4 = true;
      return address;
    }
    if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) {
      address.v4 = is_mapped(address.bytes);
      return address;
    }
  }
  return fail(Code::kInvalid, fmt::format("'{}' is no IP address", whole.substr(0, 64)), "ip");
}

bool Cidr::contains(const IpAddress& address) const {
  if (address.v4 != network.v4) return false;  // ::/0 is all of IPv6, not of IPv4
  const unsigned fixed = fixed_bits(*this);
  const unsigned whole = fixed / 8, rest = fixed % 8;
  if (std::memcmp(address.bytes.data(), network.bytes.data(), whole) != 0) return false;
  return rest == 0 || (address.bytes[whole] ^ network.bytes[whole]) >> (8 - rest) == 0;
}

bool is_valid(const Cidr& cidr) {
  return cidr.network.v4 == is_mapped(cidr.network.bytes) &&
         cidr.bits <= (cidr.network.v4 ? 32 : 128) &&
         !bits_behind(cidr.network.bytes, fixed_bits(cidr));
}

Result<Cidr> parse_cidr(std::string_view text) {
  const std::string_view shown = text.substr(0, 64);
  const size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address || text.find('%') != text.npos) return bad(shown, "is no network");
  // A mapped IPv6 prefix would have two readings.
  if (address->v4 && text.find(':') != text.npos) return bad(shown, "must be written as IPv4");
  Cidr cidr{.network = *address, .bits = static_cast<uint8_t>(address->v4 ? 32 : 128)};
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    unsigned bits = 0;
    if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0'))
      return bad(shown, "has no proper prefix length");
    for (const char c : digits) {
      if (c < '0' || c > '9') return bad(shown, "has no proper prefix length");
      bits = bits * 10 + static_cast<unsigned>(c - '0');
    }
    if (bits > cidr.bits) return bad(shown, "has a prefix longer than an address");
    cidr.bits = static_cast<uint8_t>(bits);
  }
  if (bits_behind(cidr.network.bytes, fixed_bits(cidr)))
    return bad(shown, "has bits behind its prefix; write the network's first address");
  return cidr;
}

bool is_public(const IpAddress& address) {
  static const std::vector<Cidr> kSpecial = [] {
    std::vector<Cidr> list;
    for (const char* text :
         {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
          "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
          "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
          "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"})
      list.push_back(*parse_cidr(text));
    return list;
  }();
  static const Cidr kGlobalUnicast = *parse_cidr("2000::/3");
  if (!address.v4 && !kGlobalUnicast.contains(address)) return false;
  return std::none_of(kSpecial.begin(), kSpecial.end(),
                      [&](const Cidr& network) { return network.contains(address); });
}

std::string to_string(const Cidr& cidr) {
  char buffer[INET6_ADDRSTRLEN] = {};
  if (cidr.network.v4)
    inet_ntop(AF_INET, cidr.network.bytes.data() + 12, buffer, sizeof buffer);
  else
    inet_ntop(AF_INET6, cidr.network.bytes.data(), buffer, sizeof buffer);
  return fmt::format("{}/{}", buffer, cidr.bits);
}

}  // namespace mill::maas
