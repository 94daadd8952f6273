// What a Tokenizer is made of, filled from a GGUF's vocabulary (tokenizer_build.cc) or from a
// tokenizer.json (tokenizer_json.cc).
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "text/pieces/byte_pairs.h"
#include "text/pieces/scored_pieces.h"
#include "text/pieces/special_tokens.h"
#include "text/pieces/string_table.h"
#include "text/pieces/word_pieces.h"
#include "text/split/normalizer.h"
#include "text/split/pre_tokenizer.h"

namespace mill::text {

struct TokenizerParts {
  std::shared_ptr<const StringTable> pieces;  // [vocabulary]
  std::shared_ptr<const StringTable> bytes;   // [vocabulary]
  std::vector<bool> is_control;               // [vocabulary]
  TokenId bos = kNoToken, eos = kNoToken;
  std::vector<TokenId> in_front, behind;  // what Ends::kAsModelWants adds
  std::vector<TokenId> ends;              // of generation

  SpecialTokens specials;
  Normalizer normalizer;
  // A space goes in front of ordinary text that begins the text or follows a special token.
  bool space_in_front = false;
  // How bytes that are no UTF-8 are read: as llama.cpp does (over-long forms are what they spell),
  // or strictly.
  bool lenient_utf8 = true;
  PreTokenizer pre_tokenizer{Stages{}};
  std::variant<std::monostate, BytePairs, ScoredPieces, WordPieces> model;
};

}  // namespace mill::text
