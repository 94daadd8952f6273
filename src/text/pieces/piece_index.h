// From the bytes of a piece to its id: an open hash table over one block of bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace mill::text {

class PieceIndex {
 public:
  PieceIndex() = default;
  // Room for `pieces` entries, which is what add() may be called.
  explicit PieceIndex(size_t pieces);

  // Adds a piece; false (and nothing is added) when an equal one is there.  Requires: less than 4
  // GiB of pieces in all.
  bool add(std::string_view piece, TokenId id);
  // kNoToken where there is none.
  TokenId find(std::string_view piece) const {
    if (piece.size() > longest_ || table_.empty()) return kNoToken;
    const uint32_t hash = hash_of(piece);
    for (uint64_t place = hash & mask_;; place = (place + 1) & mask_) {
      const Entry& entry = table_[place];
      if (entry.id == kNoToken) return kNoToken;
      if (entry.hash == hash && entry.size == piece.size() &&
          std::memcmp(bytes_.data() + entry.begin, piece.data(), piece.size()) == 0)
        return entry.id;
    }
  }
  size_t longest() const { return longest_; }  // bytes of the longest piece

 private:
  struct Entry {
    uint32_t hash = 0;
    TokenId id = kNoToken;
    uint32_t begin = 0;  // in bytes_
    uint32_t size = 0;
  };

  static uint32_t hash_of(std::string_view piece) {
    uint64_t hash = piece.size() * 0x9E3779B97F4A7C15ull;
    const char* at = piece.data();
    size_t left = piece.size();
    for (; left >= 8; at += 8, left -= 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      hash = mix(hash ^ word);
    }
    if (left > 0) {
      uint64_t word = 0;
      std::memcpy(&word, at, left);
      hash = mix(hash ^ word);
    }
    return static_cast<uint32_t>(hash ^ hash >> 32);
  }
  static uint64_t mix(uint64_t x) {
    x *= 0xD6E8FEB86659FD93ull;
    return x ^ x >> 29;
  }

  std::vector<Entry> table_;
  uint64_t mask_ = 0;
  std::string bytes_;
  size_t longest_ = 0;
};

}  // namespace mill::text
