#include "ledger/postgres_journal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <utility>

#include "ledger/postgres_connection.h"
#include "ledger/postgres_rows.h"

namespace mill::ledger {
namespace {

constexpr std::string_view kFormat = "tokenmill journal";
constexpr std::string_view kVersion = "1";
constexpr int64_t kOldestServer = 130000;
constexpr int64_t kPage = 500;           // entries of one SELECT: what is in memory at a time
constexpr int64_t kFilteredPage = 5000;  // entries that one SELECT looks at
constexpr size_t kStatementBytes = 64u << 20;

// Of the session's lock: "mill", then the table.
constexpr const char* kLockKey = "(1835625580::int8 << 32) | 'owner'::regclass::oid::int8";

std::string_view view(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}
bool copy_hash(std::string_view from, Hash256& to) {
  if (from.size() != to.size()) return false;
  std::memcpy(to.data(), from.data(), to.size());
  return true;
}

std::string this_process() {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return fmt::format("process {} on {}", getpid(), host);
}

size_t weight(const Entry& entry) {
  return 512 + entry.model.size() + entry.actor.size() + entry.body.size();
}

bool keeps_something(std::span<const Entry> entries) {
  return std::any_of(entries.begin(), entries.end(),
                     [](const Entry& entry) { return entry.keepsake != nullptr; });
}

class PostgresJournal final : public Journal {
 public:
  PostgresJournal(std::string url, std::string where, PostgresOptions options)
      : url_(std::move(url)), where_(std::move(where)), options_(options) {}

  Status open() {
    const std::scoped_lock lock(mutex_, reading_);
    return connect();
  }

  std::string where() const override { return where_; }
  Result<Head> head() override;
  Status append(std::span<const Entry> entries) override;
  Status scan(const Range& range, const Visitor& visit) override;
  Result<std::vector<Entry>> find(const HoldId& id, int64_t before_seq) override;
  Status save_checkpoint(std::string_view name, const Checkpoint& checkpoint) override;
  Result<std::optional<Checkpoint>> load_checkpoint(std::string_view name) override;
  Status keepsakes(const KeepsakeVisitor& visit) override;
  Status reopen() override;

 private:
  using Connection = std::unique_ptr<PostgresConnection>;

  Result<Connection> connection() const {
    return PostgresConnection::open(url_, options_.connect_seconds, options_.statement);
  }
  Status connect();
  Result<bool> look(PostgresConnection& at) const;
  Status make_schema(PostgresConnection& at) const;
  Status check_version(PostgresConnection& at) const;
  Status take_over();
  Status end_former_session();
  Status read_head(PostgresConnection& at);
  Status insert(std::span<const Entry> entries);
  Status insert_some(std::span<const Entry> entries);
  Status keep(const Entry& entry);
  Status make_kept() const;
  tl::unexpected<Error> not_ours();
  Result<PostgresRows> read(const char* sql, bool prepared, const PostgresValues& values) {
    return read(reader_, sql, prepared, values);
  }
  Result<PostgresRows> read(Connection& session, const char* sql, bool prepared,
                            const PostgresValues& values);
  Result<int64_t> last_seq();
  Result<int64_t> first_at(int64_t at_ns);
  Result<PostgresRows> page(int64_t from, int64_t to, const std::vector<Kind>& kinds);

  const std::string url_, where_;
  const PostgresOptions options_;

  std::mutex mutex_;  // of the writing session and what is known of it
  Connection writer_;
  PostgresBatch batch_;
  int64_t epoch_ = 0;
  uint32_t row_type_ = 0;  // of the table `entry`
  struct Session {
    int64_t pid = 0, started_us = 0;
  } session_;  // of writer_, or of the one before where that is lost
  Head head_;
  bool known_ = false;

