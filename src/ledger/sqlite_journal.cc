#include "ledger/sqlite_journal.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "ledger/bytes.h"
#include "ledger/sqlite_file.h"
#include "ledger/sqlite_rows.h"
#include "ledger/sqlite_statement.h"
#include "ledger/tail_file.h"

namespace mill::ledger {
namespace {

// What waits in the tail is moved when it is so many entries, or so old.
constexpr size_t kMoveAt = 256;
constexpr Duration kMoveAfter = std::chrono::milliseconds(20);

class SqliteJournal final : public Journal {
 public:
  SqliteJournal(std::filesystem::path file, SqliteOptions options, OwnerLock lock)
      : file_(std::move(file)), options_(std::move(options)), lock_(std::move(lock)) {}

  ~SqliteJournal() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    move_.notify_one();
    if (!mover_.joinable()) return;
    mover_.join();
    const std::lock_guard writing(writing_);
    if (const Status moved = move_waiting(); !moved) {
      log_error("entries stay in the tail of the journal")
          .add("journal", where())
          .add("error", moved.error().message);
    }
  }

  Status open() {
    const std::lock_guard writing(writing_);
    MILL_TRY_DO(connect());
    if (!options_.read_only) {
      MILL_TRY(const bool made, make_schema(writer_.get(), file_));
      if (made && options_.preallocate) MILL_TRY_DO(fill_log(writer_.get(), options_.wal_pages));
    }
    MILL_TRY_DO(check_version(reader_.get(), writer_.get(), file_));
    if (!options_.read_only) {
      MILL_TRY_DO(make_younger_schema(writer_.get()));
    }
    MILL_TRY_DO(prepare_all());
    MILL_TRY_DO(read_head());
    MILL_TRY_DO(open_tail());
    if (tail_) {
      MILL_TRY(waiting_, tail_->read_after(head_));
      note_head();
    }
    if (options_.read_only) return {};
    MILL_TRY_DO(move_waiting());
    MILL_TRY_DO(tail_->begin(options_.tail_bytes));
    mover_ = std::thread([this] { move_now_and_then(); });
    return {};
  }

  std::string where() const override { return file_.string(); }

  Result<Head> head() override {
    const std::lock_guard lock(mutex_);
    if (!known_) return fail(unknown());
    return head_;
  }

  Status append(std::span<const Entry> entries) override {
    if (entries.empty()) return {};
    std::unique_lock lock(mutex_);
    if (!known_) return fail(unknown());
    int64_t seq = head_.seq;
    for (const Entry& entry : entries) {
      if (entry.seq != ++seq) {
        return fail(Code::kInvalid, fmt::format("entry {} does not follow {}", entry.seq, seq - 1),
                    "seq");
      }
    }
    const bool keeps = std::any_of(entries.begin(), entries.end(),
                                   [](const Entry& entry) { return entry.keepsake != nullptr; });
    const std::optional<int64_t> first = keeps ? std::nullopt : tail_->prepare(entries);
    if (first && *first <= stored_seq_) return append_to_tail(entries, lock);
    lock.unlock();
    const std::lock_guard writing(writing_);
    if (!first) return store(entries);
    MILL_TRY_DO(move_waiting());
    lock.lock();
    return append_to_tail(entries, lock);
  }

  Status scan(const Range& range, const Visitor& visit) override {
    MILL_TRY_DO(catch_up());
    const std::lock_guard lock(reading_);
    const Snapshot snapshot(reader_.get(), options_.read_only && !waiting_.empty());
    MILL_TRY(const int64_t stored_seq, snapshot.taken() ? last_stored() : int64_t{0});
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
    if (!snapshot.taken()) return {};
    for (Entry entry : waiting_) {
      if (entry.seq <= stored_seq || !contains(range, entry)) continue;
      if (!range.kinds.empty()) entry.previous = {};
      MILL_TRY_DO(visit(entry));
    }
    return {};
  }

  Result<std::vector<Entry>> find(const HoldId& id, int64_t before_seq) override {
    const std::lock_guard lock(finding_);
    std::vector<Entry> waiting = find_waiting(id, before_seq);
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
    // What was moved in between is in both.
    for (Entry& entry : waiting) {
      if (found.empty() || entry.seq > found.back().seq) found.push_back(std::move(entry));
    }
    return found;
  }

