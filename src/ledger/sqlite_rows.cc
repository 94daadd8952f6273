#include "ledger/sqlite_rows.h"

#include <optional>
#include <string_view>

#include "ledger/entry_row.h"
#include "ledger/sqlite_statement.h"

namespace mill::ledger {

Result<Entry> entry_of(sqlite3_stmt* row) {
  struct Columns {
    sqlite3_stmt* row;
    int at = 0;
    int64_t number() { return sqlite3_column_int64(row, at++); }
    std::optional<std::string_view> bytes() {
      const int column = at++;
      if (sqlite3_column_type(row, column) == SQLITE_NULL) return std::nullopt;
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(row, column));
      const auto size = static_cast<size_t>(sqlite3_column_bytes(row, column));
      return bytes ? std::string_view(bytes, size) : std::string_view();
    }
  };
  return read_entry(Columns{row});
}

bool bind_entry(sqlite3_stmt* insert, const Entry& e, std::string_view currency) {
  Binder bind(insert);
  bind.number(e.seq).number(e.at_ns).number(int64_t{static_cast<uint8_t>(e.kind)});
  is_none(e.hold) ? bind.nothing() : bind.blob(e.hold.data(), e.hold.size());
  bind.number(e.payer.org)
      .number(e.payer.project)
      .number(e.payer.key)
      .text(currency)
      .number(e.amount)
      .number(e.held);
  const Buckets& t = e.tokens;
  bind.number(t.input_uncached)
      .number(t.input_cache_read)
      .number(t.input_cache_write)
      .number(t.input_image);
  bind.number(t.output_text).number(t.output_reasoning).number(t.output_image);
  bind.text(e.model).number(e.price_version).number(int64_t{e.tier}).number(int64_t{e.flags});
  bind.number(int64_t{static_cast<uint8_t>(e.reason)}).number(e.delivered_bytes).number(e.residue);
  bind.number(e.microjoules).number(e.energy_cost).number(e.co2_micrograms).text(e.actor);
  bind.blob(e.body.data(), e.body.size()).blob(e.hash.data(), e.hash.size());
  return bind.good();
}

}  // namespace mill::ledger
