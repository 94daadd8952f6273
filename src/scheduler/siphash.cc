#include "scheduler/siphash.h"

#include <bit>
#include <cstring>

namespace mill::scheduler {
namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void mix(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }

  uint64_t finish() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

// `count` <= 8 bytes as a little-endian number.
uint64_t word_of(const std::byte* bytes, size_t count) {
  uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, bytes, count);
  } else {
    for (size_t i = 0; i < count; ++i) word |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  }
  return word;
}

}  // namespace

Hash128 siphash(const HashKey& key, std::span<const std::byte> bytes) {
  State state{key.first ^ 0x736f6d6570736575ULL, key.second ^ 0x646f72616e646f6dULL ^ 0xee,
              key.first ^ 0x6c7967656e657261ULL, key.second ^ 0x7465646279746573ULL};
  const size_t whole = bytes.size() / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) state.mix(word_of(bytes.data() + at, 8));
  const uint64_t length = static_cast<uint64_t>(bytes.size()) << 56;
  const size_t rest = bytes.size() - whole;
  state.mix(length | (rest > 0 ? word_of(bytes.data() + whole, rest) : 0));
  Hash128 out;
  state.v2 ^= 0xee;
  out.first = state.finish();
  state.v1 ^= 0xdd;
  out.second = state.finish();
  return out;
}

}  // namespace mill::scheduler
