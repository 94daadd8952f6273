// An entry as a row of the table `entry` in SQLite.
#pragma once

#include <sqlite3.h>

#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"

namespace mill::ledger {

inline constexpr const char* kColumns =
    "seq, at_ns, kind, hold, org, project, key, currency, amount, held, input_uncached, "
    "input_cache_read, "
    "input_cache_write, input_image, output_text, output_reasoning, output_image, model, "
    "price_version, tier, flags, "
    "reason, delivered_bytes, residue, microjoules, energy_cost, co2_micrograms, actor, body, hash";
inline constexpr int kColumnCount = 30;

// Requires: `row` is at a row of kColumns. kCorrupt.
Result<Entry> entry_of(sqlite3_stmt* row);

// Binds kColumnCount parameters, which refer to the entry and to `currency`, its own as text, until
// the statement is stepped.
bool bind_entry(sqlite3_stmt* insert, const Entry& e, std::string_view currency);

}  // namespace mill::ledger
