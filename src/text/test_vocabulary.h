// Small vocabularies for tests.
#pragma once

#include <string>
#include <vector>

#include "text/pieces/byte_alphabet.h"
#include "text/vocabulary.h"

namespace mill::text {

// All 256 bytes in the byte alphabet, these merges as they stand, and these control tokens, last.
inline Vocabulary byte_vocabulary_with_merges(const std::vector<std::string>& merges,
                                              const std::vector<std::string>& control = {}) {
  Vocabulary vocabulary{.algorithm = Vocabulary::Algorithm::kBytePairs, .pre = "gpt-2"};
  for (int byte = 0; byte < 256; ++byte)
    vocabulary.pieces.add(alphabet_of_bytes(std::string(1, static_cast<char>(byte))));
  vocabulary.merges.append(merges);
  if (!merges.empty() && merges[0] == "h e") vocabulary.pieces.add("he");
  vocabulary.pieces.append(control);
  vocabulary.types.assign(vocabulary.pieces.size() - control.size(), TokenType::kNormal);
  vocabulary.types.resize(vocabulary.pieces.size(), TokenType::kControl);
  return vocabulary;
}

// The same, with a piece for what each merge makes unless it is there.
inline Vocabulary byte_vocabulary(const std::vector<std::string>& merges,
                                  const std::vector<std::string>& control = {}) {
  Vocabulary vocabulary = byte_vocabulary_with_merges({}, {});
  const auto add = [&](const std::string& piece, TokenType type) {
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id)
      if (vocabulary.pieces[id] == piece) return;
    vocabulary.pieces.add(piece);
    vocabulary.types.push_back(type);
  };
  for (const std::string& merge : merges) {
    const std::string made = merge.substr(0, merge.find(' ')) + merge.substr(merge.find(' ') + 1);
    bool is_control = false;
    for (const std::string& name : control) is_control |= name == made;
    if (!is_control) add(made, TokenType::kNormal);
  }
  for (const std::string& name : control) add(name, TokenType::kControl);
  vocabulary.merges.append(merges);
  return vocabulary;
}

// The 256 byte tokens, these pieces with falling scores, and these control tokens, last.
inline Vocabulary scored_vocabulary(const std::vector<std::string>& pieces,
                                    const std::vector<std::string>& control = {}) {
  Vocabulary vocabulary{.algorithm = Vocabulary::Algorithm::kScoredPieces};
  const auto add = [&](const std::string& piece, float score, TokenType type) {
    vocabulary.pieces.add(piece);
    vocabulary.scores.push_back(score);
    vocabulary.types.push_back(type);
  };
  for (int byte = 0; byte < 256; ++byte) {
    const char* const digits = "0123456789ABCDEF";
    add(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">", 0, TokenType::kByte);
  }
  float score = 0;
  for (const std::string& piece : pieces) add(piece, score -= 1, TokenType::kNormal);
  for (const std::string& name : control) add(name, 0, TokenType::kControl);
  return vocabulary;
}

}  // namespace mill::text
