// The printable alphabet in which byte-level vocabularies write bytes (GPT-2's bytes_to_unicode):
// 188 bytes stand for the code point of the same number, the other 68 for U+0100 and up.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mill::text {

// The bytes that `piece` spells; nothing when a code point is outside the alphabet.
std::optional<std::string> bytes_of_alphabet(std::string_view piece);
// The other way.
std::string alphabet_of_bytes(std::string_view bytes);

// The byte that a piece "<0xHH>" of a vocabulary with byte fallback stands for; -1 for any other
// piece.
int byte_of_name(std::string_view piece);

}  // namespace mill::text
