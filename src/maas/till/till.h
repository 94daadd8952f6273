// Where a request meets money: one decision before it runs, one booking when it is over.
//
// admit() holds one lock over the limits (admission) and the ledger's hold, so both say yes or
// nothing is taken: however many requests race for the last of a budget or a credit, none gets more
// than there is. The hold is the most that the request can cost by the prices of the moment it was
// accepted; what it really took is settled by those same prices, and never more than the hold.
// Whoever drops a Permit without settling it lets go of the hold (void).
//
// Who pays what is written in docs/ledger.md; settle() is where it is done. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "ledger/book.h"
#include "maas/admission/admission.h"
#include "maas/admission/fair_share.h"
#include "maas/catalog/price_book.h"
#include "maas/metering/energy_meter.h"
#include "work/event.h"

namespace mill::maas {

// Who asks, as the keyring knows them.
struct Patron {
  ledger::Payer payer;
  ledger::Currency currency;  // of the organization's credit
  Tier tier = Tier::kDefault;
  double weight = 1;  // of its share when the mill is busy
};

// What is asked, at most.
struct Ask {
  std::string model;
  int64_t prompt_tokens = 0;  // exact; of all prompts
  int64_t output_tokens = 0;  // of all answers
  int64_t computed_tokens =
      0;  // of the prompt, as far as is known: the mill's work for the fair share
  bool stream = false;
  // The worker's line: who has more of it than its share is turned away from three quarters on, so
  // that a flood leaves room for others. 0 places: not known.
  int64_t in_line = 0, places = 0;
};

// Why not.
struct Denial {
  enum class Kind : uint8_t {
    kLimit,    // a limit or a budget: `limit` says which
    kCredit,   // not enough credit for the hold
    kBusy,     // the line is nearly full, and this tenant has more of it than its share
    kNoPrice,  // the model isn't sold to this patron (currency, tier)
    kBooks,    // the ledger takes nothing at present
  };
  Kind kind{};
  Error error;
  std::optional<Refusal> limit;
  RateViews rates;
};

// How a request ended.
enum class Outcome : uint8_t {
  kDone,        // by itself
  kClientGone,  // what was milled is charged; nothing when no step was made for it
  kDeadline,    // what was milled is charged; nothing when it never began
  kFault,       // ours: what was delivered is charged; nothing when nothing was
  kFilter,      // the input is charged
  kDrained,     // as kFault
  kKeyRevoked,  // as kClientGone
};

// What it took, by the worker's count and the gateway's.
struct Took {
  std::optional<work::Usage> usage;  // none: the worker lost count; then what was delivered counts
  int64_t delivered_tokens = 0;      // of all answers, that the client was sent
  int64_t delivered_bytes = 0;
  bool length = false;  // it ended at its limit of tokens
  // Kept beside the charge, in its transaction; with nothing charged it is not kept.
  std::shared_ptr<const ledger::Keepsake> keepsake;
};

// What a request was charged.
struct Bill {
  ledger::Nano charge = 0;
  ledger::Buckets tokens;
  ledger::Reason reason = ledger::Reason::kNone;
  bool corrected = false;  // the worker's count could not be true: see the entry's note
  ledger::Ticket ticket;   // durable() of it is the acknowledgement
};

class Till;

// A request that may run. Movable; destroyed without a settle, its hold is voided.
class Permit {
 public:
  Permit(Permit&&) noexcept;
  Permit& operator=(Permit&&) = delete;
  ~Permit();

  const ledger::HoldId& id() const;  // the request's ULID
  ledger::Nano hold() const;
  Instant rank() const;            // its place among all that run: see fair_share.h
  const RateViews& rates() const;  // after it was admitted

  // Before the first byte of the answer leaves: waits until the hold is durable.
  Task<Status> held(Instant deadline);

  // The answer has so many tokens so far. Now and then what it would cost by now is booked, so that
  // a crash loses at most what came after. How much of the prompt was cached is known at the end
  // only: until then the client has the benefit of the doubt, and all of it counts as cached. Cheap
  // to call for every token.
  void progress(int64_t output_tokens, int64_t delivered_bytes);

  // Room for more output than was asked for: the hold grows. Fails as admit does, and then the
  // answer must end.
  tl::expected<void, Denial> extend(int64_t output_tokens);

  // Books the end and gives back what was not used. Fails only when the books have stopped; the
  // hold is then open, and ends when they are opened again. Requires: not settled yet.
  Result<Bill> settle(const Took& took, Outcome outcome);
  Task<Status> settled(const Bill& bill, Instant deadline);

 private:
  friend class Till;
  struct State;
  explicit Permit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Till {
 public:
  struct Options {
    Duration progress_every = std::chrono::seconds(1);
    std::function<int64_t()> unix_ns;    // empty: the system's clock
    std::function<Instant()> monotonic;  // empty: now()
    FairShare::Options fair_share;
    // Tells what electricity a request took; null: nobody measures, and entries do not say.
    std::shared_ptr<EnergyMeter> meter;
  };
  // `book` must outlive the till; the till must outlive its permits.
  Till(ledger::Book& book, Options options);
  ~Till();

  // Reads this month's charges, so that budgets know them. Once, before the first admit.
  Status replay_spending();

  tl::expected<Permit, Denial> admit(const Patron& patron, const Ask& ask);

  // The prices in force; a copy of the pointer may be kept.
  std::shared_ptr<const PriceVersion> prices() const;
  std::shared_ptr<const PriceVersion> prices(int64_t version) const;  // nullptr: no such version
  std::vector<std::shared_ptr<const PriceVersion>> price_versions() const;
  // Changes of acts, in the journal's order.
  Status set_prices(const BookDraft& draft, int64_t at_ns);
  Status check_prices(const BookDraft& draft) const;  // what set_prices would say now
  Status withdraw_prices(int64_t number, int64_t at_ns);
  void set_limits(const Scope& scope, const Limits& limits);
  Limits limits(const Scope& scope) const;
  // A reversal or a correction that was booked elsewhere.
  void spent(const ledger::Payer& payer, ledger::Currency currency, ledger::Nano amount,
             int64_t at_ns);
  RateViews rates(const Patron& patron, const std::string& model);
  Admission::Money money(const Scope& scope, ledger::Currency currency);

  // Null: nobody measures.
  EnergyMeter* meter() const;
  // Books the electricity that no request answers for, since the last time; now and then, as what
  // is not booked is lost with the process. Nothing to do without a meter.
  Status book_overhead();

 private:
  friend class Permit;
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace mill::maas
