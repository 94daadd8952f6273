// The books as a running thing: any thread posts, one thread writes, and nobody is told "booked"
// before it is on the disk.
//
// post() checks and applies an entry in memory under one mutex and queues it; the writer takes all
// that is queued, appends it in one transaction with one fsync (group commit), and wakes those who
// wait. The order of the queue is the order of the journal, so a reader of the books is never
// behind its own posts, and an entry is durable only with everything before it.
//
// When an append fails, nothing of the batch is acknowledged and the writer keeps trying the same
// batch: reopen, compare the head, append what is missing. Meanwhile new business is refused with
// kIo; what ends or reports an open hold is still taken, up to the queue's limit, and becomes
// durable with the rest. A head that is not ours stops the book for good.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "ledger/accounts.h"
#include "ledger/entry.h"
#include "ledger/journal.h"

namespace mill::ledger {

// A post's receipt: durable(ticket) waits until entry `seq` is on the disk.
struct Ticket {
  int64_t seq = 0;
  bool existed = false;  // it was booked before by entry `seq`; nothing changed
  Nano charge = 0;       // of a settle: what is charged
};

struct BookOptions {
  size_t max_queued = 1 << 16;  // entries between post and disk; more are refused with kOverloaded
  size_t max_batch = 1 << 12;   // entries in one transaction
  // Entries that nobody waits for yet may wait so long for others: one fsync is enough for a hold
  // and the settle that follows.
  Duration linger = std::chrono::milliseconds(5);
  // When the last transaction had more than gather_from entries, the next one waits so long for as
  // many: under load one fsync for many is more throughput than many for few (PostgreSQL's
  // commit_delay and commit_siblings).
  Duration gather = std::chrono::milliseconds(2);
  size_t gather_from = 8;
  int64_t checkpoint_every = 100'000;  // entries between checkpoints: what a restart replays
  size_t remembered = 1 << 16;  // resolved ids in memory; older ones are looked up in the journal
  Duration lease =
      std::chrono::minutes(15);  // of a hold, since its last entry; sweep() ends older ones
  Duration retry_first = std::chrono::milliseconds(20);  // after a failed append; doubles
  Duration retry_longest = std::chrono::seconds(2);
  Duration open_wait = std::chrono::seconds(30);  // the longest that open() tries to write
  std::function<int64_t()> unix_ns;               // the clock of at_ns; empty: the system's
  std::function<Instant()> monotonic;             // the clock of leases; empty: now()
};

struct BookHealth {
  enum class State { kOk, kRetrying, kStopped };
  State state = State::kOk;
  std::string message;      // what failed last; empty when all is well
  int64_t booked_seq = 0;   // in memory
  int64_t durable_seq = 0;  // on the disk
  int64_t commits = 0;      // transactions since the start
  int64_t failed_commits = 0;
  size_t queued = 0;
};

class Book {
 public:
  // Restores the last checkpoint, replays and verifies the tail, then ends the holds that a dead
  // process left: settled at their last progress (Reason::kRecovered), else voided; these entries
  // are durable when it returns. kCorrupt names the first entry that breaks the chain or the rules;
  // kIo.
  static Result<std::unique_ptr<Book>> open(std::unique_ptr<Journal> journal, BookOptions options);
  // Writes what is queued (one try), saves a checkpoint, and ends the writer. Nobody may still
  // wait.
  ~Book();
  Book(const Book&) = delete;
  Book& operator=(const Book&) = delete;

  // Books `entry`; seq, at_ns, held and the hashes are set here, and what the hold knows is filled
  // in (Accounts::complete). Fails as Accounts::apply does; kIo while the journal does not take
  // entries; kOverloaded when too many wait for the disk.
  Result<Ticket> post(Entry entry);

  // Books several that stand or fall together, in one transaction: all, or none. The ticket is the
  // last one's; the others have the numbers before it. Fails as post() does.  Requires: at least
  // one; acts and limits, and a credit only at the end.
  Result<Ticket> post_together(std::vector<Entry> entries);

  // Waits until the entry is durable. kDeadline: it may still become so. kIo: the book stopped for
  // good.
  Task<Status> durable(Ticket ticket, Instant deadline);
  Status durable_blocking(Ticket ticket, Instant deadline = kNever);

  // A new id. Its time is never before that of an id this book has given or booked, whatever the
  // clock does.
  HoldId new_id();

  // Ends the holds whose lease is over: settled at their last progress, else expired. How many.
  Result<size_t> sweep();

  // The read side: the books in memory, durable or not yet.
  Balance balance(uint64_t org, Currency currency) const;
  std::vector<OrgBalance> balances() const;
  std::vector<OpenHold> open_holds() const;
  std::optional<OpenHold> find_open(const HoldId& id) const;
  std::vector<TrialLine> trial_balance() const;
  Status audit() const;
  BookHealth health() const;

  // The durable entries of a range; see Journal::scan.
  Status scan(const Range& range, const Visitor& visit);
  // What was kept beside durable entries; see Journal::keepsakes.
  Status keepsakes(const KeepsakeVisitor& visit);
  // How an id ended, also long ago.
  Result<std::optional<Resolved>> find_resolved(const HoldId& id);
  // The durable entries that ended an id, and its reversals; see Journal::find.
  Result<std::vector<Entry>> find(const HoldId& id);

  // `listener` hears of every durable entry once, in order, from the writer's thread: be quick,
  // post nothing and do not wait. `from_seq`: it first hears of the stored ones from there on, in
  // the calling thread, with none missed between.
  using Listener = std::function<void(std::span<const Entry>)>;
  Status subscribe(Listener listener, int64_t from_seq = INT64_MAX);

  // A projection's own checkpoint; `seq` must be durable. Loading gives nothing where its history
  // is not this one.
  Status save_projection(std::string_view name, int64_t seq, std::string bytes);
  Result<std::optional<Checkpoint>> load_projection(std::string_view name);

  // Saves the books' checkpoint now; the writer does so by itself every checkpoint_every entries.
  Status checkpoint();

 private:
  struct Core;
  explicit Book(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace mill::ledger
