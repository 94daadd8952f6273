#include "maas/metering/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mill::maas {
namespace {

constexpr std::array<std::string_view, kItemCount> kTitles = {
    "Input tokens",       "Cached input tokens",     "Cache write tokens",  "Input image tokens",
    "Output text tokens", "Output reasoning tokens", "Output image tokens", "Requests"};

}  // namespace

std::string print_count(ledger::Wide count) {
  __extension__ using Unsigned = unsigned __int128;
  Unsigned rest = count < 0 ? Unsigned(0) - Unsigned(count) : Unsigned(count);
  std::string digits;
  do {
    digits += char('0' + int(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (count < 0) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string print_grouped(ledger::Wide count) {
  const std::string digits = print_count(count);
  const size_t first = digits.starts_with('-') ? 1 : 0;
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string tier_name(uint8_t tier) {
  return tier < kTierCount ? std::string(name(Tier(tier))) : fmt::format("tier {}", tier);
}

std::string_view title(Item item) {
  return kTitles[size_t(item)];
}

std::string html(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        if ((c >= 0 && c < 0x20 && c != '\n') || c == 0x7F)
          safe += "\xEF\xBF\xBD";
        else
          safe += c;
    }
  }
  return safe;
}

}  // namespace mill::maas
