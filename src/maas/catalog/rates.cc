#include "maas/catalog/rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace mill::maas {
namespace {

constexpr std::array<std::string_view, kItemCount> kItemNames = {
    "input",  "cache_read", "cache_write",  "input_image",
    "output", "reasoning",  "output_image", "request"};
constexpr std::array<std::string_view, kTierCount> kTierNames = {"default", "priority", "flex",
                                                                 "batch"};

}  // namespace

std::string_view name(Item item) {
  return kItemNames[size_t(item)];
}
std::string_view unit(Item item) {
  return item == Item::kRequest ? "requests" : "tokens";
}
std::string_view name(Tier tier) {
  return kTierNames[size_t(tier) % kTierCount];
}

Result<Tier> parse_tier(std::string_view text, std::string_view field) {
  for (size_t i = 0; i < kTierCount; ++i)
    if (kTierNames[i] == text) return Tier(i);
  return fail(Code::kInvalid,
              fmt::format("{}: '{}' is not one of default, priority, flex, batch", field, text),
              std::string(field));
}

Quantities quantities(const ledger::Buckets& tokens, int64_t requests) {
  return {
      tokens.input_uncached, tokens.input_cache_read, tokens.input_cache_write, tokens.input_image,
      tokens.output_text,    tokens.output_reasoning, tokens.output_image,      requests};
}

Result<Rounded> round_half_even(Femto exact) {
  Femto whole = exact / kFemtoPerNano;
  Femto rest = exact % kFemtoPerNano;  // the sign of `exact`
  constexpr Femto kHalf = kFemtoPerNano / 2;
  const bool odd = whole % 2 != 0;
  if (rest > kHalf || (rest == kHalf && odd)) {
    whole += 1;
    rest -= kFemtoPerNano;
  } else if (rest < -kHalf || (rest == -kHalf && odd)) {
    whole -= 1;
    rest += kFemtoPerNano;
  }
  if (whole > std::numeric_limits<int64_t>::max() || whole < std::numeric_limits<int64_t>::min())
    return fail(Code::kTooLarge, "the amount is over 9.2 billion currency units");
  return Rounded{.amount = int64_t(whole), .residue = int64_t(rest)};
}

Result<Femto> exact_charge(const Rates& rates, const Quantities& of) {
  Femto sum = 0;
  for (size_t i = 0; i < kItemCount; ++i) {
    if (of[i] == 0) continue;
    const std::string item(name(Item(i)));
    if (of[i] < 0)
      return fail(Code::kInvalid, fmt::format("{}: {} is a negative count", item, of[i]), item);
    if (rates[i] == kNotSold)
      return fail(Code::kUnsupported, fmt::format("{}: the price book has no price for it", item),
                  item);
    sum += Femto(of[i]) * rates[i];  // 2^63 x 1e18 x 8 < 2^127
  }
  return sum;
}

std::string print_femto(Femto femto) {
  const bool negative = femto < 0;
  __extension__ using Unsigned = unsigned __int128;
  Unsigned rest = negative ? Unsigned(0) - Unsigned(femto) : Unsigned(femto);
  std::string digits;  // from the last
  while (rest != 0 || digits.size() < 16) {
    digits += char('0' + int(rest % 10));
    rest /= 10;
  }
  std::string decimals(digits.begin(), digits.begin() + 15);
  std::reverse(decimals.begin(), decimals.end());
  const size_t last = decimals.find_last_not_of('0');
  decimals.resize(std::max<size_t>(2, last == std::string::npos ? 0 : last + 1));
  std::string text(digits.rbegin(), digits.rend() - 15);
  return (negative ? "-" : "") + text + "." + decimals;
}

}  // namespace mill::maas
