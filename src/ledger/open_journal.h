// The journal that an address names: a file (SQLite), or postgres://USER@HOST:PORT/DATABASE.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/journal.h"

namespace mill::ledger {

// Opens it, or makes it (not when `read_only`: that is for verification and export beside the
// owner). Fails as open_sqlite_journal and open_postgres_journal do; kInvalid for an empty address
// and for a scheme that is neither.
Result<std::unique_ptr<Journal>> open_journal(const std::string& address, bool read_only = false);

}  // namespace mill::ledger