  std::mutex reading_;  // of the reading session; held while visitors run
  Connection reader_;
  // Of the session that find() has to itself: whoever books may wait for it under locks of its own,
  // which a visitor may want.
  std::mutex finding_;
  Connection finder_;
};

Result<Head> PostgresJournal::head() {
  const std::lock_guard lock(mutex_);
  if (!known_) return fail(Code::kIo, "the journal must be opened anew after an error");
  return head_;
}

// Whether there is a journal in the schema; an error where there may be none.
Result<bool> PostgresJournal::look(PostgresConnection& at) const {
  MILL_TRY(const PostgresRows found,
           at.run("SELECT current_setting('server_version_num')::int8, "
                  "current_setting('server_encoding'), current_setting('fsync'), "
                  "current_schema() IS NOT NULL, "
                  "to_regclass(quote_ident(current_schema()) || '.meta') IS NOT NULL, "
                  "(SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') "
                  "AND relnamespace = current_schema()::regnamespace)"));
  const auto unsupported = [&](std::string_view why) {
    return fail(Code::kUnsupported, fmt::format("{}: {}", where_, why));
  };
  if (found.number(0, 0) < kOldestServer) return unsupported("PostgreSQL 13 or later is needed");
  if (found.bytes(0, 1) != "UTF8") {
    return unsupported("the database must be made with ENCODING 'UTF8'");
  }
  if (found.bytes(0, 2) != "on" && !options_.read_only) {
    return unsupported("the server runs with fsync = off, so nothing in it is durable");
  }
  if (found.number(0, 3) == 0) return unsupported("its search_path names no schema that exists");
  const bool ours = found.number(0, 4) != 0;
  if (!ours && found.number(0, 5) != 0) {
    return unsupported("the schema holds something else; give the journal one of its own");
  }
  return ours;
}

Status PostgresJournal::make_schema(PostgresConnection& at) const {
  // The one that comes second waits here, and finds it made.
  MILL_TRY_DO(at.script("BEGIN; SELECT pg_advisory_xact_lock(1835625580)"));
  const auto make = [&]() -> Status {
    MILL_TRY(const bool there, look(at));
    if (there) return {};
    return at.script(postgres_schema() +
                     fmt::format("INSERT INTO meta VALUES ('format', '{}'), ('version', '{}')",
                                 kFormat, kVersion));
  };
  if (Status made = make(); !made) {
    (void)at.script("ROLLBACK");
    return made;
  }
  return at.script("COMMIT");
}

Status PostgresJournal::check_version(PostgresConnection& at) const {
  auto rows = at.run("SELECT name, value FROM meta");
  if (!rows) {
    if (rows.error().code != Code::kNotFound) return fail(std::move(rows).error());
    return fail(Code::kUnsupported, where_ + ": the schema holds something else");
  }
  std::string format, version;
  for (int i = 0; i < rows->count(); ++i) {
    (rows->bytes(i, 0) == "format" ? format : version) = rows->bytes(i, 1);
  }
  if (format != kFormat || version != kVersion) {
    return fail(Code::kUnsupported,
                fmt::format("{} is version '{}' of '{}'; this program keeps version {} of '{}'",
                            where_, version, format, kVersion, kFormat));
  }
  return {};
}

Status PostgresJournal::connect() {
  MILL_TRY(Connection made, connection());
  MILL_TRY(const bool there, look(*made));
  if (options_.read_only) {
    if (!there) return fail(Code::kNotFound, "there is no journal in " + where_);
    MILL_TRY_DO(check_version(*made));
    MILL_TRY_DO(made->script("SET default_transaction_read_only = on"));
    return read_head(*made);
  }
  if (!there) MILL_TRY_DO(make_schema(*made));
  MILL_TRY_DO(check_version(*made));
  writer_ = std::move(made);
  const auto begin = [&]() -> Status {
    MILL_TRY_DO(take_over());
    MILL_TRY_DO(make_kept());
    MILL_TRY_DO(writer_->prepare("append", PostgresBatch::insert_statement()));
    return read_head(*writer_);
  };
  Status begun = begin();
  if (!begun) writer_.reset();
  return begun;
}

// Younger than the other tables: an older journal gets it when it is opened.
Status PostgresJournal::make_kept() const {
  MILL_TRY(
      const PostgresRows there,
      writer_->run("SELECT to_regclass(quote_ident(current_schema()) || '.kept') IS NOT NULL"));
  if (there.number(0, 0) != 0) return {};
  return writer_->script(
      "CREATE TABLE kept (seq bigint PRIMARY KEY, name bytea NOT NULL, bytes bytea NOT NULL, "
      "checksum bytea NOT NULL)");
}

// A session of ours whose connection broke may still be at work, and it holds the lock.
Status PostgresJournal::end_former_session() {
  if (session_.pid == 0) return {};
  MILL_TRY_DO(writer_->run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int8 AND "
      "(extract(epoch FROM backend_start) * 1000000)::int8 = $2::int8",
      PostgresValues().number(session_.pid).number(session_.started_us)));
  return {};
}

Status PostgresJournal::take_over() {
  MILL_TRY_DO(end_former_session());
  const auto wait =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.owner_wait).count();
  MILL_TRY_DO(writer_->script(fmt::format("SET lock_timeout = {}", std::max<int64_t>(wait, 1))));
  if (Status locked = writer_->script(fmt::format("SELECT pg_advisory_lock({})", kLockKey));
      !locked) {
    if (!writer_->usable()) return locked;
    MILL_TRY(const PostgresRows who, writer_->run("SELECT who FROM owner"));
    return fail(Code::kPermission,
                fmt::format("another process keeps these books ({}): {}",
                            who.count() > 0 ? who.bytes(0, 0) : "unknown", locked.error().message));
  }
  MILL_TRY(const PostgresRows taken,
           writer_->run("UPDATE owner SET epoch = epoch + 1, who = $1::text RETURNING "
                        "epoch, 'entry'::regtype::oid::int8",
                        PostgresValues().bytes(this_process())));
  if (taken.count() != 1) return fail(Code::kCorrupt, where_ + ": the table owner has no row");
  epoch_ = taken.number(0, 0);
  row_type_ = static_cast<uint32_t>(taken.number(0, 1));
  MILL_TRY(const PostgresRows session,
           writer_->run("SELECT pid::int8, (extract(epoch FROM backend_start) * 1000000)::int8 "
                        "FROM pg_stat_activity WHERE pid = pg_backend_pid()"));
  session_ = {};
  if (session.count() == 1) session_ = {session.number(0, 0), session.number(0, 1)};
  const auto longest =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.statement).count();
  return writer_->script(fmt::format("SET lock_timeout = {}", longest));
}

