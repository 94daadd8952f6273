#include "ledger/money.h"

#include <fmt/format.h>

namespace mill::ledger {
namespace {

constexpr int kDigits = 9;
constexpr int64_t kUnit = 1'000'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Result<Currency> parse_currency(std::string_view text) {
  Currency currency;
  bool good = text.size() >= 3 && text.size() <= 8;
  for (size_t i = 0; good && i < text.size(); ++i) {
    good = text[i] >= 'A' && text[i] <= 'Z';
    currency.packed |= static_cast<uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  }
  if (!good) {
    return fail(Code::kInvalid, "a currency is 3 to 8 upper-case letters, as USD", "currency");
  }
  return currency;
}

std::string to_string(Currency currency) {
  std::string text;
  for (uint64_t rest = currency.packed; rest != 0; rest >>= 8) {
    text += static_cast<char>(rest & 0xFF);
  }
  return text;
}

bool is_valid(Currency currency) {
  const Result<Currency> same = parse_currency(to_string(currency));
  return same && *same == currency;
}

Result<Nano> parse_amount(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::kInvalid,
                fmt::format("'{}' is no amount: write a decimal with at most 9 digits after the "
                            "point, as 12.5",
                            text.substr(0, 64)),
                "amount");
  };
  size_t at = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) ++at;
  const size_t units_begin = at;
  Wide value = 0;
  for (; at < text.size() && is_digit(text[at]); ++at) {
    if (at - units_begin > 18) return fail(Code::kTooLarge, "the amount is too large", "amount");
    value = value * 10 + (text[at] - '0');
  }
  if (at == units_begin) return bad();
  int digits = 0;
  if (at < text.size() && text[at] == '.') {
    for (++at; at < text.size() && is_digit(text[at]); ++at, ++digits) {
      if (digits == kDigits) return bad();
      value = value * 10 + (text[at] - '0');
    }
    if (digits == 0) return bad();
  }
  if (at != text.size()) return bad();
  for (; digits < kDigits; ++digits) value *= 10;
  const std::optional<Nano> amount = narrow(negative ? -value : value);
  if (!amount) return fail(Code::kTooLarge, "the amount is too large", "amount");
  return *amount;
}

std::string format_amount(Nano amount) {
  const uint64_t size = amount < 0 ? -static_cast<uint64_t>(amount) : static_cast<uint64_t>(amount);
  std::string text = fmt::format("{}{}", amount < 0 ? "-" : "", size / kUnit);
  if (size % kUnit != 0) {
    text += fmt::format(".{:09}", size % kUnit);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text;
}

}  // namespace mill::ledger
