// WordPiece as BERT uses it (Wu et al., 2016): the longest piece that begins a word, then the
// longest that goes on with it, marked "##".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "text/pieces/piece_index.h"
#include "text/pieces/string_table.h"

namespace mill::text {

class WordPieces {
 public:
  struct Parts {
    StringTable pieces;  // [vocabulary] "" for one that text never becomes
    std::string continuation = "##";
    TokenId unknown = kNoToken;
    size_t longest_word = 100;  // characters; a longer word is unknown
  };
  explicit WordPieces(Parts parts);

  // Appends the tokens of a word; `unknown` alone where no pieces make it up.  Requires:
  // is_sound(word).
  void encode(std::string_view word, std::vector<TokenId>& out) const;

 private:
  PieceIndex begins_, goes_on_;
  TokenId unknown_;
  size_t longest_word_;
};

}  // namespace mill::text
