// The business of one mill, joined: the books, who there is (keyring), and what they may use at
// which price (till).
//
// All that changes it is in the journal: an act goes through the keyring, and what it says of
// limits, budgets and prices reaches the till in the journal's order, when it is durable; a restart
// replays the same. Money that people move (payments, credit limits, reversals) is booked here too.
// Functions that book wait for an fsync: for threads that may wait. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/book.h"
#include "maas/tenancy/keyring.h"
#include "maas/till/till.h"

namespace mill::maas {

struct OfficeOptions {
  ledger::BookOptions book;
  KeyringOptions keyring;
  Till::Options till;
};

// A payment, or what else a person books.
struct MoneyOrder {
  uint64_t org = 0;
  ledger::Nano amount = 0;
  ledger::HoldId id{};  // none: given; the same id twice books once
  std::string note;
};

class Office {
 public:
  // Opens the books, ends what a dead process left, replays acts and this month's charges. Fails as
  // Book::open and Keyring::open do.
  static Result<std::unique_ptr<Office>> open(std::unique_ptr<ledger::Journal> journal,
                                              OfficeOptions options);
  // Saves checkpoints. Nobody may still use it, nor a Permit of its till.
  ~Office();
  Office(const Office&) = delete;
  Office& operator=(const Office&) = delete;

  ledger::Book& book();
  Keyring& keyring();
  const Keyring& keyring() const;
  Till& till();

  // Keyring::administer for every act, with what tenancy keeps opaque checked first: kInvalid for a
  // limit that admission does not know or that would have no place, for a budget in another
  // currency than the organization's, and for what is wrong with a price book. In effect for all
  // when it returns.
  Result<Done> administer(Act act, std::string actor, Instant deadline);
  // Several acts as one, and with them the credit limit and the payment of an organization that the
  // first one makes: all take effect, or none.
  struct Opening {
    std::optional<ledger::Nano> credit, credit_limit;
  };
  Result<std::vector<Done>> administer_together(std::vector<Act> acts, const Opening& opening,
                                                const std::string& actor, Instant deadline);
  Result<MintedAccount> create_account(CreateServiceAccount act, std::string key_name,
                                       const std::string& actor, Instant deadline);
  Result<MintedKey> create_key(CreateKey act, std::string actor, Instant deadline);
  Result<MintedKey> create_admin_key(CreateAdminKey act, std::string actor, Instant deadline);
  Result<MintedKey> rotate_key(uint64_t key, std::string actor, Instant deadline);
  // The key of the operator, minted where none works. Nothing: there is one.
  Result<std::optional<MintedKey>> first_key(Instant deadline);

  // Credit that was paid in (or, with a minus sign, out); durable when it returns. kNotFound, param
  // "organization"; kInvalid for an amount of 0; kPermission where it would take more than is
  // available.
  Result<ledger::Ticket> pay(const MoneyOrder& order, std::string actor, Instant deadline);
  // How far the organization may owe (post-paid).
  Result<ledger::Ticket> set_credit_limit(const MoneyOrder& order, std::string actor,
                                          Instant deadline);
  // Gives back `amount` of a request's charge; 0: all that is left of it. `order.id` is the
  // request's, `order.org` must be whose request it was. The reversal names model, price version,
  // tier and batch of what was charged, and no tokens: they were used. It waits until the charge is
  // on the disk. kNotFound, param "id", where that organization has no such charge; kInvalid, param
  // "amount", for more than is left of it.
  Result<ledger::Ticket> reverse(const MoneyOrder& order, std::string actor, Instant deadline);
  // Gives up what is owed.
  Result<ledger::Ticket> write_off(const MoneyOrder& order, std::string actor, Instant deadline);

  static Patron patron(const Caller& caller);

 private:
  struct Core;
  explicit Office(std::shared_ptr<Core> core);
  Result<ledger::Ticket> book_now(ledger::Entry entry, Instant deadline);
  Result<ledger::Entry> entry_of(ledger::Kind kind, const MoneyOrder& order, std::string actor);
  template <class Do>
  auto one_at_a_time(const Act& act, Instant deadline, const Do& what);
  std::shared_ptr<Core> core_;  // the book's listener has it too
};

// The limits that acts have set for one scope. Spend limits are budgets of organizations and
// projects. Pure.
Limits limits_of(const Directory& directory, const Scope& scope);
// The place of an act's limit. kInvalid, param "scope", where there is none: a model without a
// project, or nothing at all.
Result<Scope> scope_of(const LimitScope& scope);
// kInvalid, param "limit".
Result<Meter> parse_rate(std::string_view name);

}  // namespace mill::maas
