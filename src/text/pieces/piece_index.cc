#include "text/pieces/piece_index.h"

#include <algorithm>
#include <bit>

namespace mill::text {

PieceIndex::PieceIndex(size_t pieces)
    : table_(std::bit_ceil(pieces * 2 + 1)), mask_(table_.size() - 1) {}

bool PieceIndex::add(std::string_view piece, TokenId id) {
  const uint32_t hash = hash_of(piece);
  uint64_t place = hash & mask_;
  for (; table_[place].id != kNoToken; place = (place + 1) & mask_) {
    const Entry& entry = table_[place];
    if (entry.hash == hash && std::string_view(bytes_).substr(entry.begin, entry.size) == piece)
      return false;
  }
  table_[place] = {hash, id, static_cast<uint32_t>(bytes_.size()),
                   static_cast<uint32_t>(piece.size())};
  bytes_.append(piece);
  longest_ = std::max(longest_, piece.size());
  return true;
}

}  // namespace mill::text
