// What an organization is to be told of its money, and when: spending that reaches an alert's
// amount, credit that runs low. A projection of the journal.
//
// A spend alert tells once in its UTC day or month. A credit alert tells when what may still be
// spent (credit + credit limit) is no more than its amount, and again only after that rose above
// the amount by a tenth: a balance that swings around the line rings once. What is reached while
// there is no webhook to tell is told when there is one, if it still holds then.
//
// A pure state machine: no thread, no clock, no I/O; entries come in the journal's order, dated by
// it. So the same journal gives the same alerts with the same ids, however often it is read, and a
// receiver that knows an id has been told.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "maas/tenancy/acts.h"
#include "maas/tenancy/records.h"

namespace mill::maas {

enum class AlertKind : uint8_t {
  kSpend,    // "spend_alert.reached"
  kCredit,   // "credit.low"
  kWebhook,  // "webhook.updated": an endpoint or its secret was set, so that its owner can try it
};
template <>
inline constexpr uint8_t kEnumCount<AlertKind> = 3;
std::string_view name(AlertKind kind);

struct Alert {
  std::string id;  // "msg_" and 32 hex digits: of the entry's hash in the chain, kind and amount
  AlertKind kind{};
  int64_t seq = 0;    // of the entry that did it
  int64_t at_ns = 0;  // its time
  uint64_t org = 0, project = 0;
  ledger::Currency currency;
  Period period{};             // of a spend alert
  ledger::Nano threshold = 0;  // the alert's amount
  ledger::Nano value = 0;      // what was spent in the period; what is left
  std::string notify;          // of a spend alert: whom its owner wants to hear of it
  MILL_FIELDS(Alert, id, kind, seq, at_ns, org, project, currency, period, threshold, value,
              notify);
};

class Alerts {
 public:
  // What entry `entry` is reason to tell. Entries up to seq() were seen before and change nothing.
  std::vector<Alert> apply(const ledger::Entry& entry);
  int64_t seq() const { return seq_; }

  // All of it as bytes: equal ones have equal bytes. restore(): kCorrupt, kUnsupported.
  std::string snapshot() const;
  static Result<Alerts> restore(std::string_view bytes);

 private:
  struct Spending {  // of an organization (project 0) or project
    int64_t day = 0, month = 0;
    ledger::Nano today = 0, this_month = 0;
    MILL_FIELDS(Spending, day, month, today, this_month);
  };
  struct SpendRule {
    std::string notify;
    int64_t told = INT64_MIN;  // the day or month in which it last did
    MILL_FIELDS(SpendRule, notify, told);
  };
  struct CreditRule {
    ledger::Nano amount = 0;
    bool told = false;
    MILL_FIELDS(CreditRule, amount, told);
  };
  struct Purse {  // of an organization
    ledger::Currency currency;
    ledger::Nano credit = 0, limit = 0;
    ledger::Nano left() const { return credit + limit; }
    MILL_FIELDS(Purse, currency, credit, limit);
  };
  using Place = std::pair<uint64_t, uint64_t>;  // organization, project

  void apply_act(const ledger::Entry& entry, std::vector<Alert>& out);
  void spend(const Place& place, const ledger::Entry& entry, ledger::Nano amount);
  void look_at_spending(uint64_t org, const ledger::Entry& entry, std::vector<Alert>& out);
  void look_at_credit(uint64_t org, const ledger::Entry& entry, std::vector<Alert>& out);

  int64_t seq_ = 0;
  uint64_t organizations_ = 0;  // made so far
  std::map<Place, Spending> spending_;
  std::map<uint64_t, Purse> purses_;
  std::map<std::pair<SpendKey, ledger::Nano>, SpendRule> spend_rules_;
  std::map<uint64_t, CreditRule> credit_rules_;
  std::set<uint64_t> webhooks_;  // organizations that have one in use
};

}  // namespace mill::maas
