#include "ledger/sqlite_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace mill::ledger {
namespace {

constexpr std::string_view kFormat = "tokenmill journal";
// 2: what the tables do not have yet may be in the tail. A journal of 1 becomes one of 2 when it is
// opened to write.
constexpr int kVersion = 2, kOldestVersion = 1;

constexpr const char* kSchema = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind INTEGER NOT NULL, hold BLOB,
  org INTEGER NOT NULL, project INTEGER NOT NULL, key INTEGER NOT NULL,
  currency TEXT NOT NULL, amount INTEGER NOT NULL, held INTEGER NOT NULL,
  input_uncached INTEGER NOT NULL, input_cache_read INTEGER NOT NULL, input_cache_write INTEGER NOT NULL,
  input_image INTEGER NOT NULL, output_text INTEGER NOT NULL, output_reasoning INTEGER NOT NULL,
  output_image INTEGER NOT NULL, model TEXT NOT NULL, price_version INTEGER NOT NULL, tier INTEGER NOT NULL,
  flags INTEGER NOT NULL, reason INTEGER NOT NULL, delivered_bytes INTEGER NOT NULL, residue INTEGER NOT NULL,
  microjoules INTEGER NOT NULL, energy_cost INTEGER NOT NULL, co2_micrograms INTEGER NOT NULL,
  actor TEXT NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE checkpoint (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, entry_hash BLOB NOT NULL,
  bytes BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
)";
constexpr std::string_view kIndex = R"(
DROP INDEX IF EXISTS entry_end;
CREATE INDEX IF NOT EXISTS entry_found ON entry (hold) WHERE {};
)";
// Younger than the others: an older journal gets it when it is opened.
constexpr const char* kKeptSchema =
    "CREATE TABLE IF NOT EXISTS kept (seq INTEGER PRIMARY KEY, name BLOB NOT NULL, "
    "bytes BLOB NOT NULL, checksum BLOB NOT NULL)";

}  // namespace

OwnerLock::~OwnerLock() {
  if (file_ >= 0) ::close(file_);
}

Result<OwnerLock> OwnerLock::take(const std::filesystem::path& path) {
  OwnerLock lock;
  lock.file_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock.file_ < 0)
    return fail(Code::kIo, fmt::format("{}: {}", path.string(), std::strerror(errno)));
  if (::flock(lock.file_, LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::kPermission,
                fmt::format("another process keeps these books ({} is locked)", path.string()));
  }
  return lock;
}

Result<Database> open_sqlite(const std::filesystem::path& file, const std::string& vfs,
                             bool read_only) {
  sqlite3* raw = nullptr;
  const int flags =
      (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(file.c_str(), &raw, flags, vfs.empty() ? nullptr : vfs.c_str());
  Database db(raw);
  if (code != SQLITE_OK) {
    if (read_only && !std::filesystem::exists(file))
      return fail(Code::kNotFound, "there is no file " + file.string());
    return failed(db.get(), "opening " + file.string(), code);
  }
  sqlite3_busy_timeout(db.get(), 5000);
  return db;
}

// SQLite says which mode it is in then, and no error where that is another.
Status use_log(sqlite3* db, const std::filesystem::path& file) {
  MILL_TRY(const Statement set, prepare(db, "PRAGMA journal_mode = WAL"));
  const int code = sqlite3_step(set.get());
  if (code != SQLITE_ROW) return failed(db, "opening " + file.string(), code);
  if (const std::string_view mode = text_of(set.get(), 0); mode != "wal") {
    return fail(Code::kIo, fmt::format("{}: no write-ahead log can be used there, only '{}'",
                                       file.string(), mode));
  }
  return {};
}

// What can be read in the log may not be on the disk: a process died before the sync, or a sync
// failed, and Linux then takes for written what it did not write, and no later sync brings it to
// the disk. So the log is written over with its own bytes, and synced, before anybody believes
// it.
Status renew_log(sqlite3* db) {
  MILL_TRY_DO(run(db, "SELECT count(*) FROM sqlite_schema", "opening"));
  sqlite3_file* log = nullptr;
  int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  sqlite3_int64 size = 0;
  if (code == SQLITE_OK && log && log->pMethods) code = log->pMethods->xFileSize(log, &size);
  std::vector<char> bytes(1 << 16);  // SQLite writes less than 128 KiB at a time
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size;) {
    const int some = static_cast<int>(std::min<sqlite3_int64>(size - at, 1 << 16));
    code = log->pMethods->xRead(log, bytes.data(), some, at);
    if (code == SQLITE_OK) code = log->pMethods->xWrite(log, bytes.data(), some, at);
    at += some;
  }
  if (code == SQLITE_OK && size > 0) code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (code == SQLITE_OK) return {};
  return fail(Code::kIo, fmt::format("syncing the log: {}", sqlite3_errstr(code)));
}

