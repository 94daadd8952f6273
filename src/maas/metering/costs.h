// What it cost per UTC day and line item: the sums of a statement in the sense of OpenAI's costs.
//
// Line items are "MODEL, THING": a bucket of tokens ("flash, input"), "request", or one of
// "rounding", "capped", "other", "reversal". All items of a day together are what the journal
// charged that day, to the last nano-unit. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "maas/metering/statement.h"

namespace mill::maas {

// Empty lists filter nothing: who is asked for names that nobody has must not query with none.
struct CostFilter {
  std::vector<uint64_t> projects, keys;
};
struct CostGroups {
  bool org = false, project = false, key = false, line_item = false;
};

struct CostRow {
  uint64_t org = 0, project = 0, key = 0;  // 0 where not grouped by
  std::string line_item;                   // empty where not grouped by
  ledger::Currency currency;
  Femto amount = 0;
  ledger::Wide quantity = 0;  // with line_item: of `unit`
  std::string_view unit;      // "tokens", "requests"; empty where nothing is counted
};
struct CostDay {
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  std::vector<CostRow> rows;  // by organization, project, key, line item, currency
};

// "flash, input"; "reversal" alone where the entry names no model.
std::string line_item(const Line& line);

// Every day that the statement's scope touches, in order, also those without charges.  Requires:
// `lines` are of that scope. kTooLarge for more than 3,660 days.
Result<std::vector<CostDay>> costs(const StatementScope& scope, std::span<const Line> lines,
                                   const CostFilter& filter, const CostGroups& groups);

}  // namespace mill::maas
