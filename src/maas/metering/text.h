// How counts and tiers are written in invoices and exports. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "maas/catalog/rates.h"

namespace mill::maas {

// "1234567"
std::string print_count(ledger::Wide count);
// "1,234,567", for people
std::string print_grouped(ledger::Wide count);
// "default", "priority" …; "tier 9" for a number that is no Tier.
std::string tier_name(uint8_t tier);
// "Input tokens", "Cached input tokens", … "Requests": what a person is to read.
std::string_view title(Item item);
// & < > " ' become entities; control characters but LF become U+FFFD.
std::string html(std::string_view text);

}  // namespace mill::maas
