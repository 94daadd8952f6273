// An entry as a row of PostgreSQL: its columns, and the arrays in which a batch travels.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/postgres_connection.h"

namespace mill::ledger {

// The tables, but what stands in `meta`.
const std::string& postgres_schema();
// Of a SELECT that entry_of() reads.
const std::string& postgres_columns();

// The entry in a row; kCorrupt for one that is none. `previous` stays zero.
Result<Entry> entry_of(const PostgresRows& rows, int row);

// A batch as one array of rows. Its buffer is kept from batch to batch.
class PostgresBatch {
 public:
  // Appends $1, an array of rows, where `owner.epoch` is $2; changed() is 0 where it is not. The
  // arrays of single columns, thirty of them, take the server twice as long.
  static std::string insert_statement();
  // `row_type`: the OID of the table's row type. Valid until the next call.
  PostgresValues values(std::span<const Entry> entries, uint32_t row_type, int64_t epoch);

 private:
  PostgresArray rows_{PostgresType::kInt8};
};

}  // namespace mill::ledger