  Status save_checkpoint(std::string_view name, const Checkpoint& checkpoint) override {
    const std::lock_guard writing(writing_);
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
    const std::scoped_lock lock(writing_, mutex_, reading_, finding_);
    known_ = false;
    drop();
    MILL_TRY_DO(connect());
    MILL_TRY_DO(check_version(reader_.get(), writer_.get(), file_));
    MILL_TRY_DO(prepare_all());
    MILL_TRY_DO(read_head());
    if (options_.read_only) return {};
    known_ = false;
    // What was acknowledged goes by what is in memory; of what was not, the tail need not say.
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(moving_));
    waiting_.clear();
    std::erase_if(moving_, [&](const Entry& entry) { return entry.seq <= head_.seq; });
    if (!moving_.empty()) {
      if (moving_.front().seq != head_.seq + 1 || moving_.front().previous != head_.hash) {
        return fail(Code::kCorrupt, fmt::format("entries after {} are missing", head_.seq));
      }
      MILL_TRY_DO(insert_all(moving_, {}));
      head_ = head_of(moving_.back());
      moving_.clear();
    }
    MILL_TRY_DO(open_tail());
    MILL_TRY_DO(tail_->begin(options_.tail_bytes));
    stored_seq_ = head_.seq;
    known_ = true;
    why_.clear();
    move_.notify_one();
    return {};
  }

 private:
  static Head head_of(const Entry& entry) { return {entry.seq, entry.at_ns, entry.hash}; }
  static bool contains(const Range& range, const Entry& entry) {
    return entry.seq >= range.from_seq && entry.seq <= range.to_seq &&
           entry.at_ns >= range.from_ns && entry.at_ns < range.to_ns &&
           (range.kinds.empty() ||
            std::find(range.kinds.begin(), range.kinds.end(), entry.kind) != range.kinds.end());
  }

  // One state of the tables for several statements.
  class Snapshot {
   public:
    Snapshot(sqlite3* db, bool take) : db_(take ? db : nullptr) {
      if (db_) sqlite3_exec(db_, "BEGIN", nullptr, nullptr, nullptr);
    }
    ~Snapshot() {
      if (db_) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    bool taken() const { return db_ != nullptr; }

   private:
    sqlite3* db_;
  };

  Error unknown() const {
    return {Code::kIo, "the journal must be opened anew after an error" + why_, ""};
  }

  Status open_tail() {
    const std::string path = std::string(sqlite3_db_filename(reader_.get(), "main")) + "-tail";
    tail_.reset();
    MILL_TRY(tail_, TailFile::open(options_.vfs, path, options_.read_only));
    return {};
  }

  void note_head() {
    stored_seq_ = head_.seq;
    if (!waiting_.empty()) head_ = head_of(waiting_.back());
  }

  // Requires: the lock on mutex_, and that the tail is prepared.
  Status append_to_tail(std::span<const Entry> entries, std::unique_lock<std::mutex>& lock) {
    if (!known_) return fail(unknown());
    known_ = false;  // until it is certain
    MILL_TRY_DO(tail_->write());
    const size_t before = waiting_.size();
    waiting_.insert(waiting_.end(), entries.begin(), entries.end());
    head_ = head_of(entries.back());
    known_ = true;
    const bool call = before == 0 || (before < kMoveAt && waiting_.size() >= kMoveAt);
    lock.unlock();
    if (call) move_.notify_one();
    return {};
  }

