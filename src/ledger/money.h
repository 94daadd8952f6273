// Money as integers: amounts in 1e-9 of a currency unit, with every overflow a value.
//
// Pure; any thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::ledger {

using Nano = int64_t;                 // 1e-9 of a currency unit; 9.2e9 units at most
__extension__ typedef __int128 Wide;  // for products, before they are rounded

// A currency or a virtual one: 3 to 8 letters A-Z ("USD", "CNY", "CREDITS"), the first in the
// lowest byte. 0 is none.
struct Currency {
  uint64_t packed = 0;
  friend auto operator<=>(const Currency&, const Currency&) = default;
  bool empty() const { return packed == 0; }
};

// kInvalid unless `text` is 3 to 8 upper-case letters.
Result<Currency> parse_currency(std::string_view text);
std::string to_string(Currency currency);  // "" for none
// Whether the bytes are those of a currency; what comes from a file may be anything.
bool is_valid(Currency currency);

// "USD"_currency
consteval Currency operator""_currency(const char* text, size_t length) {
  Currency currency;
  if (length < 3 || length > 8) throw "a currency has 3 to 8 letters";
  for (size_t i = 0; i < length; ++i) {
    if (text[i] < 'A' || text[i] > 'Z') throw "a currency is upper-case letters";
    currency.packed |= static_cast<uint64_t>(text[i]) << (8 * i);
  }
  return currency;
}

// Nothing where the result does not fit.
inline std::optional<Nano> checked_add(Nano a, Nano b) {
  Nano sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}
inline std::optional<Nano> checked_sub(Nano a, Nano b) {
  Nano difference = 0;
  if (__builtin_sub_overflow(a, b, &difference)) return std::nullopt;
  return difference;
}
inline std::optional<Nano> checked_mul(Nano a, int64_t b) {
  Nano product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}
inline std::optional<Nano> narrow(Wide value) {
  if (value > INT64_MAX || value < INT64_MIN) return std::nullopt;
  return static_cast<Nano>(value);
}

// "12.5", "-0.000000001", "3": a decimal of units with at most 9 digits after the point, no
// exponent, no plus, no spaces. kInvalid otherwise (also "nan", "inf", "1e3", ""), kTooLarge where
// it does not fit.
Result<Nano> parse_amount(std::string_view text);
// The shortest such decimal: "12.5", "0", "-0.000000001".
std::string format_amount(Nano amount);

}  // namespace mill::ledger

template <>
struct std::hash<mill::ledger::Currency> {
  size_t operator()(const mill::ledger::Currency& currency) const {
    return std::hash<uint64_t>{}(currency.packed);
  }
};
