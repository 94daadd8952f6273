// What a code point is (Unicode 15.1), and UTF-8 one code point at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mill::text {

// A set of kinds of code points: one bit each, so that a set is tested with one AND.
using Kinds = uint16_t;
inline constexpr Kinds kUpper = 1 << 0;         // Lu
inline constexpr Kinds kLower = 1 << 1;         // Ll
inline constexpr Kinds kTitle = 1 << 2;         // Lt
inline constexpr Kinds kModifier = 1 << 3;      // Lm
inline constexpr Kinds kOtherLetter = 1 << 4;   // Lo
inline constexpr Kinds kNumber = 1 << 5;        // N
inline constexpr Kinds kMark = 1 << 6;          // M
inline constexpr Kinds kPunctuation = 1 << 7;   // P
inline constexpr Kinds kSymbol = 1 << 8;        // S
inline constexpr Kinds kSpace = 1 << 9;         // White_Space: what \s means in a Unicode pattern
inline constexpr Kinds kControlCode = 1 << 10;  // Cc, white space included
inline constexpr Kinds kFormat = 1 << 11;       // Cf, Co, Cs
inline constexpr Kinds kLetter = kUpper | kLower | kTitle | kModifier | kOtherLetter;
inline constexpr Kinds kOpenMark = 1 << 12;    // Mn (also kMark): an accent that takes no room
inline constexpr Kinds kUnassigned = 1 << 13;  // Cn

inline constexpr uint32_t kReplacement = 0xFFFD;

class UnicodeTable {
 public:
  // The one table of the process, made at the first call (about a millisecond).
  static const UnicodeTable& get();

  Kinds operator[](uint32_t code) const {
    if (code < ascii_.size()) return ascii_[code];
    return code < 0x110000 ? pages_[page_of_[code >> 8]][code & 0xFF] : kUnassigned;
  }

 private:
  UnicodeTable();

  std::array<Kinds, 128> ascii_{};  // the same once more, near
  std::array<uint16_t, 0x1100> page_of_{};
  std::vector<std::array<Kinds, 256>> pages_;  // equal pages are kept once
};

struct CodePoint {
  uint32_t code;
  uint32_t bytes;  // 1..4
};

// The code point at `at`.  Requires: at < end, and [at, end) is what repair() gives.
inline CodePoint code_point_at(const char* at) {
  const auto* p = reinterpret_cast<const unsigned char*>(at);
  if (p[0] < 0x80) return {p[0], 1};
  if (p[0] < 0xE0) return {(p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu), 2};
  if (p[0] < 0xF0) return {(p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu), 3};
  return {(p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu), 4};
}

void append_utf8(std::string& out, uint32_t code);

// True when every sequence of `text` is whole and shortest (surrogates pass: they round-trip).
bool is_sound(std::string_view text);

// `text` with every byte that starts no sequence replaced by U+FFFD and over-long sequences by the
// code point they spell, which is how llama.cpp reads bytes that are not UTF-8. is_sound() holds
// for the result.
std::string repair(std::string_view text);

// The bytes at the start of `text` as strict UTF-8 sees them (no over-long forms, no surrogates, up
// to U+10FFFF).
struct Sequence {
  enum class State { kValid, kInvalid, kUnfinished } state;
  size_t bytes;  // of the valid sequence; or of the longest part that could have begun one (at
                 // least 1)
};
// Requires: text is not empty.
Sequence first_sequence(std::string_view text);

// `text` for an error message: valid UTF-8 without control characters, at most about 60 bytes.
std::string for_people(std::string_view text);

}  // namespace mill::text
