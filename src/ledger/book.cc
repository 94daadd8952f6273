#include "ledger/book.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/watermark.h"
#include "ledger/ending.h"
#include "ledger/random_bytes.h"
#include "ledger/verify.h"

namespace mill::ledger {
namespace {

constexpr int64_t kReadAtATime = 10'000;  // entries
// So many lingering times without an entry, and the writer lies down until the next one wakes it.
constexpr int kNaps = 20;

}  // namespace

struct Book::Core {
  Core(std::unique_ptr<Journal> of, BookOptions given)
      : options(std::move(given)), journal(std::move(of)) {
    if (!options.unix_ns) options.unix_ns = unix_nanoseconds;
    if (!options.monotonic) options.monotonic = [] { return now(); };
    accounts = Accounts(options.remembered, [this](const HoldId& id) { return recall(id); });
  }

  struct PendingCheckpoint {
    int64_t seq = 0;
    std::string bytes;
  };

  Status restore();
  Status replay(const Entry& entry);
  Status recover();
  Result<Ticket> post(Entry entry);
  Result<Ticket> post_together(std::vector<Entry> entries);
  Status may_post(bool new_business, size_t count) const;  // Requires: the lock
  int64_t next_at_ns() const;                              // Requires: the lock
  void enqueue(Entry entry);                               // Requires: the lock
  void want(int64_t seq);
  void call_writer();  // Requires: not the lock
  // Calls the writer behind the lock: who is woken under it runs into it, and is woken twice.
  struct CallAfter {
    Core* core;
    ~CallAfter() { core->call_writer(); }
  };
  Result<std::optional<Resolved>> recall(const HoldId& id);
  Result<std::optional<Hash256>> hash_at(int64_t seq);  // nothing: it is not on the disk
  void write();
  bool commit(std::vector<Entry>& batch);
  bool append_once(const std::vector<Entry>& batch);
  void made_durable(std::span<const Entry> batch);
  void stop_for_good(std::string why);
  Status save(std::string_view name, Checkpoint checkpoint);  // its hash is set here
  void save_due_checkpoint();
  bool wait_for_batch(std::vector<Entry>& batch);
  bool due() const {  // Requires: the lock
    return stopping || wanted_seq > durable_seq || queue.size() >= wake_at;
  }
  Status broken() const { return fail(Code::kIo, "the books are closed: " + message); }

  BookOptions options;
  std::unique_ptr<Journal> journal;

  mutable std::mutex mutex;  // of all below down to the next lock
  Accounts accounts;
  std::unordered_map<HoldId, Instant> leases;
  std::vector<Entry> queue;
  std::condition_variable work, done;
  BookHealth::State state = BookHealth::State::kOk;
  std::string message;
  int64_t durable_seq = 0;
  int64_t wanted_seq = 0;  // the last entry that somebody waits for
  // What the writer waits for, so that it is woken once and not by everybody: so many entries in
  // the queue, or, unless it gathers, somebody who wants one of them.
  size_t wake_at = SIZE_MAX;
  bool lingers = false;
  std::atomic<bool> called = false;  // it is to be woken, once the lock is free
  int64_t commits = 0, failed_commits = 0;
  size_t in_flight = 0;
  bool stopping = false;
  RandomBytes random;
  int64_t last_id_ms = -1;
  PendingCheckpoint pending;
  int64_t checkpoint_seq = 0;

  Watermark on_disk;  // durable_seq, for coroutines; closed when the books are

  std::mutex listening;  // before `mutex`; held while entries become durable
  std::vector<Listener> listeners;

