#include "text/pieces/piece_index.h"

#include <algorithm>
#include <utility>

namespace mill::text {

PieceIndex::PieceIndex(std::shared_ptr<const StringTable> pieces)
    : pieces_(std::move(pieces)), table_(pieces_->size() * 2 + 1) {}

bool PieceIndex::add(TokenId id) {
  const std::string_view piece = (*pieces_)[static_cast<size_t>(id)];
  const uint32_t hash = hash_of(piece);
  size_t place = place_of(hash);
  for (; table_[place].id != kNoToken; place = next(place)) {
    const Entry& entry = table_[place];
    if (entry.hash == hash && (*pieces_)[static_cast<size_t>(entry.id)] == piece) return false;
  }
  table_[place] = {hash, id};
  longest_ = std::max(longest_, piece.size());
  return true;
}

}  // namespace mill::text
