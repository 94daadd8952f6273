#include "text/pieces/word_pieces.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "text/split/unicode.h"

namespace mill::text {
namespace {

PieceIndex index_of(StringTable strings) {
  const auto pieces = std::make_shared<const StringTable>(std::move(strings));
  PieceIndex index(pieces);
  for (size_t id = 0; id < pieces->size(); ++id)
    if (!(*pieces)[id].empty()) index.add(static_cast<TokenId>(id));
  return index;
}

}  // namespace

WordPieces::WordPieces(Parts parts) : unknown_(parts.unknown), longest_word_(parts.longest_word) {
  StringTable rests;  // of the pieces that go on with a word
  rests.reserve(parts.pieces.size(), parts.pieces.bytes());
  for (size_t id = 0; id < parts.pieces.size(); ++id) {
    const std::string_view piece = parts.pieces[id];
    const bool goes_on = piece.starts_with(parts.continuation);
    rests.add(goes_on ? piece.substr(parts.continuation.size()) : "");
  }
  begins_ = index_of(std::move(parts.pieces));
  goes_on_ = index_of(std::move(rests));
}

void WordPieces::encode(std::string_view word, std::vector<TokenId>& out) const {
  std::vector<size_t> borders = {0};
  for (size_t at = 0; at < word.size() && borders.size() <= longest_word_ + 1;)
    borders.push_back(at += code_point_at(word.data() + at).bytes);
  const size_t before = out.size();
  const auto give_up = [&] {
    out.resize(before);
    if (unknown_ != kNoToken) out.push_back(unknown_);
  };
  if (borders.size() > longest_word_ + 1) return give_up();
  for (size_t from = 0; from + 1 < borders.size();) {
    const PieceIndex& index = from == 0 ? begins_ : goes_on_;
    TokenId found = kNoToken;
    size_t to = borders.size() - 1;
    for (; to > from && found == kNoToken; --to)
      found = index.find(word.substr(borders[from], borders[to] - borders[from]));
    if (found == kNoToken) return give_up();
    out.push_back(found);
    from = to + 1;  // the loop has gone one past it
  }
}

}  // namespace mill::text
