#include "text/jinja/number_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/number_text.h"

namespace mill::text::jinja {
namespace {

std::string sign_of(bool negative, char style) {
  if (negative) return "-";
  return style == '+' ? "+" : style == ' ' ? " " : "";
}

// Where the whole part of the digits ends.
size_t whole_part(std::string_view digits) {
  const size_t end = digits.find_first_not_of("0123456789abcdefABCDEF");
  const size_t exponent = digits.find_first_of("eE");
  const size_t stop = digits.find('.') == std::string_view::npos &&
                              exponent != std::string_view::npos &&
                              digits.find_first_of("+-") != std::string_view::npos
                          ? exponent
                          : end;
  return std::min(stop, digits.size());
}

std::string grouped(std::string_view whole, char separator, size_t every) {
  std::string out;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (i > 0 && (whole.size() - i) % every == 0) out.push_back(separator);
    out.push_back(whole[i]);
  }
  return out;
}

std::string by_printf(double real, char conversion, int32_t precision, bool alternate) {
  const std::string format = std::string(alternate ? "%#.*" : "%.*") + conversion;
  const int size = std::snprintf(nullptr, 0, format.c_str(), precision, real);
  std::string out(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(out.data(), out.size(), format.c_str(), precision, real);
  out.pop_back();
  return out;
}

// A real without a type but with a precision: as %g, with a digit behind the point, and the
// exponent where that digit would be one too many.
std::string like_repr(double real, int32_t precision) {
  precision = std::max(precision, 1);
  const std::string scientific = by_printf(real, 'e', precision - 1, false);
  const int exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  if (exponent < -4 || exponent >= precision - 1) {
    std::string digits = scientific.substr(0, scientific.find('e'));
    if (digits.find('.') != std::string::npos) {
      while (digits.back() == '0') digits.pop_back();
      if (digits.back() == '.') digits.pop_back();
    }
    return digits + scientific.substr(scientific.find('e'));
  }
  std::string digits = by_printf(real, 'g', precision, false);
  if (digits.find('.') == std::string::npos) digits += ".0";
  return digits;
}

}  // namespace

Formatted format_whole(Wide whole, const NumberFormat& format) {
  const bool negative = whole < 0;
  const Wide size = negative ? -whole : whole;
  Formatted out{sign_of(negative, format.sign), {}};
  switch (format.type) {
    case 'x':
    case 'X':
      out.digits = to_text(size, 16);
      if (format.type == 'X')
        std::transform(out.digits.begin(), out.digits.end(), out.digits.begin(), ::toupper);
      if (format.alternate) out.sign += format.type == 'x' ? "0x" : "0X";
      break;
    case 'o':
      out.digits = to_text(size, 8);
      if (format.alternate) out.sign += "0o";
      break;
    case 'b':
      out.digits = to_text(size, 2);
      if (format.alternate) out.sign += "0b";
      break;
    default:
      out.digits = to_text(size);
      break;
  }
  if (format.thousands != '\0') {
    const bool decimal = format.type == 'd' || format.type == 'n';
    out.digits = grouped(out.digits, format.thousands, decimal ? 3 : 4);
  }
  return out;
}

Formatted format_real(double real, const NumberFormat& format) {
  Formatted out{sign_of(std::signbit(real), format.sign), {}};
  const bool upper = format.type >= 'A' && format.type <= 'Z';
  real = std::fabs(real);
  if (std::isnan(real)) out.sign = sign_of(false, format.sign);
  if (std::isnan(real) || std::isinf(real)) {
    out.digits = std::isnan(real) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    if (format.type == '%') out.digits += "%";
    return out;
  }
  switch (format.type) {
    case 'r':
      out.digits = format.precision ? like_repr(real, *format.precision) : to_text(real);
      break;
    case '%':
      out.digits = by_printf(real * 100, 'f', format.precision.value_or(6), format.alternate) + "%";
      break;
    default:
      out.digits = by_printf(real, format.type, format.precision.value_or(6), format.alternate);
      break;
  }
  if (format.thousands != '\0') {
    const size_t whole = whole_part(out.digits);
    out.digits =
        grouped(out.digits.substr(0, whole), format.thousands, 3) + out.digits.substr(whole);
  }
  return out;
}

void pad_with_zeros(Formatted& number, size_t width, char thousands) {
  const size_t size = number.sign.size() + number.digits.size();
  if (size >= width) return;
  if (thousands == '\0') {
    number.digits.insert(0, width - size, '0');
    return;
  }
  // Zeros are grouped too, and a group is never started by its separator.
  size_t first = number.digits.find(thousands);
  if (first == std::string::npos) first = whole_part(number.digits);
  while (number.sign.size() + number.digits.size() < width) {
    if (first == 3) {
      number.digits.insert(0, 1, thousands);
      first = 0;
    }
    number.digits.insert(0, 1, '0');
    ++first;
  }
}

}  // namespace mill::text::jinja
