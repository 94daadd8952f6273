#include "ledger/open_journal.h"

#include "ledger/postgres_journal.h"
#include "ledger/sqlite_journal.h"

namespace mill::ledger {

Result<std::unique_ptr<Journal>> open_journal(const std::string& address, bool read_only) {
  if (address.empty()) return fail(Code::kInvalid, "the address of the journal is empty");
  if (address.starts_with("postgres://") || address.starts_with("postgresql://")) {
    return open_postgres_journal(address, {.read_only = read_only});
  }
  // The rest of an address may have a password in it.
  if (const size_t scheme = address.find("://"); scheme != std::string::npos) {
    return fail(Code::kInvalid,
                "a journal is a file or postgres://…, not " + address.substr(0, scheme) + "://…");
  }
  return open_sqlite_journal(address, {.read_only = read_only});
}

}  // namespace mill::ledger