Status PostgresJournal::read_head(PostgresConnection& at) {
  MILL_TRY(const PostgresRows last,
           at.run("SELECT seq, at_ns, hash FROM entry ORDER BY seq DESC LIMIT 1"));
  head_ = {};
  if (last.count() == 1) {
    head_.seq = last.number(0, 0);
    head_.at_ns = last.number(0, 1);
    if (!copy_hash(last.bytes(0, 2), head_.hash)) {
      return fail(Code::kCorrupt, "the last entry has no hash");
    }
  }
  known_ = true;
  return {};
}

Status PostgresJournal::reopen() {
  const std::scoped_lock lock(mutex_, reading_, finding_);
  known_ = false;
  reader_.reset();
  finder_.reset();
  // A session that only heard "no" still has its lock, and nothing of it is under way.
  if (writer_ && writer_->usable()) return read_head(*writer_);
  writer_.reset();
  return connect();
}

tl::unexpected<Error> PostgresJournal::not_ours() {
  writer_.reset();
  return fail(Code::kPermission, "another process has taken these books over");
}

Status PostgresJournal::insert_some(std::span<const Entry> entries) {
  MILL_TRY(const PostgresRows done,
           writer_->run_prepared("append", batch_.values(entries, row_type_, epoch_)));
  if (done.changed() != static_cast<int64_t>(entries.size())) return not_ours();
  return {};
}

// A server takes at most 1 GiB at a time, so a huge batch goes in pieces of one transaction.
Status PostgresJournal::insert(std::span<const Entry> entries) {
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += weight(entry);
  const bool keeps = keeps_something(entries);
  if (bytes <= kStatementBytes && !keeps) return insert_some(entries);
  MILL_TRY_DO(writer_->script("BEGIN"));
  const auto pieces = [&]() -> Status {
    for (size_t at = 0; at < entries.size();) {
      size_t count = 0;
      for (size_t piece = 0; at + count < entries.size() && piece < kStatementBytes; ++count) {
        piece += weight(entries[at + count]);
      }
      MILL_TRY_DO(insert_some(entries.subspan(at, count)));
      at += count;
    }
    for (const Entry& entry : entries) {
      if (keeps && entry.keepsake) MILL_TRY_DO(keep(entry));
    }
    return {};
  };
  if (Status written = pieces(); !written) {
    if (writer_) (void)writer_->script("ROLLBACK");
    return written;
  }
  return writer_->script("COMMIT");
}

// In the transaction of the entries, which has seen that the books are ours.
Status PostgresJournal::keep(const Entry& entry) {
  const Keepsake& kept = *entry.keepsake;
  const Hash256 checksum = sha256(kept.bytes);
  if (kept.forget_through > 0) {
    MILL_TRY_DO(writer_->run("DELETE FROM kept WHERE seq <= $1::int8",
                             PostgresValues().number(kept.forget_through)));
  }
  MILL_TRY_DO(writer_->run(
      "INSERT INTO kept (seq, name, bytes, checksum) VALUES ($1::int8, $2::bytea, $3::bytea, "
      "$4::bytea)",
      PostgresValues().number(entry.seq).bytes(kept.name).bytes(kept.bytes).bytes(view(checksum))));
  return {};
}

