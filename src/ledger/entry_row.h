// An entry out of a row of a journal's table: the order of the columns and what they may hold, for
// every database (docs/formats/journal.md).
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"

namespace mill::ledger {

// `row` reads the columns one after the other: number(), and bytes(), which is nothing for NULL and
// valid until the next call. kCorrupt for a row that is no entry; `previous` stays zero.
template <class Row>
Result<Entry> read_entry(Row row) {
  Entry e;
  const auto corrupt = [&](std::string_view what) {
    return fail(Code::kCorrupt, fmt::format("entry {}: {}", e.seq, what));
  };
  const auto text = [&] { return row.bytes().value_or(std::string_view()); };
  const auto exactly = [](std::string_view bytes, auto& to) {
    if (bytes.size() != to.size()) return false;
    std::memcpy(to.data(), bytes.data(), to.size());
    return true;
  };
  e.seq = row.number();
  e.at_ns = row.number();
  const int64_t kind = row.number();
  if (kind < 1 || kind > static_cast<int64_t>(Kind::kOverhead))
    return corrupt("its kind is unknown");
  e.kind = static_cast<Kind>(kind);
  if (const auto hold = row.bytes(); hold && !exactly(*hold, e.hold))
    return corrupt("its hold is no id");
  for (uint64_t* n : {&e.payer.org, &e.payer.project, &e.payer.key})
    *n = static_cast<uint64_t>(row.number());
  if (const std::string_view currency = text(); !currency.empty()) {
    auto parsed = parse_currency(currency);
    if (!parsed) return corrupt("its currency is none");
    e.currency = *parsed;
  }
  e.amount = row.number();
  e.held = row.number();
  Buckets& t = e.tokens;
  for (int64_t* n : {&t.input_uncached, &t.input_cache_read, &t.input_cache_write, &t.input_image,
                     &t.output_text, &t.output_reasoning, &t.output_image}) {
    *n = row.number();
  }
  e.model = text();
  e.price_version = row.number();
  const int64_t tier = row.number(), flags = row.number(), reason = row.number();
  if (tier < 0 || tier > 255 || flags < 0 || flags > kFlagMask || reason < 0 ||
      reason >= kReasonCount) {
    return corrupt("its tier, flags or reason is out of range");
  }
  e.tier = static_cast<uint8_t>(tier);
  e.flags = static_cast<uint32_t>(flags);
  e.reason = static_cast<Reason>(reason);
  for (int64_t* n :
       {&e.delivered_bytes, &e.residue, &e.microjoules, &e.energy_cost, &e.co2_micrograms}) {
    *n = row.number();
  }
  e.actor = text();
  e.body = text();
  if (!exactly(text(), e.hash)) return corrupt("its hash is none");
  return e;
}

}  // namespace mill::ledger
