// The books in memory: balances and holds, as the entries make them. The brain of the ledger.
//
// A pure state machine: no thread, no clock, no I/O; the caller brings the entries in order and
// guards it. Everything but the memory of resolved ids is a function of the entries alone, so live
// books, a restart and a verification agree to the byte.
//
// Invariants, after every entry and for every organization and currency:
//   1. credit + limit - held >= 0: nothing available is negative.
//   2. held is the sum of its open holds; a hold is open, or resolved by exactly one settle, void
//   or expire.
//   3. A settle charges at most its hold; reversals of it give back at most its charge.
//   4. The trial balance is zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/money.h"

namespace mill::ledger {

struct Balance {
  Nano credit = 0;   // paid in, minus charged, plus reversed and written off; below zero it is owed
  Nano held = 0;     // reserved by open holds
  Nano charged = 0;  // settled minus reversed, since ever
  Nano limit = 0;    // how far below zero the credit may go
  Nano available() const { return credit + limit - held; }
  friend bool operator==(const Balance&, const Balance&) = default;
};

struct OpenHold {
  HoldId id{};
  int64_t seq = 0;  // of its kHold
  int64_t at_ns = 0;
  Payer payer;
  Currency currency;
  Nano amount = 0;  // with its extensions
  std::string model;
  int64_t price_version = 0;
  uint8_t tier = 0;
  uint32_t flags = 0;
  int64_t progress_seq = 0;  // of its last kProgress; 0: none
  Nano progress = 0;         // its charge
  Buckets tokens;            // its tokens
  int64_t delivered_bytes = 0;
  friend bool operator==(const OpenHold&, const OpenHold&) = default;
};

// How an id ended: a settle, void or expire of a request, or a credit or write-off with an id.
struct Resolved {
  Kind kind = Kind::kVoid;
  int64_t seq = 0;
  Payer payer;
  Currency currency;
  Nano charge = 0;
  Nano reversed = 0;
  friend bool operator==(const Resolved&, const Resolved&) = default;
};

// What became of an entry.
struct Applied {
  bool existed = false;  // the same thing was booked before: nothing changed
  int64_t seq = 0;       // of the entry that did it, this one or the earlier one
  Nano charge = 0;       // of a settle: what is charged; of an earlier one, what that charged
};

struct TrialLine {
  Currency currency;
  AccountKind account = AccountKind::kCash;
  uint64_t org = 0;
  Nano amount = 0;
  friend bool operator==(const TrialLine&, const TrialLine&) = default;
};

struct OrgBalance {
  uint64_t org = 0;
  Currency currency;
  Balance balance;
};

class Accounts {
 public:
  // Looks up in the journal how an id ended, for those no longer in memory. Nothing: it never did.
  using Recall = std::function<Result<std::optional<Resolved>>(const HoldId&)>;

  // Remembers the last `remembered` resolved ids itself and asks `recall` about older ones. Without
  // a `recall` everything is remembered, and what a restored snapshot had resolved is unknown.
  explicit Accounts(size_t remembered = SIZE_MAX, Recall recall = {});

  // Fills in what the books know and the caller need not: the payer, currency, model and price of a
  // hold, and `held`, of entries that name a hold. Fields that are set stay. An unknown hold
  // changes nothing: apply() refuses it.
  Status complete(Entry& entry);

  // Validates, then changes; on an error there is no trace. Requires: entry.seq is the next, at_ns
  // not before the last.
  //   kInvalid     a field, a hold that was resolved otherwise, more than the hold, another payer
  //   (`param` names the field) kNotFound    no such hold (param "hold") kPermission  not enough
  //   available (param "credit") kTooLarge    a balance would not fit what `recall` fails with
  // Twice the same hold, settle, void, expire, or credit with an id: existed, and nothing changes
  // (the seq is not used).
  Result<Applied> apply(const Entry& entry);
  // Several that stand or fall together: on an error, the first one's, there is no trace of any.
  // What was booked before is an error here. Requires: acts and limits, and a credit only at the
  // end.
  Status apply_together(std::span<const Entry> entries);

  Balance balance(uint64_t org, Currency currency) const;  // zeros for one without entries
  std::vector<OrgBalance> balances() const;                // by organization and currency
  const OpenHold* find_open(const HoldId& id) const;
  Result<std::optional<Resolved>> find_resolved(const HoldId& id) const;
  std::vector<OpenHold> open_holds() const;  // oldest first
  size_t open_count() const { return open_.size(); }
  int64_t seq() const { return seq_; }
  int64_t at_ns() const { return at_ns_; }
  int64_t newest_id_ms() const {
    return newest_id_ms_;
  }  // the latest time in any id that was booked; -1: none
  // `recall` knows all up to this entry: ids that it resolved may be forgotten. At first none may.
  void may_forget(int64_t seq) { forgettable_seq_ = seq; }

  // Every account that is not zero; each currency's lines sum to zero (invariant 4).
  std::vector<TrialLine> trial_balance() const;
  // Rounding so far, exact minus charged, in 1e-15 of a unit.
  int64_t rounding(Currency currency) const;
  // Recomputes the invariants from the parts; kInternal names the first that does not hold.
  Status audit() const;

  // All but the remembered ids, canonical: equal books have equal bytes.
  std::string snapshot() const;
  // Replaces everything; the ids are forgotten, so `recall` is asked. kCorrupt leaves the books
  // empty.
  Status restore(std::string_view bytes);

 private:
  struct House {  // our own accounts, per currency
    Nano cash = 0, revenue = 0, write_off = 0;
    int64_t rounding = 0;
  };
  using Key = std::pair<uint64_t, Currency>;
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return (key.first * 0x9E3779B97F4A7C15ull) ^ std::hash<Currency>{}(key.second);
    }
  };

  Result<Applied> apply_credit(const Entry& entry);
  Result<Applied> apply_hold(const Entry& entry);
  Result<Applied> apply_extend(const Entry& entry);
  Result<Applied> apply_progress(const Entry& entry);
  Result<Applied> apply_resolve(const Entry& entry);
  Result<Applied> apply_reversal(const Entry& entry);
  Result<Applied> apply_write_off(const Entry& entry);
  Result<Applied> apply_limit(const Entry& entry);
  Result<Applied> apply_kind(const Entry& entry);
  House house_of(Currency currency) const;  // zeros for a currency without entries
  Result<OpenHold*> open_for(const Entry& entry);
  Result<std::optional<Applied>> seen_grant(const Entry& entry);
  void remember(const HoldId& id, const Resolved& resolved, int64_t seq);
  Status restore_from(std::string_view bytes);

  size_t remembered_;
  Recall recall_;
  int64_t seq_ = 0;
  int64_t at_ns_ = 0;
  int64_t newest_id_ms_ = -1;  // the latest time in any id that was booked
  std::unordered_map<Key, Balance, KeyHash> balances_;
  std::map<Currency, House> house_;
  std::unordered_map<HoldId, OpenHold> open_;

  // Ids with a time after forgotten_ms_ are all in resolved_: a new one needs no look into the
  // journal.
  struct Remembered {
    Resolved resolved;
    int64_t touched_seq =
        0;  // of the last entry that changed it: recall knows no better than memory up to there
  };
  std::unordered_map<HoldId, Remembered> resolved_;
  std::deque<std::pair<HoldId, int64_t>>
      resolved_order_;  // id, touched_seq; those that were touched again are passed over
  int64_t forgotten_ms_ = -1;
  int64_t forgettable_seq_ = 0;
};

}  // namespace mill::ledger
