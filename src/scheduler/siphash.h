// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF",
// 2012): a keyed hash whose values nobody can predict, and so nobody can make collide, without the
// key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mill::scheduler {

struct HashKey {
  uint64_t first = 0;
  uint64_t second = 0;
};

struct Hash128 {
  uint64_t first = 0;
  uint64_t second = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

Hash128 siphash(const HashKey& key, std::span<const std::byte> bytes);

}  // namespace mill::scheduler