  // Moves what waits in the tail to the tables, and with it `entries` that are not in the tail.
  // Requires: the lock on writing_.
  Status store(std::span<const Entry> entries) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty() && moving_.empty() && entries.empty()) return {};
      if (!known_) return fail(unknown());
      moving_ = std::exchange(waiting_, {});
      if (!entries.empty()) known_ = false;  // until it is certain
    }
    Status stored = insert_all(moving_, entries);
    const std::lock_guard lock(mutex_);
    if (!stored) {
      known_ = false;
      why_ = ": " + stored.error().message;
      return stored;
    }
    const Head last = head_of(entries.empty() ? moving_.back() : entries.back());
    stored_seq_ = last.seq;
    moving_.clear();
    if (!entries.empty()) {
      head_ = last;
      known_ = true;
    }
    return {};
  }
  Status move_waiting() { return store({}); }

  // Before the tables are read.
  Status catch_up() {
    if (options_.read_only) return {};
    const std::lock_guard writing(writing_);
    return move_waiting();
  }

  void move_now_and_then() {
    std::unique_lock lock(mutex_);
    for (;;) {
      move_.wait(lock, [&] { return ending_ || (known_ && !waiting_.empty()); });
      if (ending_) return;
      move_.wait_for(lock, kMoveAfter, [&] { return ending_ || waiting_.size() >= kMoveAt; });
      if (ending_) return;
      lock.unlock();
      {
        const std::lock_guard writing(writing_);
        // The next append, or whoever reads, is told of an error.
        if (const Status moved = move_waiting(); !moved) {
          log_error("entries could not be moved to the tables")
              .add("journal", where())
              .add("error", moved.error().message);
        }
      }
      lock.lock();
    }
  }

  // In one transaction, durable when it returns OK.  Requires: the lock on writing_.
  Status insert_all(std::span<const Entry> first, std::span<const Entry> then) {
    MILL_TRY_DO(run(writer_.get(), "BEGIN IMMEDIATE", "beginning to append"));
    for (const std::span<const Entry> some : {first, then}) {
      for (const Entry& entry : some) {
        Status added = insert(entry);
        if (added && entry.keepsake) added = keep(entry);
        if (!added) {
          sqlite3_exec(writer_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
          return added;
        }
      }
    }
    if (Status committed = run(writer_.get(), "COMMIT", "appending"); !committed) {
      sqlite3_exec(writer_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
      return committed;
    }
    return {};
  }

  // As find(), of what is not in the tables yet.
  std::vector<Entry> find_waiting(const HoldId& id, int64_t before_seq) {
    std::vector<Entry> found;
    const std::lock_guard lock(mutex_);
    for (const std::vector<Entry>* some : {&moving_, &waiting_}) {
      for (const Entry& entry : *some) {
        const bool named = entry.kind == Kind::kCredit || entry.kind >= Kind::kSettle;
        if (named && entry.hold == id && !is_none(id) && entry.seq < before_seq) {
          found.push_back(entry);
          found.back().previous = {};
        }
      }
    }
    return found;
  }

  Result<int64_t> last_stored() {
    MILL_TRY(const Statement ends,
             prepare(reader_.get(), "SELECT coalesce(max(seq), 0) FROM entry"));
    const int code = sqlite3_step(ends.get());
    if (code != SQLITE_ROW) return failed(reader_.get(), "reading the last entry", code);
    return int64_t{sqlite3_column_int64(ends.get(), 0)};
  }

  void drop() {
    insert_.reset(), keep_.reset(), forget_.reset();
    find_.reset(), first_.reset(), hash_.reset();
    writer_.reset(), reader_.reset(), finder_.reset();
  }

  Status connect() {
    if (!options_.read_only) {
      MILL_TRY(writer_, open_sqlite(file_, options_.vfs, false));
      // EXTRA is FULL, and syncs the folder too: the switch to the log is made with a rollback
      // journal, which after a loss of power may not be there again.
      MILL_TRY_DO(run(writer_.get(), "PRAGMA synchronous = EXTRA", "opening"));
      MILL_TRY_DO(use_log(writer_.get(), file_));
      MILL_TRY_DO(renew_log(writer_.get()));
      const std::string pages = fmt::format("PRAGMA wal_autocheckpoint = {}", options_.wal_pages);
      MILL_TRY_DO(run(writer_.get(), pages.c_str(), "opening"));
    }
    MILL_TRY(reader_, open_sqlite(file_, options_.vfs, true));
    MILL_TRY(finder_, open_sqlite(file_, options_.vfs, true));
    return {};
  }

  Status prepare_all() {
    if (!options_.read_only) {
      std::string sql = fmt::format("INSERT INTO entry ({}) VALUES (", kColumns);
      for (int i = 0; i < kColumnCount; ++i) sql += "?,";
      sql.back() = ')';
      MILL_TRY(insert_, prepare(writer_.get(), sql));
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
    const std::string currency = to_string(e.currency);
    if (!bind_entry(insert_.get(), e, currency)) return fail(Code::kIo, "binding an entry");
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
    MILL_TRY(const int64_t last, last_stored());
    int64_t low = 1, high = last + 1;
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
  std::mutex writing_;  // of the writing connection; before all others
  std::mutex mutex_;    // of the tail and of what is known of it
  std::mutex reading_;  // of the reading connection; held while visitors run
  // Of the connection that find() has to itself: whoever books may wait for it under locks of its
  // own, which a visitor may want.
  std::mutex finding_;
  Database writer_, reader_, finder_;
  Statement insert_, keep_, forget_, find_, first_, hash_;

  std::unique_ptr<TailFile> tail_;
  // Durable by the tail alone: what nobody moves yet, and what is being moved, which changes under
  // both writing_ and mutex_. Of a reader, what the tail had when it was opened.
  std::vector<Entry> waiting_, moving_;
  int64_t stored_seq_ = 0;  // the last entry that is durable in the tables
  Head head_;
  bool known_ = false;
  std::string why_;  // not
  std::condition_variable move_;
  bool ending_ = false;
  std::thread mover_;
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
