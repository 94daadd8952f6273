#include "text/pieces/word_pieces.h"

#include <algorithm>

#include "text/split/unicode.h"

namespace mill::text {

WordPieces::WordPieces(const Parts& parts)
    : begins_(parts.pieces.size()),
      goes_on_(parts.pieces.size()),
      unknown_(parts.unknown),
      longest_word_(parts.longest_word) {
  for (size_t id = 0; id < parts.pieces.size(); ++id) {
    const std::string_view piece = parts.pieces[id];
    if (piece.empty()) continue;
    begins_.add(piece, static_cast<TokenId>(id));
    if (piece.starts_with(parts.continuation) && piece.size() > parts.continuation.size())
      goes_on_.add(piece.substr(parts.continuation.size()), static_cast<TokenId>(id));
  }
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
