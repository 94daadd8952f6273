// The journal in a PostgreSQL database (13 or later).
//
// A batch is one statement: one round trip, one transaction, and the server has it on the disk when
// it answers. One process owns the journal, by two fences. The session that writes holds an
// advisory lock, so a second owner waits until that session has ended, in whatever state its last
// statement was; and each owner counts `owner.epoch` up, which every append reads and locks in its
// own transaction, so an owner whose lock went astray writes nothing. A connection that breaks
// leaves the last append unknown: reopen() makes sure that the old session is over before it looks.
//
// The server is to be reached directly or by a pooler that keeps sessions: a lock of a session is
// nothing to one that pools transactions. Format: docs/formats/journal.md.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/journal.h"

namespace mill::ledger {

struct PostgresOptions {
  bool read_only = false;   // for verification and export: needs no owner, refuses to append
  int connect_seconds = 5;  // per address of the host; at least 2
  Duration statement = std::chrono::seconds(20);  // the longest that one statement may take
  Duration owner_wait = std::chrono::seconds(2);  // for a former owner's session to end
};

// Opens the journal in the database and schema that `url` names, or makes it there (not when
// read_only). kInvalid (no such address), kNotFound (read_only, and there is none), kPermission
// (also: another process owns it), kUnsupported (another version, a schema with something else, a
// server that does not sync), kCorrupt, kIo. No message has the password.
Result<std::unique_ptr<Journal>> open_postgres_journal(const std::string& url,
                                                       PostgresOptions options = {});

}  // namespace mill::ledger
