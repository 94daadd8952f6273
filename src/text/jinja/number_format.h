// Numbers laid out by a format: the parts that "%5.2f" and "{:>8,.2f}" have in common.
#pragma once

#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace mill::text::jinja {

struct NumberFormat {
  char type = 'd';  // d x X o b c for integers; e E f F g G % for reals; r: repr of a real
  std::optional<int32_t> precision;
  bool alternate = false;  // '#'
  char sign = '-';         // '+', ' ' or '-': what stands before a number that is not negative
  char thousands = '\0';   // ',' or '_'
};

struct Formatted {
  std::string sign;  // with a prefix as 0x
  std::string digits;
};

Formatted format_whole(Wide whole, const NumberFormat& format);
Formatted format_real(double real, const NumberFormat& format);
// The digits, grouped, with zeros in front until sign and digits fill `width`.
void pad_with_zeros(Formatted& number, size_t width, char thousands);

inline constexpr int32_t kMaxFormatWidth = 1 << 20;  // widths and precisions beyond are refused

}  // namespace mill::text::jinja