Status PostgresJournal::append(std::span<const Entry> entries) {
  if (entries.empty()) return {};
  const std::lock_guard lock(mutex_);
  if (options_.read_only) return fail(Code::kPermission, "the journal was opened for reading");
  if (!known_) return fail(Code::kIo, "the journal must be opened anew after an error");
  int64_t seq = head_.seq;
  for (const Entry& entry : entries) {
    if (entry.seq != ++seq) {
      return fail(Code::kInvalid, fmt::format("entry {} does not follow {}", entry.seq, seq - 1),
                  "seq");
    }
  }
  known_ = false;  // until it is certain
  if (!writer_) return fail(Code::kIo, "there is no connection");
  MILL_TRY_DO(insert(entries));
  head_ = {entries.back().seq, entries.back().at_ns, entries.back().hash};
  known_ = true;
  return {};
}

// Asks a reading session; a second time where it had died unnoticed.
Result<PostgresRows> PostgresJournal::read(Connection& session, const char* sql, bool prepared,
                                           const PostgresValues& values) {
  for (bool again = false;; again = true) {
    if (!session || !session->usable()) {
      MILL_TRY(Connection made, connection());
      MILL_TRY_DO(made->script("SET default_transaction_read_only = on"));
      MILL_TRY_DO(made->prepare(
          "page", fmt::format("SELECT {} FROM entry WHERE seq BETWEEN $1::int8 AND $2::int8 "
                              "ORDER BY seq",
                              postgres_columns())));
      MILL_TRY_DO(made->prepare(
          "find", fmt::format("SELECT {} FROM entry WHERE hold = $1::bytea AND hold IS NOT NULL "
                              "AND kind IN (2, 6, 7, 8, 9, 10) AND seq < $2::int8 ORDER BY seq",
                              postgres_columns())));
      session = std::move(made);
      again = true;
    }
    auto rows = prepared ? session->run_prepared(sql, values) : session->run(sql, values);
    if (rows || again || session->usable()) return rows;
  }
}

Result<int64_t> PostgresJournal::last_seq() {
  MILL_TRY(const PostgresRows last, read("SELECT coalesce(max(seq), 0) FROM entry", false, {}));
  return last.number(0, 0);
}

// The first entry at or after an instant, one past the last where there is none.
Result<int64_t> PostgresJournal::first_at(int64_t at_ns) {
  MILL_TRY(const int64_t last, last_seq());
  int64_t low = 1, high = last + 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    MILL_TRY(const PostgresRows row, read("SELECT at_ns FROM entry WHERE seq = $1::int8", false,
                                          PostgresValues().number(middle)));
    if (row.count() != 1) return fail(Code::kCorrupt, fmt::format("entry {} is missing", middle));
    row.number(0, 0) < at_ns ? low = middle + 1 : high = middle;
  }
  return low;
}

Result<PostgresRows> PostgresJournal::page(int64_t from, int64_t to,
                                           const std::vector<Kind>& kinds) {
  if (kinds.empty()) return read("page", true, PostgresValues().number(from).number(to));
  PostgresArray wanted(PostgresType::kInt8);
  for (const Kind kind : kinds) wanted.number(static_cast<uint8_t>(kind));
  const std::string sql = fmt::format(
      "SELECT {} FROM entry WHERE seq BETWEEN $1::int8 AND $2::int8 AND kind = ANY($3::int8[]) "
      "ORDER BY seq",
      postgres_columns());
  return read(sql.c_str(), false, PostgresValues().number(from).number(to).bytes(wanted.finish()));
}

Status PostgresJournal::scan(const Range& range, const Visitor& visit) {
  const std::lock_guard lock(reading_);
  int64_t from = std::max<int64_t>(range.from_seq, 1);
  // What is there now ends with a whole batch.
  MILL_TRY(int64_t to, last_seq());
  to = std::min(to, range.to_seq);
  // Times never decrease along the journal.
  if (range.from_ns != INT64_MIN) {
    MILL_TRY(const int64_t first, first_at(range.from_ns));
    from = std::max(from, first);
  }
  if (range.to_ns != INT64_MAX) {
    MILL_TRY(const int64_t end, first_at(range.to_ns));
    to = std::min(to, end - 1);
  }
  Hash256 previous{};
  if (range.kinds.empty() && from > 1 && from <= to) {
    MILL_TRY(const PostgresRows row, read("SELECT hash FROM entry WHERE seq = $1::int8", false,
                                          PostgresValues().number(from - 1)));
    if (row.count() == 1) copy_hash(row.bytes(0, 0), previous);
  }
  const int64_t step = range.kinds.empty() ? kPage : kFilteredPage;
  for (; from <= to; from += step) {
    MILL_TRY(const PostgresRows rows, page(from, std::min(to, from + step - 1), range.kinds));
    for (int i = 0; i < rows.count(); ++i) {
      MILL_TRY(Entry entry, entry_of(rows, i));
      if (range.kinds.empty()) entry.previous = std::exchange(previous, entry.hash);
      MILL_TRY_DO(visit(entry));
    }
  }
  return {};
}

