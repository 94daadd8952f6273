// May this request go ahead: one decision over everything that its key, project and organization
// are allowed.
//
// All limits of the chain are looked at first; only when all agree is anything taken, so a refusal
// leaves no trace. What is taken is the most that the request can use; finish() gives back what it
// did not. Money: a hold counts against a budget from the moment it is granted, so spent + held
// never exceeds the budget, however many requests race (the owner holds one lock over this and the
// ledger's hold).
//
// A pure state machine: no thread, no clock, no I/O; time is an argument. Budgets are what the
// journal says: after a restart the owner replays this month's charges through spent(). Rates begin
// full and requests that died with the process are gone.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "maas/admission/limits.h"

namespace mill::maas {

// A limit's place: a level and the serial number there; a model only with kProjectModel.
struct Scope {
  Level level = Level::kKey;
  uint64_t id = 0;
  std::string model;
  friend bool operator==(const Scope&, const Scope&) = default;
};

// A request that goes ahead: what was taken, to be given back.
struct Grant {
  struct Reserved {
    double taken = 0;
    int64_t limit = 0;  // of which it was taken; 0: there was none, and nothing was taken
  };
  ledger::Payer payer;
  Shape shape;
  std::array<std::array<Reserved, kRateCount>, kLevelCount> reserved{};
};

class Admission {
 public:
  // Replaces the limits of a scope; running requests keep what they have.
  // Requires: check(limits) is ok; no budget with kProjectModel.
  void set(const Scope& scope, const Limits& limits);
  Limits limits(const Scope& scope) const;  // none where none were set

  // Decides and, when all agree, takes.  Requires: no negative number in `shape`.
  std::variant<Grant, Refusal> admit(const ledger::Payer& payer, const Shape& shape, Times now);

  // More money for a running request (its hold was too small), under the same budgets.
  std::optional<Refusal> extend(Grant& grant, ledger::Nano by, Times now);

  // The same less: the ledger had no credit for it.  Requires: extend() gave it.
  void shrink(Grant& grant, ledger::Nano by, Times now);

  // The request is over: gives back what it did not use and books its charge. What it used beyond
  // the reservation (the worker's count was larger) is taken all the same, and leaves a rate in
  // debt.
  void finish(const Grant& grant, const Taken& taken, Times now);
  // It never began: everything goes back, as if it had not been asked.
  void undo(const Grant& grant, Times now);

  // A charge (or with a minus sign a reversal) of the journal: from before a restart, or made by
  // hand.
  void spent(const ledger::Payer& payer, ledger::Currency currency, ledger::Nano amount,
             int64_t at_ns);

  RateViews view(const ledger::Payer& payer, const std::string& model, Times now);

  // What a scope has spent and holds now; for the admin API and tests.
  struct Money {
    ledger::Nano today = 0, this_month = 0, held = 0;
  };
  Money money(const Scope& scope, ledger::Currency currency, int64_t unix_ns);
  int64_t running(const Scope& scope) const;
  size_t scopes() const { return states_.size(); }  // that were used or limited

 private:
  // A rate: how much is left of the allowance, as of `at`.
  struct Bucket {
    double left = 0;
    Instant at{};
    bool begun = false;
  };
  struct Spending {
    ledger::Currency currency;
    int64_t day = 0, month = 0;  // which ones the sums are of
    ledger::Nano today = 0, this_month = 0, held = 0;
  };
  struct State {
    Limits limits;
    std::array<Bucket, kRateCount> buckets;
    int64_t running = 0;
    std::vector<Spending> spending;  // one per currency, seldom more than one
  };
  struct ScopeHash {
    size_t operator()(const Scope& scope) const;
  };

  using Chain = std::array<State*, kLevelCount>;
  static std::array<Scope, kLevelCount> scopes_of(const ledger::Payer& payer,
                                                  const std::string& model);
  Chain chain(const ledger::Payer& payer, const std::string& model);
  static bool counts_money(const State& state, const Chain& states);  // all levels but one do
  static double refilled(State& state, Meter meter, int64_t limit, Instant now);
  static Spending& spending(State& state, ledger::Currency currency, int64_t unix_ns);
  static std::optional<Refusal> refuse(State& state, Level level, const Shape& shape, Times now);
  static std::optional<Refusal> refuse_money(State& state, Level level, ledger::Currency currency,
                                             ledger::Nano wanted, Times now);
  void give_back(const Grant& grant, const Taken& taken, bool began, Times now);

  std::unordered_map<Scope, State, ScopeHash> states_;
};

}  // namespace mill::maas
