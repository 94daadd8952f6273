// From the bytes of a piece to its id: an open hash table of ids, over pieces that are kept once.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "text/pieces/string_table.h"

namespace mill::text {

class PieceIndex {
 public:
  PieceIndex() = default;
  // Of some of `pieces`: none yet. An id is a piece's number there.
  explicit PieceIndex(std::shared_ptr<const StringTable> pieces);

  // Adds a piece; false (and nothing is added) when an equal one is there.  Requires: not called
  // twice for an id.
  bool add(TokenId id);
  // kNoToken where there is none.
  TokenId find(std::string_view piece) const {
    if (piece.size() > longest_ || table_.empty()) return kNoToken;
    const uint32_t hash = hash_of(piece);
    for (size_t place = place_of(hash);; place = next(place)) {
      const Entry entry = table_[place];
      if (entry.id == kNoToken) return kNoToken;
      if (entry.hash == hash && (*pieces_)[static_cast<size_t>(entry.id)] == piece) return entry.id;
    }
  }
  size_t longest() const { return longest_; }  // bytes of the longest piece

 private:
  struct Entry {
    uint32_t hash = 0;
    TokenId id = kNoToken;
  };

  // As far into the table as the hash is into its range (Lemire, "Fast random integer generation in
  // an interval", 2019), so the table need not be a power of two.
  size_t place_of(uint32_t hash) const { return uint64_t{hash} * table_.size() >> 32; }
  size_t next(size_t place) const { return place + 1 == table_.size() ? 0 : place + 1; }

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

  std::shared_ptr<const StringTable> pieces_;
  std::vector<Entry> table_;  // half of it stays free at least
  size_t longest_ = 0;
};

}  // namespace mill::text