Result<std::vector<Entry>> PostgresJournal::find(const HoldId& id, int64_t before_seq) {
  const std::lock_guard lock(finding_);
  const std::string_view bytes(reinterpret_cast<const char*>(id.data()), id.size());
  MILL_TRY(const PostgresRows rows,
           read(finder_, "find", true, PostgresValues().bytes(bytes).number(before_seq)));
  std::vector<Entry> found;
  for (int i = 0; i < rows.count(); ++i) {
    MILL_TRY(Entry entry, entry_of(rows, i));
    found.push_back(std::move(entry));
  }
  return found;
}

Status PostgresJournal::save_checkpoint(std::string_view name, const Checkpoint& checkpoint) {
  const std::lock_guard lock(mutex_);
  if (!writer_) return fail(Code::kIo, "there is no connection");
  const Hash256 checksum = sha256(checkpoint.bytes);
  MILL_TRY(const PostgresRows saved,
           writer_->run("WITH own AS MATERIALIZED (SELECT 1 FROM owner WHERE epoch = $6::int8 "
                        "FOR SHARE) INSERT INTO checkpoint (name, seq, entry_hash, bytes, "
                        "checksum) SELECT $1::text, $2::int8, $3::bytea, $4::bytea, $5::bytea "
                        "FROM own ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, "
                        "entry_hash = excluded.entry_hash, bytes = excluded.bytes, "
                        "checksum = excluded.checksum",
                        PostgresValues()
                            .bytes(name)
                            .number(checkpoint.seq)
                            .bytes(view(checkpoint.entry_hash))
                            .bytes(checkpoint.bytes)
                            .bytes(view(checksum))
                            .number(epoch_)));
  if (saved.changed() != 1) {
    return fail(Code::kPermission, "another process has taken these books over");
  }
  return {};
}

Result<std::optional<Checkpoint>> PostgresJournal::load_checkpoint(std::string_view name) {
  const std::lock_guard lock(reading_);
  MILL_TRY(const PostgresRows rows,
           read("SELECT seq, entry_hash, bytes, checksum FROM checkpoint WHERE name = $1::text",
                false, PostgresValues().bytes(name)));
  if (rows.count() == 0) return std::optional<Checkpoint>();
  Checkpoint found;
  Hash256 checksum;
  found.seq = rows.number(0, 0);
  found.bytes = rows.bytes(0, 2);
  if (!copy_hash(rows.bytes(0, 1), found.entry_hash) || !copy_hash(rows.bytes(0, 3), checksum) ||
      checksum != sha256(found.bytes)) {
    return std::optional<Checkpoint>();
  }
  return std::optional(std::move(found));
}

Status PostgresJournal::keepsakes(const KeepsakeVisitor& visit) {
  const std::lock_guard lock(reading_);
  constexpr int kAtATime = 64;  // each may have megabytes
  for (int64_t after = 0;;) {
    MILL_TRY(const PostgresRows rows,
             read("SELECT kept.seq, at_ns, name, bytes, checksum FROM kept JOIN entry USING (seq) "
                  "WHERE kept.seq > $1::int8 ORDER BY kept.seq LIMIT $2::int8",
                  false, PostgresValues().number(after).number(kAtATime)));
    for (int i = 0; i < rows.count(); ++i) {
      after = rows.number(i, 0);
      Hash256 checksum;
      const std::string_view bytes = rows.bytes(i, 3);
      if (!copy_hash(rows.bytes(i, 4), checksum) || checksum != sha256(bytes)) continue;
      MILL_TRY_DO(visit(after, rows.number(i, 1),
                        {.name = std::string(rows.bytes(i, 2)), .bytes = std::string(bytes)}));
    }
    if (rows.count() < kAtATime) return {};
  }
}

}  // namespace

Result<std::unique_ptr<Journal>> open_postgres_journal(const std::string& url,
                                                       PostgresOptions options) {
  MILL_TRY(std::string where, describe_postgres_url(url));
  auto journal = std::make_unique<PostgresJournal>(url, std::move(where), options);
  MILL_TRY_DO(journal->open());
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace mill::ledger
