#include "text/jinja/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/characters.h"

namespace mill::text::jinja {
namespace {

std::string_view stripped(std::string_view text) {
  while (!text.empty() && is_space(decode(text, 0).code)) text.remove_prefix(decode(text, 0).bytes);
  while (!text.empty() && is_space(decode_before(text, text.size()).code)) {
    text.remove_suffix(decode_before(text, text.size()).bytes);
  }
  return text;
}

// Without the underscores, or nothing where one is not between two digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out.push_back(text[i]);
      continue;
    }
    const auto digit = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    if (i == 0 || i + 1 == text.size() || !digit(text[i - 1]) || !digit(text[i + 1]))
      return std::nullopt;
  }
  return out;
}

int base_of_prefix(std::string_view digits) {
  if (digits.size() < 2 || digits[0] != '0') return 0;
  const char letter = static_cast<char>(digits[1] | 32);
  return letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
}

}  // namespace

std::string to_text(Wide whole, int base) {
  if (whole == 0) return "0";
  std::string out;
  const bool negative = whole < 0;
  while (whole != 0) {
    const int digit = static_cast<int>(whole % base);
    out.push_back("0123456789abcdefghijklmnopqrstuvwxyz"[digit < 0 ? -digit : digit]);
    whole /= base;
  }
  if (negative) out.push_back('-');
  std::reverse(out.begin(), out.end());
  return out;
}

std::string to_text(Wide whole) {
  return to_text(whole, 10);
}

std::string to_text(double real) {
  if (std::isnan(real)) return "nan";
  if (std::isinf(real)) return real < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto written =
      std::to_chars(buffer, buffer + sizeof buffer, real, std::chars_format::scientific);
  const std::string_view scientific(buffer, written.ptr - buffer);
  const size_t e = scientific.find('e');
  int exponent = 0;
  const size_t sign = scientific[e + 1] == '+' ? e + 2 : e + 1;
  std::from_chars(scientific.data() + sign, scientific.data() + scientific.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(scientific);
  const bool negative = scientific[0] == '-';
  std::string digits;
  for (const char c : scientific.substr(negative ? 1 : 0, e - (negative ? 1 : 0))) {
    if (c != '.') digits.push_back(c);
  }
  std::string out = negative ? "-" : "";
  if (exponent < 0) return out + "0." + std::string(-exponent - 1, '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<Result<Value>> read_integer(std::string_view text, int base) {
  const auto clean = without_underscores(stripped(text));
  if (!clean) return std::nullopt;
  std::string_view digits = *clean;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const int prefixed = base_of_prefix(digits);
  if (prefixed != 0 && (base == 0 || base == prefixed)) {
    digits.remove_prefix(2);
    base = prefixed;
  }
  if (base == 0) {
    if (digits.size() > 1 && digits[0] == '0' &&
        digits.find_first_not_of('0') != std::string_view::npos) {
      return std::nullopt;
    }
    base = 10;
  }
  if (digits.empty() || base < 2 || base > 36) return std::nullopt;
  Wide whole = 0;
  bool over = false;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'                 ? c - '0'
                      : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
                                                           : 99;
    if (digit >= base) return std::nullopt;
    if (whole < (static_cast<Wide>(1) << 100)) {
      whole = whole * base + digit;
    } else {
      over = true;
    }
  }
  if (over) whole = static_cast<Wide>(1) << 100;
  return make_integer(negative ? -whole : whole);
}

std::optional<double> read_real(std::string_view text) {
  const auto clean = without_underscores(stripped(text));
  if (!clean) return std::nullopt;
  std::string_view digits = *clean;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  std::string lower(digits);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  double real = 0;
  if (lower == "inf" || lower == "infinity") {
    real = HUGE_VAL;
  } else if (lower == "nan") {
    real = std::nan("");
  } else {
    if (digits.empty() || !((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '.'))
      return std::nullopt;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), real);
    if (read.ptr != digits.data() + digits.size() || read.ec == std::errc::invalid_argument)
      return std::nullopt;
    if (read.ec == std::errc::result_out_of_range) real = std::strtod(lower.c_str(), nullptr);
  }
  return negative ? -real : real;
}

}  // namespace mill::text::jinja
