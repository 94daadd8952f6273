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

// The columns of a batch. Its buffers are kept from batch to batch.
class PostgresBatch {
 public:
  PostgresBatch();
  // INSERT of all of them where `owner.epoch` is the last parameter; changed() is 0 where it is
  // not.
  static std::string insert_statement();
  // The arrays of `entries`, then `epoch`; valid until the next call.
  PostgresValues values(std::span<const Entry> entries, int64_t epoch);

 private:
  std::vector<PostgresArray> columns_;
};

}  // namespace mill::ledger
