// What one request is charged for, and the exact arithmetic of it.
//
// A rate is nano-units per 1,000,000 tokens, so tokens x rate is a whole number of femto-units
// (1e-15 of a currency unit): the sum of a request is exact, and is rounded once, half to even, to
// nano-units. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/money.h"

namespace mill::maas {

using Femto = ledger::Wide;  // 1e-15 of a currency unit

inline constexpr int64_t kFemtoPerNano = 1'000'000;

// The things that have a price. The first seven are ledger::Buckets in its order, the last is the
// request itself.
enum class Item : uint8_t {
  kInput,
  kCacheRead,
  kCacheWrite,
  kInputImage,
  kOutput,
  kReasoning,
  kOutputImage,
  kRequest,
};
inline constexpr size_t kItemCount = 8;

// The stable names in price books, invoices and exports: "input", "cache_read", … "request".
std::string_view name(Item item);
// The unit that an item is counted in: "tokens" or "requests".
std::string_view unit(Item item);

// How a request is served; the numbers are those of ledger::Entry::tier.
enum class Tier : uint8_t { kDefault = 0, kPriority = 1, kFlex = 2, kBatch = 3 };
inline constexpr size_t kTierCount = 4;
std::string_view name(Tier tier);
// Fails with kInvalid; `param` is the field's name as given.
Result<Tier> parse_tier(std::string_view text, std::string_view field);

inline constexpr int64_t kNotSold = -1;

// Nano-units per 1,000,000 of each item (of requests too), or kNotSold.
using Rates = std::array<int64_t, kItemCount>;
// How many of each item; the last is 1 for a request.
using Quantities = std::array<int64_t, kItemCount>;

Quantities quantities(const ledger::Buckets& tokens, int64_t requests = 1);

struct Rounded {
  ledger::Nano amount = 0;
  int64_t residue = 0;  // femto: exact minus rounded, within half a nano-unit
};
// Half to even. Fails with kTooLarge where the amount does not fit.
Result<Rounded> round_half_even(Femto exact);

// Sum of quantity x rate. Fails with kInvalid for a negative quantity, kUnsupported for one that is
// not sold.
Result<Femto> exact_charge(const Rates& rates, const Quantities& of);

// Decimal digits of `femto` with what is needed of the 15 decimals and at least two: "0.00042",
// "-1.50".
std::string print_femto(Femto femto);

}  // namespace mill::maas