  Chain chain;  // of the writer's thread, like what follows
  Hash256 last_hash{};
  std::thread writer;
};

Result<std::optional<Resolved>> Book::Core::recall(const HoldId& id) {
  // While a tail is replayed, what comes later has not happened yet.
  MILL_TRY(const std::vector<Entry> entries, journal->find(id, accounts.seq() + 1));
  std::optional<Resolved> found;
  for (const Entry& entry : entries) {
    if (entry.kind == Kind::kReversal) {
      if (found) found->reversed += entry.amount;
    } else {
      const bool charged = entry.kind != Kind::kVoid && entry.kind != Kind::kExpire;
      found = Resolved{
          entry.kind, entry.seq, entry.payer, entry.currency, charged ? entry.amount : 0, 0};
    }
  }
  return found;
}

Result<std::optional<Hash256>> Book::Core::hash_at(int64_t seq) {
  std::optional<Hash256> hash;
  MILL_TRY_DO(journal->scan({.from_seq = seq, .to_seq = seq}, [&](const Entry& entry) -> Status {
    hash = entry.hash;
    return {};
  }));
  return hash;
}

Status Book::Core::restore() {
  MILL_TRY(const std::optional<Checkpoint> checkpoint, journal->load_checkpoint(kBooksCheckpoint));
  MILL_TRY(const Head head, journal->head());
  Range tail;
  if (checkpoint && checkpoint->seq <= head.seq && checkpoint->seq > 0) {
    MILL_TRY(const std::optional<Hash256> there, hash_at(checkpoint->seq));
    if (there == checkpoint->entry_hash && accounts.restore(checkpoint->bytes) &&
        accounts.seq() == checkpoint->seq) {
      tail.from_seq = checkpoint->seq + 1;
      last_hash = *there;
      checkpoint_seq = checkpoint->seq;
    }
  }
  if (tail.from_seq == 1)
    accounts = Accounts(options.remembered, [this](const HoldId& id) { return recall(id); });
  // Some at a time, as what applies them may look into the journal itself.
  while (tail.from_seq <= head.seq) {
    std::vector<Entry> some;
    tail.to_seq = tail.from_seq + kReadAtATime - 1;
    MILL_TRY_DO(journal->scan(tail, [&](const Entry& entry) -> Status {
      some.push_back(entry);
      return {};
    }));
    for (const Entry& entry : some) MILL_TRY_DO(replay(entry));
    tail.from_seq = tail.to_seq + 1;
  }
  if (accounts.seq() != head.seq || last_hash != head.hash) {
    return fail(Code::kCorrupt, fmt::format("entries after {} are missing", accounts.seq()));
  }
  durable_seq = head.seq;
  on_disk.rise(durable_seq);
  accounts.may_forget(durable_seq);
  return {};
}

Status Book::Core::replay(const Entry& entry) {
  if (chain.hash(last_hash, entry) != entry.hash) {
    return fail(Code::kCorrupt,
                fmt::format("entry {} was changed: its hash does not match", entry.seq));
  }
  accounts.may_forget(entry.seq - 1);
  const Result<Applied> applied = accounts.apply(entry);
  if (!applied || applied->existed) {
    return fail(Code::kCorrupt,
                fmt::format("entry {} breaks the books: {}", entry.seq,
                            applied ? "it repeats an earlier one" : applied.error().message));
  }
  last_hash = entry.hash;
  return {};
}

// What a dead process left open: nobody will come back for it.
Status Book::Core::recover() {
  for (const OpenHold& hold : accounts.open_holds()) {
    MILL_TRY_DO(post(end_of(hold, Reason::kRecovered, Kind::kVoid)));
  }
  return {};
}

Result<Ticket> Book::Core::post(Entry entry) {
  const CallAfter call{this};
  const std::lock_guard lock(mutex);
  MILL_TRY_DO(may_post(is_new_business(entry.kind), 1));
  entry.seq = accounts.seq() + 1;
  entry.at_ns = next_at_ns();
  MILL_TRY_DO(accounts.complete(entry));
  MILL_TRY(const Applied applied, accounts.apply(entry));
  if (applied.existed) return Ticket{.seq = applied.seq, .existed = true, .charge = applied.charge};
  if (ends_hold(entry.kind)) {
    leases.erase(entry.hold);
  } else if (entry.kind == Kind::kHold || entry.kind == Kind::kExtend ||
             entry.kind == Kind::kProgress) {
    leases[entry.hold] = options.monotonic();
  }
  enqueue(std::move(entry));
  return Ticket{.seq = applied.seq, .charge = applied.charge};
}

Result<Ticket> Book::Core::post_together(std::vector<Entry> entries) {
  MILL_CHECK(!entries.empty());
  const CallAfter call{this};
  const std::lock_guard lock(mutex);
  MILL_TRY_DO(may_post(true, entries.size()));
  int64_t seq = accounts.seq();
  const int64_t at_ns = next_at_ns();
  for (Entry& entry : entries) {
    entry.seq = ++seq;
    entry.at_ns = at_ns;
    entry.with_previous = &entry != &entries.front();
  }
  MILL_TRY_DO(accounts.apply_together(entries));
  for (Entry& entry : entries) enqueue(std::move(entry));
  return Ticket{.seq = seq};
}

Status Book::Core::may_post(bool new_business, size_t count) const {
  if (state == BookHealth::State::kStopped) return broken();
  if (state == BookHealth::State::kRetrying && new_business) {
    return fail(Code::kIo, "the books take nothing new at present: " + message);
  }
  if (queue.size() + in_flight + count > options.max_queued) {
    return fail(Code::kOverloaded, "too many entries wait for the disk");
  }
  return {};
}

int64_t Book::Core::next_at_ns() const {
  return accounts.seq() > 0 ? std::max(options.unix_ns(), accounts.at_ns()) : options.unix_ns();
}

void Book::Core::enqueue(Entry entry) {
  if (options.checkpoint_every > 0 && entry.seq == accounts.seq() &&
      entry.seq - std::max(checkpoint_seq, pending.seq) >= options.checkpoint_every &&
      pending.bytes.empty()) {
    pending = {entry.seq, accounts.snapshot()};
  }
  queue.push_back(std::move(entry));
  if (queue.size() == wake_at) called = true;
}

void Book::Core::want(int64_t seq) {
  const CallAfter call{this};
  const std::lock_guard lock(mutex);
  if (seq <= wanted_seq) return;
  wanted_seq = seq;
  if (std::exchange(lingers, false)) called = true;
}

void Book::Core::call_writer() {
  if (called.load() && called.exchange(false)) work.notify_one();
}

void Book::Core::made_durable(std::span<const Entry> batch) {
  const std::lock_guard order(listening);
  {
    const std::lock_guard lock(mutex);
    durable_seq = batch.back().seq;
    in_flight = 0;
    ++commits;
    state = BookHealth::State::kOk;
    message.clear();
    accounts.may_forget(durable_seq);
  }
  done.notify_all();
  on_disk.rise(batch.back().seq);
  for (const Listener& listener : listeners) listener(batch);
}

void Book::Core::stop_for_good(std::string why) {
  log_error("the books stopped").add("journal", journal->where()).add("why", why);
  {
    const std::lock_guard lock(mutex);
    state = BookHealth::State::kStopped;
    message = std::move(why);
  }
  done.notify_all();
  on_disk.close();
}

// One try. False: not written, or not certain to be.
bool Book::Core::append_once(const std::vector<Entry>& batch) {
  const Status appended = journal->append(batch);
  if (appended) return true;
  log_error("the journal took no entries")
      .add("journal", journal->where())
      .add("error", appended.error().message);
  const std::lock_guard lock(mutex);
  ++failed_commits;
  state = BookHealth::State::kRetrying;
  message = appended.error().message;
  return false;
}

// Until the batch is durable. False: it never will be.
bool Book::Core::commit(std::vector<Entry>& batch) {
  const Hash256 before = last_hash;
  for (Entry& entry : batch) {
    entry.previous = last_hash;
    entry.hash = last_hash = chain.hash(last_hash, entry);
  }
  Duration wait = options.retry_first;
  if (append_once(batch)) return true;
  for (;;) {
    {
      std::unique_lock lock(mutex);
      if (stopping) break;
      work.wait_for(lock, wait, [&] { return stopping; });
    }
    wait = std::min(2 * wait, options.retry_longest);
    if (const Status opened = journal->reopen(); !opened) {
      const std::lock_guard lock(mutex);
      message = opened.error().message;
      continue;
    }
    const Result<Head> head = journal->head();
    if (!head) continue;
    if (head->seq == batch.back().seq && head->hash == batch.back().hash) return true;
    if (head->seq != batch.front().seq - 1 || head->hash != before) {
      stop_for_good(
          fmt::format("entry {} of the journal is not the one that was written", head->seq));
      return false;
    }
    if (append_once(batch)) return true;
  }
  stop_for_good("the books were closed while the journal took no entries");
  return false;
}

Status Book::Core::save(std::string_view name, Checkpoint checkpoint) {
  MILL_TRY(const std::optional<Hash256> hash, hash_at(checkpoint.seq));
  if (!hash)
    return fail(Code::kInvalid, fmt::format("entry {} is not on the disk", checkpoint.seq), "seq");
  checkpoint.entry_hash = *hash;
  return journal->save_checkpoint(name, checkpoint);
}

void Book::Core::save_due_checkpoint() {
  PendingCheckpoint due;
  {
    const std::lock_guard lock(mutex);
    if (pending.bytes.empty() || pending.seq > durable_seq) return;
    due = std::exchange(pending, {});
    checkpoint_seq = due.seq;
  }
  const Status saved = save(kBooksCheckpoint, {.seq = due.seq, .bytes = std::move(due.bytes)});
  if (!saved) log_error("no checkpoint of the books").add("error", saved.error().message);
}

// False: the books are closed, and nothing is left.
bool Book::Core::wait_for_batch(std::vector<Entry>& batch) {
  const size_t last = batch.size();
  std::unique_lock lock(mutex);
  // An entry that nobody waits for is not worth being woken for: it is found after a nap.
  wake_at = options.max_batch;
  for (int nap = 0; nap == 0 || (nap < kNaps && queue.empty()); ++nap) {
    lingers = true;
    if (work.wait_for(lock, options.linger, [&] { return due(); })) break;
  }
  if (queue.empty()) {
    wake_at = 1;
    work.wait(lock, [&] { return due(); });
    wake_at = options.max_batch;
    lingers = true;
    work.wait_for(lock, options.linger, [&] { return due(); });
  }
  lingers = false;
  if (queue.empty()) return false;
  if (last > options.gather_from) {
    wake_at = last;
    work.wait_for(lock, options.gather, [&] { return stopping || queue.size() >= last; });
  }
  wake_at = SIZE_MAX;
  size_t count = std::min(queue.size(), options.max_batch);
  while (count < queue.size() && queue[count].with_previous) ++count;
  batch.assign(std::make_move_iterator(queue.begin()),
               std::make_move_iterator(queue.begin() + static_cast<std::ptrdiff_t>(count)));
  queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
  in_flight = count;
  return true;
}

void Book::Core::write() {
  std::vector<Entry> batch;
  while (wait_for_batch(batch)) {
    if (!commit(batch)) return;
    made_durable(batch);
    save_due_checkpoint();
  }
}

Book::Book(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Result<std::unique_ptr<Book>> Book::open(std::unique_ptr<Journal> journal, BookOptions options) {
  auto core = std::make_unique<Core>(std::move(journal), std::move(options));
  MILL_TRY_DO(core->restore());
  core->writer = std::thread([raw = core.get()] { raw->write(); });
  auto book = std::unique_ptr<Book>(new Book(std::move(core)));
  MILL_TRY_DO(book->core_->recover());
  const BookHealth booked = book->health();
  const Status durable =
      book->durable_blocking({.seq = booked.booked_seq}, now() + book->core_->options.open_wait);
  if (!durable) {
    const std::string why = book->health().message;
    return fail(Code::kIo, fmt::format("what a dead process left could not be ended: {}",
                                       why.empty() ? durable.error().message : why));
  }
  return book;
}

Book::~Book() {
  {
    const std::lock_guard lock(core_->mutex);
    core_->stopping = true;
  }
  core_->work.notify_all();
  if (core_->writer.joinable()) core_->writer.join();
  if (core_->state == BookHealth::State::kOk) {
    if (const Status saved = checkpoint(); !saved) {
      log_error("no checkpoint of the books").add("error", saved.error().message);
    }
  }
}

Result<Ticket> Book::post(Entry entry) {
  return core_->post(std::move(entry));
}

Result<Ticket> Book::post_together(std::vector<Entry> entries) {
  return core_->post_together(std::move(entries));
}

Task<Status> Book::durable(Ticket ticket, Instant deadline) {
  Core& core = *core_;
  core.want(ticket.seq);
  const bool reached = co_await core.on_disk.reached(ticket.seq, deadline);
  if (reached) co_return Status();
  const std::lock_guard lock(core.mutex);
  if (core.state == BookHealth::State::kStopped) co_return core.broken();
  co_return fail(Code::kDeadline, "the books are slow: the entry may still be written");
}

Status Book::durable_blocking(Ticket ticket, Instant deadline) {
  Core& core = *core_;
  core.want(ticket.seq);
  std::unique_lock lock(core.mutex);
  const auto over = [&] {
    return core.durable_seq >= ticket.seq || core.state == BookHealth::State::kStopped;
  };
  if (deadline == kNever) {
    core.done.wait(lock, over);
  } else if (!core.done.wait_until(lock, deadline, over)) {
    return fail(Code::kDeadline, "the books are slow: the entry may still be written");
  }
  if (core.durable_seq >= ticket.seq) return {};
  return core.broken();
}

HoldId Book::new_id() {
  Core& core = *core_;
  const std::lock_guard lock(core.mutex);
  std::array<uint8_t, 10> random;
  core.random.fill(random);
  const int64_t ms = core.options.unix_ns() / 1'000'000;
  core.last_id_ms = std::max({ms, core.last_id_ms, core.accounts.newest_id_ms()});
  return ulid(core.last_id_ms, random);
}

Result<size_t> Book::sweep() {
  Core& core = *core_;
  std::vector<OpenHold> over;
  {
    const std::lock_guard lock(core.mutex);
    const Instant oldest = core.options.monotonic() - core.options.lease;
    for (const OpenHold& hold : core.accounts.open_holds()) {
      const auto lease = core.leases.find(hold.id);
      if (lease != core.leases.end() && lease->second < oldest) over.push_back(hold);
    }
  }
  size_t ended = 0;
  for (const OpenHold& hold : over) {
    const Result<Ticket> ticket = core.post(end_of(hold, Reason::kLeaseExpired, Kind::kExpire));
    // Whoever held it may have ended it in between.
    if (!ticket && ticket.error().code != Code::kInvalid) return fail(ticket.error());
    ended += ticket && !ticket->existed ? 1 : 0;
  }
  return ended;
}

Balance Book::balance(uint64_t org, Currency currency) const {
  const std::lock_guard lock(core_->mutex);
  return core_->accounts.balance(org, currency);
}
std::vector<OrgBalance> Book::balances() const {
  const std::lock_guard lock(core_->mutex);
  return core_->accounts.balances();
}
std::vector<OpenHold> Book::open_holds() const {
  const std::lock_guard lock(core_->mutex);
  return core_->accounts.open_holds();
}
std::optional<OpenHold> Book::find_open(const HoldId& id) const {
  const std::lock_guard lock(core_->mutex);
  const OpenHold* found = core_->accounts.find_open(id);
  return found ? std::optional(*found) : std::nullopt;
}
std::vector<TrialLine> Book::trial_balance() const {
  const std::lock_guard lock(core_->mutex);
  return core_->accounts.trial_balance();
}
Status Book::audit() const {
  const std::lock_guard lock(core_->mutex);
  return core_->accounts.audit();
}
BookHealth Book::health() const {
  const std::lock_guard lock(core_->mutex);
  return {.state = core_->state,
          .message = core_->message,
          .booked_seq = core_->accounts.seq(),
          .durable_seq = core_->durable_seq,
          .commits = core_->commits,
          .failed_commits = core_->failed_commits,
          .queued = core_->queue.size() + core_->in_flight};
}

Status Book::scan(const Range& range, const Visitor& visit) {
  return core_->journal->scan(range, visit);
}

Status Book::keepsakes(const KeepsakeVisitor& visit) {
  return core_->journal->keepsakes(visit);
}

Result<std::optional<Resolved>> Book::find_resolved(const HoldId& id) {
  const std::lock_guard lock(core_->mutex);
  return core_->accounts.find_resolved(id);
}

Result<std::vector<Entry>> Book::find(const HoldId& id) {
  return core_->journal->find(id);
}

Status Book::subscribe(Listener listener, int64_t from_seq) {
  const std::lock_guard order(core_->listening);
  if (from_seq != INT64_MAX) {
    Range stored{.from_seq = from_seq};
    {
      const std::lock_guard lock(core_->mutex);
      stored.to_seq = core_->durable_seq;
    }
    MILL_TRY_DO(core_->journal->scan(stored, [&](const Entry& entry) -> Status {
      listener({&entry, 1});
      return {};
    }));
  }
  core_->listeners.push_back(std::move(listener));
  return {};
}

Status Book::save_projection(std::string_view name, int64_t seq, std::string bytes) {
  return core_->save(name, {.seq = seq, .bytes = std::move(bytes)});
}

Result<std::optional<Checkpoint>> Book::load_projection(std::string_view name) {
  MILL_TRY(std::optional<Checkpoint> found, core_->journal->load_checkpoint(name));
  if (!found) return found;
  MILL_TRY(const std::optional<Hash256> there, core_->hash_at(found->seq));
  if (there != found->entry_hash) return std::optional<Checkpoint>();
  return found;
}

Status Book::checkpoint() {
  int64_t seq = 0;
  std::string bytes;
  {
    const std::lock_guard lock(core_->mutex);
    seq = core_->accounts.seq();
    bytes = core_->accounts.snapshot();
  }
  if (seq == 0) return {};
  MILL_TRY_DO(durable_blocking({.seq = seq}));
  return save_projection(kBooksCheckpoint, seq, std::move(bytes));
}

}  // namespace mill::ledger
