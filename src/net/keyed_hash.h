// A keyed hash of 128 bits: HMAC-SHA-256 (RFC 2104), cut in half.
//
// Who doesn't have the key can neither foretell a hash nor find another text with the same one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mill::net {

using HashKey = std::array<uint64_t, 4>;

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

// From the operating system's generator.
HashKey random_hash_key();
// Any thread. The two halves are the first 16 bytes of the HMAC, the more significant byte first.
Hash128 keyed_hash(const HashKey& key, std::string_view text);

}  // namespace mill::net
