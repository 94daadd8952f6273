#include "ledger/sqlite_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "ledger/bytes.h"
#include "ledger/entry_row.h"
#include "ledger/sqlite_statement.h"

namespace mill::ledger {
namespace {

constexpr std::string_view kFormat = "tokenmill journal";
constexpr int kVersion = 1;

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
// What find() looks for: what begins or ends under an id of its own. Spelled without IN, for which
// SQLite would make a table of its own at every insert; journals of before have that index.
constexpr std::string_view kFound = "hold IS NOT NULL AND (kind = 2 OR kind >= 6)";
constexpr std::string_view kIndex = R"(
DROP INDEX IF EXISTS entry_end;
CREATE INDEX IF NOT EXISTS entry_found ON entry (hold) WHERE {};
)";
// Younger than the others: an older journal gets it when it is opened.
constexpr const char* kKeptSchema =
    "CREATE TABLE IF NOT EXISTS kept (seq INTEGER PRIMARY KEY, name BLOB NOT NULL, "
    "bytes BLOB NOT NULL, checksum BLOB NOT NULL)";
constexpr const char* kColumns =
    "seq, at_ns, kind, hold, org, project, key, currency, amount, held, input_uncached, "
    "input_cache_read, "
    "input_cache_write, input_image, output_text, output_reasoning, output_image, model, "
    "price_version, tier, flags, "
    "reason, delivered_bytes, residue, microjoules, energy_cost, co2_micrograms, actor, body, hash";
constexpr int kColumnCount = 30;

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

// The lock that keeps a second process out for as long as this one lives.
class OwnerLock {
 public:
  OwnerLock() = default;
  OwnerLock(OwnerLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  OwnerLock& operator=(OwnerLock&&) = delete;
  ~OwnerLock() {
    if (file_ >= 0) ::close(file_);
  }
  static Result<OwnerLock> take(const std::filesystem::path& path) {
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

 private:
  int file_ = -1;
};

class SqliteJournal final : public Journal {
 public:
  SqliteJournal(std::filesystem::path file, SqliteOptions options, OwnerLock lock)
      : file_(std::move(file)), options_(std::move(options)), lock_(std::move(lock)) {}

  Status open() {
    MILL_TRY_DO(connect());
    if (!options_.read_only) {
      MILL_TRY(const bool made, make_schema());
      if (made && options_.preallocate) MILL_TRY_DO(fill_log());
    }
    MILL_TRY_DO(check_version());
    if (!options_.read_only) {
      MILL_TRY_DO(run(writer_.get(), fmt::format(kIndex, kFound).c_str(), "making the index"));
    }
    MILL_TRY_DO(prepare_all());
    return read_head();
  }

  std::string where() const override { return file_.string(); }

  Result<Head> head() override {
    const std::lock_guard lock(mutex_);
    if (!known_) return fail(Code::kIo, "the journal must be opened anew after an error");
    return head_;
  }

  Status append(std::span<const Entry> entries) override {
    if (entries.empty()) return {};
    const std::lock_guard lock(mutex_);
    if (!known_) return fail(Code::kIo, "the journal must be opened anew after an error");
    int64_t seq = head_.seq;
    for (const Entry& entry : entries) {
      if (entry.seq != ++seq) {
        return fail(Code::kInvalid, fmt::format("entry {} does not follow {}", entry.seq, seq - 1),
                    "seq");
      }
    }
    known_ = false;  // until it is certain
    MILL_TRY_DO(run(writer_.get(), "BEGIN IMMEDIATE", "beginning to append"));
    for (const Entry& entry : entries) {
      Status added = insert(entry);
      if (added && entry.keepsake) added = keep(entry);
      if (!added) {
        sqlite3_exec(writer_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
        return added;
      }
    }
    if (Status committed = run(writer_.get(), "COMMIT", "appending"); !committed) {
      sqlite3_exec(writer_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
      return committed;
    }
    head_ = {entries.back().seq, entries.back().at_ns, entries.back().hash};
    known_ = true;
    return {};
  }

  Status scan(const Range& range, const Visitor& visit) override {
    const std::lock_guard lock(reading_);
    int64_t from = range.from_seq, to = range.to_seq;
    // Times never decrease along the journal.
    if (range.from_ns != INT64_MIN) {
      MILL_TRY(const int64_t first, first_at(range.from_ns));
      from = std::max(from, first);
    }
    if (range.to_ns != INT64_MAX) {
      MILL_TRY(const int64_t end, first_at(range.to_ns));
      to = std::min(to, end - 1);
    }
    std::string sql = fmt::format("SELECT {} FROM entry WHERE seq BETWEEN ?1 AND ?2", kColumns);
    if (!range.kinds.empty()) {
      sql += " AND kind IN (";
      for (const Kind kind : range.kinds) sql += fmt::format("{},", static_cast<int>(kind));
      sql.back() = ')';
    }
    MILL_TRY(const Statement select, prepare(reader_.get(), sql + " ORDER BY seq"));
    if (!Binder(select.get()).number(from).number(to).good())
      return fail(Code::kIo, "binding a range");
    Hash256 previous{};
    if (range.kinds.empty() && from > 1) {
      MILL_TRY(previous, hash_of(from - 1));
    }
    int code = 0;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
      MILL_TRY(Entry entry, entry_of(select.get()));
      if (range.kinds.empty()) entry.previous = std::exchange(previous, entry.hash);
      MILL_TRY_DO(visit(entry));
    }
    if (code != SQLITE_DONE) return failed(reader_.get(), "reading entries", code);
    return {};
  }

  Result<std::vector<Entry>> find(const HoldId& id, int64_t before_seq) override {
    const std::lock_guard lock(finding_);
    sqlite3_stmt* select = find_.get();
    if (!Binder(select).blob(id.data(), id.size()).number(before_seq).good())
      return fail(Code::kIo, "binding an id");
    std::vector<Entry> found;
    int code = 0;
    while ((code = sqlite3_step(select)) == SQLITE_ROW) {
      auto entry = entry_of(select);
      if (!entry) {
        sqlite3_reset(select);
        return fail(std::move(entry).error());
      }
      found.push_back(std::move(*entry));
    }
    sqlite3_reset(select);
    if (code != SQLITE_DONE) return failed(finder_.get(), "looking up an id", code);
    return found;
  }

  Status save_checkpoint(std::string_view name, const Checkpoint& checkpoint) override {
    const std::lock_guard lock(mutex_);
    const Hash256 checksum = sha256(checkpoint.bytes);
    MILL_TRY(const Statement put,
             prepare(writer_.get(),
                     "INSERT OR REPLACE INTO checkpoint (name, seq, entry_hash, bytes, checksum) "
                     "VALUES (?, ?, ?, ?, ?)"));
    Binder(put.get())
        .text(name)
        .number(checkpoint.seq)
        .blob(checkpoint.entry_hash.data(), checkpoint.entry_hash.size())
        .blob(checkpoint.bytes.data(), checkpoint.bytes.size())
        .blob(checksum.data(), checksum.size());
    const int code = sqlite3_step(put.get());
    if (code != SQLITE_DONE) return failed(writer_.get(), "saving a checkpoint", code);
    return {};
  }

  Result<std::optional<Checkpoint>> load_checkpoint(std::string_view name) override {
    const std::lock_guard lock(reading_);
    MILL_TRY(const Statement get,
             prepare(reader_.get(),
                     "SELECT seq, entry_hash, bytes, checksum FROM checkpoint WHERE name = ?"));
    Binder(get.get()).text(name);
    const int code = sqlite3_step(get.get());
    if (code == SQLITE_DONE) return std::optional<Checkpoint>();
    if (code != SQLITE_ROW) return failed(reader_.get(), "loading a checkpoint", code);
    Checkpoint found;
    Hash256 checksum;
    found.seq = sqlite3_column_int64(get.get(), 0);
    found.bytes = blob_of(get.get(), 2);
    if (!read_bytes(get.get(), 1, found.entry_hash) || !read_bytes(get.get(), 3, checksum) ||
        checksum != sha256(found.bytes)) {
      return std::optional<Checkpoint>();
    }
    return std::optional(std::move(found));
  }

  Status keepsakes(const KeepsakeVisitor& visit) override {
    const std::lock_guard lock(reading_);
    MILL_TRY(const Statement select,
             prepare(reader_.get(),
                     "SELECT kept.seq, at_ns, name, bytes, checksum FROM kept JOIN entry "
                     "USING (seq) ORDER BY kept.seq"));
    int code = 0;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
      Hash256 checksum;
      const std::string_view bytes = blob_of(select.get(), 3);
      if (!read_bytes(select.get(), 4, checksum) || checksum != sha256(bytes)) continue;
      MILL_TRY_DO(
          visit(sqlite3_column_int64(select.get(), 0), sqlite3_column_int64(select.get(), 1),
                {.name = std::string(blob_of(select.get(), 2)), .bytes = std::string(bytes)}));
    }
    if (code != SQLITE_DONE) return failed(reader_.get(), "reading what is kept", code);
    return {};
  }

  Status reopen() override {
    const std::scoped_lock lock(mutex_, reading_, finding_);
    known_ = false;
    drop();
    MILL_TRY_DO(connect());
    MILL_TRY_DO(check_version());
    MILL_TRY_DO(prepare_all());
    return read_head();
  }

 private:
  void drop() {
    insert_.reset(), keep_.reset(), forget_.reset();
    find_.reset(), first_.reset(), hash_.reset();
    writer_.reset(), reader_.reset(), finder_.reset();
  }

  Result<Database> connection(bool read_only) const {
    sqlite3* raw = nullptr;
    const int flags =
        (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(file_.c_str(), &raw, flags,
                                     options_.vfs.empty() ? nullptr : options_.vfs.c_str());
    Database db(raw);
    if (code != SQLITE_OK) {
      if (read_only && !std::filesystem::exists(file_))
        return fail(Code::kNotFound, "there is no file " + file_.string());
      return failed(db.get(), "opening " + file_.string(), code);
    }
    sqlite3_busy_timeout(db.get(), 5000);
    return db;
  }

  Status connect() {
    if (!options_.read_only) {
      MILL_TRY(writer_, connection(false));
      // EXTRA is FULL, and syncs the folder too: the switch to the log is made with a rollback
      // journal, which after a loss of power may not be there again.
      MILL_TRY_DO(run(writer_.get(), "PRAGMA synchronous = EXTRA", "opening"));
      MILL_TRY_DO(use_log());
      MILL_TRY_DO(renew_log());
      const std::string pages = fmt::format("PRAGMA wal_autocheckpoint = {}", options_.wal_pages);
      MILL_TRY_DO(run(writer_.get(), pages.c_str(), "opening"));
    }
    MILL_TRY(reader_, connection(true));
    MILL_TRY(finder_, connection(true));
    return {};
  }

  // SQLite says which mode it is in then, and no error where that is another.
  Status use_log() {
    MILL_TRY(const Statement set, prepare(writer_.get(), "PRAGMA journal_mode = WAL"));
    const int code = sqlite3_step(set.get());
    if (code != SQLITE_ROW) return failed(writer_.get(), "opening " + file_.string(), code);
    if (const std::string_view mode = text_of(set.get(), 0); mode != "wal") {
      return fail(Code::kIo, fmt::format("{}: no write-ahead log can be used there, only '{}'",
                                         file_.string(), mode));
    }
    return {};
  }

  // What can be read in the log may not be on the disk: a process died before the sync, or a sync
  // failed, and Linux then takes for written what it did not write, and no later sync brings it to
  // the disk. So the log is written over with its own bytes, and synced, before anybody believes
  // it.
  Status renew_log() {
    MILL_TRY_DO(run(writer_.get(), "SELECT count(*) FROM sqlite_schema", "opening"));
    sqlite3_file* log = nullptr;
    int code = sqlite3_file_control(writer_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
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

  // Whether there was none.
  Result<bool> make_schema() {
    MILL_TRY_DO(run(writer_.get(), "BEGIN IMMEDIATE", "looking at " + file_.string()));
    MILL_TRY(const Statement count, prepare(writer_.get(), "SELECT count(*) FROM sqlite_schema"));
    const bool empty =
        sqlite3_step(count.get()) == SQLITE_ROW && sqlite3_column_int64(count.get(), 0) == 0;
    sqlite3_reset(count.get());
    Status made;
    if (empty) {
      made = run(writer_.get(), kSchema, "making the journal");
      const std::string meta = fmt::format(
          "INSERT INTO meta VALUES ('format', '{}'), ('version', '{}')", kFormat, kVersion);
      if (made) made = run(writer_.get(), meta.c_str(), "making the journal");
    }
    if (made) made = run(writer_.get(), "COMMIT", "making the journal");
    if (!made) {
      sqlite3_exec(writer_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
      return fail(std::move(made).error());
    }
    return empty;
  }

  // Fills the log once, so that later writes of it do not grow a file.
  Status fill_log() {
    const std::string fill = fmt::format(
        "BEGIN; CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob({})); DROP "
        "TABLE filler; COMMIT;"
        "PRAGMA wal_checkpoint(RESTART);",
        int64_t{options_.wal_pages} * 4096);
    return run(writer_.get(), fill.c_str(), "preparing the log");
  }

  Status check_version() {
    auto select = prepare(reader_.get(), "SELECT name, value FROM meta");
    if (!select) {
      if (select.error().code == Code::kCorrupt) return fail(std::move(select).error());
      return fail(Code::kUnsupported, file_.string() + " is a database of something else");
    }
    std::string format, version;
    int code = 0;
    while ((code = sqlite3_step(select->get())) == SQLITE_ROW) {
      (text_of(select->get(), 0) == "format" ? format : version) = text_of(select->get(), 1);
    }
    if (code != SQLITE_DONE) return failed(reader_.get(), "reading the version", code);
    if (format != kFormat || version != std::to_string(kVersion)) {
      return fail(Code::kUnsupported,
                  fmt::format("{} is version '{}' of '{}'; this program keeps version {} of '{}'",
                              file_.string(), version, format, kVersion, kFormat));
    }
    return {};
  }

  Status prepare_all() {
    if (!options_.read_only) {
      std::string sql = fmt::format("INSERT INTO entry ({}) VALUES (", kColumns);
      for (int i = 0; i < kColumnCount; ++i) sql += "?,";
      sql.back() = ')';
      MILL_TRY(insert_, prepare(writer_.get(), sql));
      MILL_TRY_DO(run(writer_.get(), kKeptSchema, "making a table"));
      MILL_TRY(keep_, prepare(writer_.get(),
                              "INSERT INTO kept (seq, name, bytes, checksum) VALUES (?, ?, ?, ?)"));
      MILL_TRY(forget_, prepare(writer_.get(), "DELETE FROM kept WHERE seq <= ?"));
    }
    MILL_TRY(find_, prepare(finder_.get(),
                            fmt::format("SELECT {} FROM entry WHERE hold = ?1 AND {} AND seq < ?2 "
                                        "ORDER BY seq",
                                        kColumns, kFound)));
    MILL_TRY(first_, prepare(reader_.get(), "SELECT at_ns FROM entry WHERE seq = ?"));
    MILL_TRY(hash_, prepare(reader_.get(), "SELECT hash FROM entry WHERE seq = ?"));
    return {};
  }

  Status read_head() {
    MILL_TRY(
        const Statement last,
        prepare(reader_.get(), "SELECT seq, at_ns, hash FROM entry ORDER BY seq DESC LIMIT 1"));
    head_ = {};
    const int code = sqlite3_step(last.get());
    if (code == SQLITE_ROW) {
      head_.seq = sqlite3_column_int64(last.get(), 0);
      head_.at_ns = sqlite3_column_int64(last.get(), 1);
      if (!read_bytes(last.get(), 2, head_.hash))
        return fail(Code::kCorrupt, "the last entry has no hash");
    } else if (code != SQLITE_DONE) {
      return failed(reader_.get(), "reading the last entry", code);
    }
    known_ = true;
    return {};
  }

  Status insert(const Entry& e) {
    Binder bind(insert_.get());
    const std::string currency = to_string(e.currency);
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
    bind.number(int64_t{static_cast<uint8_t>(e.reason)})
        .number(e.delivered_bytes)
        .number(e.residue);
    bind.number(e.microjoules).number(e.energy_cost).number(e.co2_micrograms).text(e.actor);
    bind.blob(e.body.data(), e.body.size()).blob(e.hash.data(), e.hash.size());
    if (!bind.good()) return fail(Code::kIo, "binding an entry");
    const int code = sqlite3_step(insert_.get());
    sqlite3_reset(insert_.get());
    if (code != SQLITE_DONE) return failed(writer_.get(), "appending an entry", code);
    return {};
  }

  // What is to be kept beside an entry, and what is to go for it.
  Status keep(const Entry& entry) {
    const Keepsake& kept = *entry.keepsake;
    const Hash256 checksum = sha256(kept.bytes);
    const auto done = [&](sqlite3_stmt* statement) -> Status {
      const int code = sqlite3_step(statement);
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
      if (code != SQLITE_DONE) return failed(writer_.get(), "keeping something", code);
      return {};
    };
    if (kept.forget_through > 0) {
      Binder(forget_.get()).number(kept.forget_through);
      MILL_TRY_DO(done(forget_.get()));
    }
    Binder bind(keep_.get());
    bind.number(entry.seq)
        .blob(kept.name.data(), kept.name.size())
        .blob(kept.bytes.data(), kept.bytes.size())
        .blob(checksum.data(), checksum.size());
    if (!bind.good()) return fail(Code::kIo, "binding what is kept");
    return done(keep_.get());
  }

  Result<Hash256> hash_of(int64_t seq) {
    Binder(hash_.get()).number(seq);
    Hash256 hash{};
    if (sqlite3_step(hash_.get()) == SQLITE_ROW) read_bytes(hash_.get(), 0, hash);
    sqlite3_reset(hash_.get());
    return hash;
  }

  // The first entry at or after an instant, one past the last where there is none.
  Result<int64_t> first_at(int64_t at_ns) {
    MILL_TRY(const Statement ends,
             prepare(reader_.get(), "SELECT coalesce(max(seq), 0) FROM entry"));
    const int code = sqlite3_step(ends.get());
    if (code != SQLITE_ROW) return failed(reader_.get(), "reading the last entry", code);
    int64_t low = 1, high = sqlite3_column_int64(ends.get(), 0) + 1;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      Binder(first_.get()).number(middle);
      const int row = sqlite3_step(first_.get());
      const int64_t at = row == SQLITE_ROW ? sqlite3_column_int64(first_.get(), 0) : 0;
      sqlite3_reset(first_.get());
      if (row != SQLITE_ROW)
        return fail(Code::kCorrupt, fmt::format("entry {} is missing", middle));
      at < at_ns ? low = middle + 1 : high = middle;
    }
    return low;
  }

  const std::filesystem::path file_;
  const SqliteOptions options_;
  OwnerLock lock_;
  std::mutex mutex_;    // of the writing connection and the head
  std::mutex reading_;  // of the reading connection; held while visitors run
  // Of the connection that find() has to itself: whoever books may wait for it under locks of its
  // own, which a visitor may want.
  std::mutex finding_;
  Database writer_, reader_, finder_;
  Statement insert_, keep_, forget_, find_, first_, hash_;
  Head head_;
  bool known_ = false;
};

}  // namespace

Result<std::unique_ptr<Journal>> open_sqlite_journal(const std::filesystem::path& file,
                                                     SqliteOptions options) {
  OwnerLock lock;
  std::filesystem::path lock_file = file;
  lock_file += ".lock";
  if (options.lock && !options.read_only) {
    MILL_TRY(OwnerLock taken, OwnerLock::take(lock_file));
    auto journal = std::make_unique<SqliteJournal>(file, std::move(options), std::move(taken));
    MILL_TRY_DO(journal->open());
    return std::unique_ptr<Journal>(std::move(journal));
  }
  auto journal = std::make_unique<SqliteJournal>(file, std::move(options), std::move(lock));
  MILL_TRY_DO(journal->open());
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace mill::ledger
