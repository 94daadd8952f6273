// The tokens of words that came before in the same text: a text repeats most of its words.
//
// A table of fixed size, of short words with few tokens; the one that comes later takes the place.
// Of one text alone, so that no text tells by its time what another said. One thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace mill::text {

class WordMemory {
 public:
  static constexpr size_t kMostBytes = 23, kMostTokens = 9;  // of a word

  // To be told of the bytes of a text, or of more of it, before their words.
  void expect(size_t bytes) {
    constexpr size_t kLeast = 1024, kMostSlots = 8192;  // a shorter text repeats little; 512 KiB
    bytes_ += bytes;
    if (bytes_ < kLeast) return;
    const size_t wanted = std::min(kMostSlots, std::bit_floor(bytes_ / 16));
    if (wanted > slots_.size()) grow(wanted);
  }

  struct Slot {
    std::array<uint64_t, 3> key{};  // the first byte is the size; all zero: free
    std::array<TokenId, kMostTokens> tokens{};
    uint32_t count = 0;
  };
  static_assert(sizeof(Slot) == 64);

  // Where the word is, or would be: whether its key is `key` tells. nullptr: such a word is not
  // remembered.
  Slot* slot_of(std::string_view word, std::array<uint64_t, 3>& key) {
    if (slots_.empty() || word.size() > kMostBytes) return nullptr;
    char bytes[24] = {static_cast<char>(word.size())};
    std::memcpy(bytes + 1, word.data(), word.size());
    std::memcpy(key.data(), bytes, sizeof bytes);
    return &slot_of(key);
  }
  // Does nothing where they are too many.
  static void keep(Slot& slot, const std::array<uint64_t, 3>& key,
                   std::span<const TokenId> tokens) {
    if (tokens.size() > kMostTokens) return;
    slot.key = key;
    slot.count = static_cast<uint32_t>(tokens.size());
    std::copy(tokens.begin(), tokens.end(), slot.tokens.begin());
  }

 private:
  // One of two neighbours: the one that holds it, else one that is free, else the first.
  Slot& slot_of(const std::array<uint64_t, 3>& key) {
    uint64_t hash = key[0] * 0x9E3779B97F4A7C15ull ^ key[1] * 0xD6E8FEB86659FD93ull ^
                    key[2] * 0xC2B2AE3D27D4EB4Full;
    hash ^= hash >> 32;
    const size_t place = hash & (slots_.size() - 1);
    Slot& first = slots_[place];
    Slot& second = slots_[place ^ 1];
    if (first.key == key) return first;
    const bool second_is_free = first.key[0] != 0 && second.key[0] == 0;
    return second.key == key || second_is_free ? second : first;
  }
  void grow(size_t slots) {
    std::vector<Slot> before(slots);
    before.swap(slots_);
    for (const Slot& slot : before)
      if (slot.key[0] != 0) slot_of(slot.key) = slot;
  }

  size_t bytes_ = 0;         // of the text
  std::vector<Slot> slots_;  // none, or a power of two
};

}  // namespace mill::text
