// The word patterns of the large byte-level vocabularies (GPT-2, cl100k, o200k, DeepSeek-V3),
// matched by hand: a pattern engine takes several times as long, and quadratic time on some texts.
// Checked against PCRE2 in words_test.cc.
//
// at_space(): in none of the patterns does a space follow a letter, a letter always begins or goes
// on with a match, and none looks farther than white space. So a match ends in front of the space,
// and is the one that the end of the text would give.
#pragma once

#include <cstdint>

#include "text/split/stage.h"

namespace mill::text {

// The switches in which the patterns of one family differ. The comments show the pattern that a
// switch stands for.
struct WordPattern {
  enum class Contractions : uint8_t {
    kNone,
    kBefore,  // (?i:'s|'t|'re|'ve|'m|'ll|'d)|…   ahead of all others
    kAfter,   // …(?i:'s|'t|'re|'ve|'m|'ll|'d)?   at the end of a word of letters
  };
  enum class Tail : uint8_t {
    kNone,
    kNewlines,
    kNewlinesAndSlash
  };  //  ?[^\s\p{L}\p{N}]+ then: "", [\r\n]*, [\r\n/]*

  Contractions contractions = Contractions::kBefore;
  bool long_s = false;      // 'ſ is 's too, as in engines that fold case by Unicode
  uint8_t digits = 1;       // \p{N}{1,digits}; 0: \p{N}+
  Kinds letters = kLetter;  // [^\r\n\p{L}\p{N}]?letters+
  Kinds not_other =
      kSpace | kLetter | kNumber;  // the class of the fourth alternative is [^not_other]
  Tail tail = Tail::kNewlines;

  // o200k: letters go as up*low+ or up+low*, where `either` may stand for both. Used when cased is
  // set.
  bool cased = false;
  Kinds only_up = 0;        // of `letters`
  Kinds only_low = 0;       // of `letters`
  bool ascii_case = false;  // only [A-Z] and [a-z] have a case
};

// (contractions)|[^\r\n\p{L}\p{N}]?letters+|\p{N}{1,n}|
// ?[^\s\p{L}\p{N}]+tail|\s*[\r\n]+|\s+(?!\S)|\s+
class Words final : public Stage {
 public:
  explicit Words(const WordPattern& pattern) : pattern_(pattern), kinds_(UnicodeTable::get()) {}
  AtSpace at_space() const override { return AtSpace::kCuts; }
  void cut(std::string_view text, Pieces& pieces) const override;
  const char* match(const char* at, const char* end) const;

 private:
  const char* letters(const char* at, const char* end) const;
  const char* cased_letters(const char* at, const char* end) const;

  WordPattern pattern_;
  const UnicodeTable& kinds_;
};

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
class Gpt2Words final : public Stage {
 public:
  Gpt2Words() : kinds_(UnicodeTable::get()) {}
  AtSpace at_space() const override { return AtSpace::kCuts; }
  void cut(std::string_view text, Pieces& pieces) const override;
  const char* match(const char* at, const char* end) const;

 private:
  const UnicodeTable& kinds_;
};

// [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
// ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
class DeepseekWords final : public Stage {
 public:
  DeepseekWords() : kinds_(UnicodeTable::get()) {}
  AtSpace at_space() const override { return AtSpace::kCuts; }
  void cut(std::string_view text, Pieces& pieces) const override;
  const char* match(const char* at, const char* end) const;

 private:
  const UnicodeTable& kinds_;
};

}  // namespace mill::text