Result<bool> make_schema(sqlite3* db, const std::filesystem::path& file) {
  MILL_TRY_DO(run(db, "BEGIN IMMEDIATE", "looking at " + file.string()));
  MILL_TRY(const Statement count, prepare(db, "SELECT count(*) FROM sqlite_schema"));
  const bool empty =
      sqlite3_step(count.get()) == SQLITE_ROW && sqlite3_column_int64(count.get(), 0) == 0;
  sqlite3_reset(count.get());
  Status made;
  if (empty) {
    made = run(db, kSchema, "making the journal");
    const std::string meta = fmt::format(
        "INSERT INTO meta VALUES ('format', '{}'), ('version', '{}')", kFormat, kVersion);
    if (made) made = run(db, meta.c_str(), "making the journal");
  }
  if (made) made = run(db, "COMMIT", "making the journal");
  if (!made) {
    sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
    return fail(std::move(made).error());
  }
  return empty;
}

Status fill_log(sqlite3* db, int pages) {
  const std::string fill = fmt::format(
      "BEGIN; CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob({})); DROP "
      "TABLE filler; COMMIT;"
      "PRAGMA wal_checkpoint(RESTART);",
      int64_t{pages} * 4096);
  return run(db, fill.c_str(), "preparing the log");
}

Status make_younger_schema(sqlite3* db) {
  MILL_TRY_DO(run(db, fmt::format(kIndex, kFound).c_str(), "making the index"));
  return run(db, kKeptSchema, "making a table");
}

Status check_version(sqlite3* reader, sqlite3* writer, const std::filesystem::path& file) {
  auto select = prepare(reader, "SELECT name, value FROM meta");
  if (!select) {
    if (select.error().code == Code::kCorrupt) return fail(std::move(select).error());
    return fail(Code::kUnsupported, file.string() + " is a database of something else");
  }
  std::string format, version;
  int code = 0;
  while ((code = sqlite3_step(select->get())) == SQLITE_ROW) {
    (text_of(select->get(), 0) == "format" ? format : version) = text_of(select->get(), 1);
  }
  if (code != SQLITE_DONE) return failed(reader, "reading the version", code);
  const bool older = version == std::to_string(kOldestVersion);
  if (format != kFormat || (version != std::to_string(kVersion) && !older)) {
    return fail(Code::kUnsupported,
                fmt::format("{} is version '{}' of '{}'; this program keeps version {} of '{}'",
                            file.string(), version, format, kVersion, kFormat));
  }
  if (!writer) return {};
  if (older) {
    const std::string renew =
        fmt::format("UPDATE meta SET value = '{}' WHERE name = 'version'", kVersion);
    MILL_TRY_DO(run(writer, renew.c_str(), "renewing the version"));
  }
  // A transaction that failed may stand whole in the log, behind the end that its index knows, and
  // would be there again after a loss of power. This one is written over its beginning, before
  // anything is acknowledged by the tail alone. (Of an UPDATE that changes nothing SQLite writes
  // nothing.)
  const std::string end = fmt::format("PRAGMA user_version = {}", kVersion);
  return run(writer, end.c_str(), "ending the log");
}

}  // namespace mill::ledger
