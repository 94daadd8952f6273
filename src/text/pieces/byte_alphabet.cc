#include "text/pieces/byte_alphabet.h"

#include <array>

#include "text/split/unicode.h"

namespace mill::text {
namespace {

constexpr uint32_t kLetters = 0x100 + 68;

bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<int, kLetters> byte_of;       // by code point, -1 for none
  std::array<std::string, 256> letter_of;  // UTF-8, by byte
  Alphabet() {
    byte_of.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t letter = stands_for_itself(byte) ? byte : next++;
      byte_of[letter] = static_cast<int>(byte);
      append_utf8(letter_of[byte], letter);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet one;
  return one;
}

}  // namespace

std::optional<std::string> bytes_of_alphabet(std::string_view piece) {
  const Alphabet& letters = alphabet();
  std::string bytes;
  bytes.reserve(piece.size());
  while (!piece.empty()) {
    const Sequence sequence = first_sequence(piece);
    if (sequence.state != Sequence::State::kValid) return std::nullopt;
    const uint32_t code = code_point_at(piece.data()).code;
    if (code >= kLetters || letters.byte_of[code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(letters.byte_of[code]));
    piece.remove_prefix(sequence.bytes);
  }
  return bytes;
}

std::string alphabet_of_bytes(std::string_view bytes) {
  const Alphabet& letters = alphabet();
  std::string piece;
  for (const char byte : bytes) piece += letters.letter_of[static_cast<unsigned char>(byte)];
  return piece;
}

int byte_of_name(std::string_view name) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (name.size() != 6 || !name.starts_with("<0x") || name[5] != '>') return -1;
  const int high = digit(name[3]), low = digit(name[4]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

}  // namespace mill::text
