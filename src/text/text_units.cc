#include "text/text_units.h"

#include <cstdint>
#include <cstring>

#include "text/tokenizer_parts.h"

namespace mill::text {

// Of byte pairs and word pieces the stages say it. Scored pieces have no stages: they are cut where
// no piece goes across.
TextUnits::TextUnits(const TokenizerParts& parts) {
  const auto* scored = std::get_if<ScoredPieces>(&parts.model);
  const bool all = scored == nullptr && parts.normalizer.keeps_spaces_apart() &&
                   parts.pre_tokenizer.cuts_at_spaces();
  for (int upper = 'A'; upper <= 'Z'; ++upper) {
    for (const int letter : {upper, upper | 0x20}) {
      letters_[letter] =
          all || (scored && scored->cuts_at_space_after(static_cast<unsigned char>(letter)));
      divides_ |= letters_[letter];
    }
  }
}

size_t TextUnits::first_unit(std::string_view text) const {
  if (!divides_) return text.size();
  // Behind three letters: a character of scored pieces is as long as its first byte says, at most
  // four, whatever its others are, so that no broken one reaches across.
  constexpr size_t kLetters = 3;
  constexpr size_t kWindow = 8;
  constexpr int kOneIn = 256;  // places of a kind that will do
  for (size_t at = kLeast; (at = text.find(' ', at)) != std::string_view::npos; ++at) {
    bool fit = true;
    for (size_t i = 1; i <= kLetters; ++i)
      fit &= letters_[static_cast<unsigned char>(text[at - i])];
    if (!fit) continue;
    uint64_t before = 0;
    std::memcpy(&before, text.data() + at - kWindow, kWindow);
    before *= 0x9E3779B97F4A7C15ull;
    if (before >> 32 & (kOneIn - 1)) continue;
    return at;
  }
  return text.size();
}

}  // namespace mill::text
