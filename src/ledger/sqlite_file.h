// A journal's SQLite file from without: its lock, its connections, its log, its tables and their
// version. What sqlite_journal.cc does before it reads and writes entries.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "ledger/sqlite_statement.h"

namespace mill::ledger {

// What find() looks for: what begins or ends under an id of its own. Spelled without IN, for which
// SQLite would make a table of its own at every insert; journals of before have that index.
inline constexpr std::string_view kFound = "hold IS NOT NULL AND (kind = 2 OR kind >= 6)";

// The lock that keeps a second process out for as long as this one lives.
class OwnerLock {
 public:
  OwnerLock() = default;
  OwnerLock(OwnerLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  OwnerLock& operator=(OwnerLock&&) = delete;
  ~OwnerLock();
  // kPermission: another process has it.
  static Result<OwnerLock> take(const std::filesystem::path& path);

 private:
  int file_ = -1;
};

// kNotFound, kIo.
Result<Database> open_sqlite(const std::filesystem::path& file, const std::string& vfs,
                             bool read_only);
// Switches to the write-ahead log.
Status use_log(sqlite3* db, const std::filesystem::path& file);
// Makes durable what can be read in the log.
Status renew_log(sqlite3* db);
// Makes the tables where there is nothing; whether there was nothing.
Result<bool> make_schema(sqlite3* db, const std::filesystem::path& file);
// What an older journal gets when it is opened to write: the index, and the table `kept`.
Status make_younger_schema(sqlite3* db);
// Fills the log once with so many pages, so that later writes of it do not grow a file.
Status fill_log(sqlite3* db, int pages);
// Whether it is a journal of a version that this program keeps; an older one becomes one of today
// where there is a `writer`. What a transaction that failed has left in the log is written over.
// kUnsupported, kCorrupt.
Status check_version(sqlite3* reader, sqlite3* writer, const std::filesystem::path& file);

}  // namespace mill::ledger
