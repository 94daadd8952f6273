#include "ledger/postgres_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "ledger/entry_row.h"

namespace mill::ledger {
namespace {

using Type = PostgresType;

struct Column {
  const char* name;
  Type type;
};
// In the order of the table, of a SELECT and of a batch's rows.
constexpr std::array kTable = {Column{"seq", Type::kInt8},
                               Column{"at_ns", Type::kInt8},
                               Column{"kind", Type::kInt2},
                               Column{"hold", Type::kBytea},
                               Column{"org", Type::kInt8},
                               Column{"project", Type::kInt8},
                               Column{"key", Type::kInt8},
                               Column{"currency", Type::kText},
                               Column{"amount", Type::kInt8},
                               Column{"held", Type::kInt8},
                               Column{"input_uncached", Type::kInt8},
                               Column{"input_cache_read", Type::kInt8},
                               Column{"input_cache_write", Type::kInt8},
                               Column{"input_image", Type::kInt8},
                               Column{"output_text", Type::kInt8},
                               Column{"output_reasoning", Type::kInt8},
                               Column{"output_image", Type::kInt8},
                               Column{"model", Type::kText},
                               Column{"price_version", Type::kInt8},
                               Column{"tier", Type::kInt2},
                               Column{"flags", Type::kInt4},
                               Column{"reason", Type::kInt2},
                               Column{"delivered_bytes", Type::kInt8},
                               Column{"residue", Type::kInt8},
                               Column{"microjoules", Type::kInt8},
                               Column{"energy_cost", Type::kInt8},
                               Column{"co2_micrograms", Type::kInt8},
                               Column{"actor", Type::kText},
                               Column{"body", Type::kBytea},
                               Column{"hash", Type::kBytea}};

const char* name_of(Type type) {
  switch (type) {
    case Type::kBytea:
      return "bytea";
    case Type::kInt8:
      return "bigint";
    case Type::kInt2:
      return "smallint";
    case Type::kInt4:
      return "integer";
    case Type::kText:
      return "text";
  }
  return "";
}

std::string join(const auto& part) {
  std::string all;
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (i > 0) all += ", ";
    all += part(i);
  }
  return all;
}

const std::string& columns() {
  static const std::string names = join([](size_t i) { return std::string(kTable[i].name); });
  return names;
}

const std::string& schema() {
  static const std::string sql = fmt::format(
      "CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);"
      "CREATE TABLE owner (one boolean PRIMARY KEY CHECK (one), epoch bigint NOT NULL, "
      "who text NOT NULL);"
      "INSERT INTO owner VALUES (true, 0, '');"
      "CREATE TABLE entry ({});"
      "CREATE INDEX entry_end ON entry (hold) "
      "WHERE hold IS NOT NULL AND kind IN (2, 6, 7, 8, 9, 10);"
      "CREATE TABLE checkpoint (name text PRIMARY KEY, seq bigint NOT NULL, "
      "entry_hash bytea NOT NULL, bytes bytea NOT NULL, checksum bytea NOT NULL);",
      join([](size_t i) {
        const std::string_view column = kTable[i].name;
        return fmt::format("{} {}{}", column, name_of(kTable[i].type),
                           column == "seq"    ? " PRIMARY KEY"
                           : column == "hold" ? ""
                                              : " NOT NULL");
      }));
  return sql;
}

template <size_t N>
std::string_view view(const std::array<uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

}  // namespace

const std::string& postgres_schema() {
  return schema();
}
const std::string& postgres_columns() {
  return columns();
}

Result<Entry> entry_of(const PostgresRows& rows, int row) {
  struct Columns {
    const PostgresRows& rows;
    int row;
    int at = 0;
    int64_t number() { return rows.number(row, at++); }
    std::optional<std::string_view> bytes() {
      const int column = at++;
      if (rows.is_null(row, column)) return std::nullopt;
      return rows.bytes(row, column);
    }
  };
  return read_entry(Columns{rows, row});
}

std::string PostgresBatch::insert_statement() {
  return fmt::format(
      "WITH own AS MATERIALIZED (SELECT 1 FROM owner WHERE epoch = $2::int8 FOR SHARE) "
      "INSERT INTO entry ({0}) SELECT {0} FROM own, unnest($1::entry[]) AS batch",
      columns());
}

PostgresValues PostgresBatch::values(std::span<const Entry> entries, uint32_t row_type,
                                     int64_t epoch) {
  rows_.clear(row_type);
  for (const Entry& e : entries) {
    size_t column = 0;
    const auto number = [&](int64_t value) { rows_.field(kTable[column++].type, value); };
    const auto bytes = [&](std::string_view value) { rows_.field(kTable[column++].type, value); };
    rows_.begin_row(static_cast<int32_t>(kTable.size()));
    number(e.seq);
    number(e.at_ns);
    number(static_cast<uint8_t>(e.kind));
    is_none(e.hold) ? rows_.null_field(kTable[column++].type) : bytes(view(e.hold));
    for (const uint64_t n : {e.payer.org, e.payer.project, e.payer.key}) {
      number(static_cast<int64_t>(n));
    }
    bytes(to_string(e.currency));
    number(e.amount);
    number(e.held);
    const Buckets& t = e.tokens;
    for (const int64_t n : {t.input_uncached, t.input_cache_read, t.input_cache_write,
                            t.input_image, t.output_text, t.output_reasoning, t.output_image}) {
      number(n);
    }
    bytes(e.model);
    for (const int64_t n : {e.price_version, int64_t{e.tier}, int64_t{e.flags},
                            int64_t{static_cast<uint8_t>(e.reason)}, e.delivered_bytes, e.residue,
                            e.microjoules, e.energy_cost, e.co2_micrograms}) {
      number(n);
    }
    bytes(e.actor);
    bytes(e.body);
    bytes(view(e.hash));
    rows_.end_row();
  }
  PostgresValues all;
  all.bytes(rows_.finish());
  all.number(epoch);
  return all;
}

}  // namespace mill::ledger
