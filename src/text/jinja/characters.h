// What Python's str methods ask of a code point (Unicode 14.0, as in Python 3.11).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mill::text::jinja {

bool is_space(uint32_t code);  // str.isspace, and what strip() and split() remove
bool is_alpha(uint32_t code);
bool is_numeric(uint32_t code);
bool is_digit(uint32_t code);
bool is_decimal(uint32_t code);
bool is_upper(uint32_t code);
bool is_lower(uint32_t code);
bool is_title(uint32_t code);  // category Lt
bool is_case_ignorable(uint32_t code);
bool is_printable(uint32_t code);  // repr() shows it as it is
inline bool is_alnum(uint32_t code) {
  return is_alpha(code) || is_numeric(code);
}
inline bool is_cased(uint32_t code) {
  return is_upper(code) || is_lower(code) || is_title(code);
}

enum class Case { kUpper, kLower, kTitle };
// Appends `code` in the other case: one to three code points.
void append_in_case(std::string& out, uint32_t code, Case to);

// The code point that starts at `at` and its length in bytes. A byte that starts no valid sequence
// counts as one code point of its own value.  Requires: at < text.size()
struct Decoded {
  uint32_t code;
  uint32_t bytes;
};
Decoded decode(std::string_view text, size_t at);
// The same for the code point that ends at `end`.  Requires: 0 < end <= text.size()
Decoded decode_before(std::string_view text, size_t end);

int64_t count_code_points(std::string_view text);
bool is_ascii(std::string_view text);

}  // namespace mill::text::jinja
