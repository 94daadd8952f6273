#include "maas/office/office.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "maas/catalog/draft_codec.h"

namespace mill::maas {

struct Office::Core {
  std::unique_ptr<ledger::Book> book;
  std::unique_ptr<Keyring> keyring;
  std::unique_ptr<Till> till;
  std::function<int64_t()> unix_ns;

  std::mutex acting;  // one act at a time, from its check to its effect

  std::mutex mutex;  // of what follows
  std::condition_variable changed;
  int64_t heard_seq = 0;  // the last entry that has reached the till
  int64_t fault_seq = 0;  // the last act that changed nothing there, and why
  std::optional<Error> fault;

  // What an act means for the till. The directory has it already.
  Status tell_till(const Act& act, int64_t at_ns) {
    if (const auto* limit = std::get_if<SetLimit>(&act)) {
      MILL_TRY(const Scope scope, scope_of(limit->scope));
      refresh(scope);
    } else if (const auto* spend = std::get_if<SetSpendLimit>(&act)) {
      refresh(spend->project != 0 ? Scope{Level::kProject, spend->project, {}}
                                  : Scope{Level::kOrganization, spend->org, {}});
    } else if (const auto* prices = std::get_if<SetPriceBook>(&act)) {
      MILL_TRY(const BookDraft draft, decode_book(prices->book));
      return till->set_prices(draft, at_ns);
    } else if (const auto* withdrawn = std::get_if<WithdrawPriceBook>(&act)) {
      return till->withdraw_prices(withdrawn->number, at_ns);
    }
    return {};
  }

  void refresh(const Scope& scope) {
    till->set_limits(scope, keyring->read([&](const Directory& directory) {
      return limits_of(directory, scope);
    }));
  }

  void hear(const ledger::Entry& entry) {
    if (entry.kind == ledger::Kind::kReversal)
      till->spent(entry.payer, entry.currency, -entry.amount, entry.at_ns);
    if (entry.kind != ledger::Kind::kAct) return;
    Status told = [&]() -> Status {
      MILL_TRY(const Act act, decode_act(entry.body));
      return tell_till(act, entry.at_ns);
    }();
    // The same on every replay: prices that came too late to begin when they say, for one.
    if (!told) {
      log_warn("an act has no effect").add("entry", entry.seq).add("error", told.error().message);
    }
    if (told) return;
    const std::lock_guard lock(mutex);
    fault_seq = entry.seq;
    fault = told.error();
  }

  void hear(std::span<const ledger::Entry> entries) {
    for (const ledger::Entry& entry : entries) hear(entry);
    if (entries.empty()) return;
    const std::lock_guard lock(mutex);
    heard_seq = entries.back().seq;
    changed.notify_all();
  }

  Status wait(int64_t seq, Instant deadline) {
    std::unique_lock lock(mutex);
    const auto heard = [&] { return heard_seq >= seq; };
    if (deadline == kNever) {
      changed.wait(lock, heard);
    } else if (!changed.wait_until(lock, deadline, heard)) {
      return fail(Code::kDeadline, "it is booked, and not yet in effect");
    }
    if (fault_seq == seq && fault) return fail(*fault);
    return {};
  }

  // All scopes that have limits, after a start.
  void refresh_all() {
    std::vector<Scope> scopes;
    keyring->read([&](const Directory& directory) {
      for (const auto& [place, value] : directory.limits()) {
        if (const auto scope = scope_of(place.first)) scopes.push_back(*scope);
      }
      for (const auto& [key, amount] : directory.spend_limits()) {
        scopes.push_back(key.project != 0 ? Scope{Level::kProject, key.project, {}}
                                          : Scope{Level::kOrganization, key.org, {}});
      }
    });
    for (const Scope& scope : scopes) refresh(scope);
  }

  Result<ledger::Currency> currency_of(uint64_t org) const {
    return keyring->read([&](const Directory& directory) -> Result<ledger::Currency> {
      const Organization* found = directory.organization(org);
      if (!found) return fail(Code::kNotFound, "there is no such organization", "organization");
      return found->currency;
    });
  }

  // A limit is kept under the whole chain above it, so that one place has one name.
  Status complete(SetLimit& act) const {
    MILL_TRY_DO(scope_of(act.scope));
    MILL_TRY_DO(parse_rate(act.limit));
    return keyring->read([&](const Directory& directory) -> Status {
      LimitScope& scope = act.scope;
      if (scope.key != 0) {
        const Key* key = directory.key(scope.key);
        if (!key || key->kind != KeyKind::kProject)
          return fail(Code::kNotFound, "there is no such key", "key");
        scope.project = key->project;
      }
      if (scope.project != 0) {
        const Project* project = directory.project(scope.project);
        if (!project) return fail(Code::kNotFound, "there is no such project", "project");
        scope.org = project->org;
      }
      return {};
    });
  }

  Status check(Act& act) {
    if (auto* limit = std::get_if<SetLimit>(&act)) return complete(*limit);
    if (const auto* spend = std::get_if<SetSpendLimit>(&act)) {
      MILL_TRY(const ledger::Currency currency, currency_of(spend->org));
      if (spend->currency == currency) return {};
      return fail(Code::kInvalid,
                  fmt::format("the organization pays in {}", ledger::to_string(currency)),
                  "currency");
    }
    if (const auto* prices = std::get_if<SetPriceBook>(&act)) {
      MILL_TRY(const BookDraft draft, decode_book(prices->book));
      return till->check_prices(draft);
    }
    if (const auto* withdrawn = std::get_if<WithdrawPriceBook>(&act)) {
      const auto version = till->prices(withdrawn->number);
      if (version && version->effective_from_ns() <= unix_ns())
        return fail(Code::kPermission,
                    "a price book that is in effect stays; a new one replaces it", "number");
    }
    return {};
  }
};

Office::Office(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Office::~Office() {
  if (const Status saved = core_->keyring->checkpoint(); !saved)
    log_warn("the keys' checkpoint was not saved").add("error", saved.error().message);
  // The book's listener shares the core, and the book is in it.
  core_->book.reset();
}

ledger::Book& Office::book() {
  return *core_->book;
}
Keyring& Office::keyring() {
  return *core_->keyring;
}
const Keyring& Office::keyring() const {
  return *core_->keyring;
}
Till& Office::till() {
  return *core_->till;
}

Result<std::unique_ptr<Office>> Office::open(std::unique_ptr<ledger::Journal> journal,
                                             OfficeOptions options) {
  auto core = std::make_shared<Core>();
  core->unix_ns = options.till.unix_ns ? options.till.unix_ns : unix_nanoseconds;
  MILL_TRY(core->book, ledger::Book::open(std::move(journal), std::move(options.book)));
  MILL_TRY(core->keyring, Keyring::open(*core->book, std::move(options.keyring)));
  core->till = std::make_unique<Till>(*core->book, std::move(options.till));
  const int64_t head = core->book->health().durable_seq;
  // Limits are in the directory already; versions of the price book are kept nowhere else.
  const ledger::Range acts{.to_seq = head, .kinds = {ledger::Kind::kAct}};
  MILL_TRY_DO(core->book->scan(acts, [&](const ledger::Entry& entry) -> Status {
    MILL_TRY(const Act act, decode_act(entry.body));
    const bool prices =
        std::holds_alternative<SetPriceBook>(act) || std::holds_alternative<WithdrawPriceBook>(act);
    if (prices) (void)core->tell_till(act, entry.at_ns);  // what failed then fails now
    return {};
  }));
  core->refresh_all();
  MILL_TRY_DO(core->till->replay_spending());
  core->heard_seq = head;
  MILL_TRY_DO(core->book->subscribe(
      [raw = core.get()](std::span<const ledger::Entry> entries) { raw->hear(entries); },
      head + 1));
  return std::unique_ptr<Office>(new Office(std::move(core)));
}

template <class Do>
auto Office::one_at_a_time(const Act& act, Instant deadline, const Do& what) {
  const std::lock_guard one(core_->acting);
  Act checked = act;
  using Made = decltype(what(std::move(checked)));
  if (Status status = core_->check(checked); !status) return Made(fail(std::move(status).error()));
  Made made = what(std::move(checked));
  if (!made) return made;
  int64_t seq = 0;
  if constexpr (requires { made->seq; })
    seq = made->seq;
  else
    seq = made->done.seq;
  if (Status heard = core_->wait(seq, deadline); !heard)
    return Made(fail(std::move(heard).error()));
  return made;
}

Result<Done> Office::administer(Act act, std::string actor, Instant deadline) {
  return one_at_a_time(act, deadline, [&](Act checked) {
    return core_->keyring->administer(std::move(checked), actor, deadline);
  });
}
Result<std::vector<Done>> Office::administer_together(std::vector<Act> acts, const Opening& opening,
                                                      const std::string& actor, Instant deadline) {
  const std::lock_guard one(core_->acting);
  int64_t more = 0;
  std::vector<Keyring::Step> steps;
  for (Act& act : acts) {
    MILL_TRY_DO(core_->check(act));
    steps.push_back([&act](const Directory&) -> Result<Act> { return act; });
  }
  const auto money = [&](const Directory& directory) {
    std::vector<ledger::Entry> entries;
    const auto add = [&](ledger::Kind kind, const std::optional<ledger::Nano>& amount) {
      if (!amount || *amount == 0) return;
      ledger::Entry& entry = entries.emplace_back();
      entry.kind = kind;
      entry.payer.org = directory.next(IdKind::kOrganization) - 1;
      entry.currency = directory.organization(entry.payer.org)->currency;
      entry.amount = *amount;
      entry.actor = actor;
    };
    add(ledger::Kind::kLimit, opening.credit_limit);
    add(ledger::Kind::kCredit, opening.credit);
    if (opening.credit.value_or(0) != 0) entries.back().hold = core_->book->new_id();
    more = static_cast<int64_t>(entries.size());
    return entries;
  };
  MILL_TRY(std::vector<Done> done,
           core_->keyring->administer_together(steps, money, actor, deadline));
  if (!done.empty()) MILL_TRY_DO(core_->wait(done.back().seq + more, deadline));
  return done;
}

Result<MintedAccount> Office::create_account(CreateServiceAccount act, std::string key_name,
                                             const std::string& actor, Instant deadline) {
  const std::lock_guard one(core_->acting);
  MILL_TRY(MintedAccount made,
           core_->keyring->create_account(std::move(act), std::move(key_name), actor, deadline));
  MILL_TRY_DO(core_->wait(made.key.done.seq, deadline));
  return made;
}

Result<MintedKey> Office::create_key(CreateKey act, std::string actor, Instant deadline) {
  return one_at_a_time(act, deadline, [&](Act checked) {
    return core_->keyring->create_key(std::get<CreateKey>(std::move(checked)), actor, deadline);
  });
}
Result<MintedKey> Office::create_admin_key(CreateAdminKey act, std::string actor,
                                           Instant deadline) {
  return one_at_a_time(act, deadline, [&](Act checked) {
    return core_->keyring->create_admin_key(std::get<CreateAdminKey>(std::move(checked)), actor,
                                            deadline);
  });
}
Result<MintedKey> Office::rotate_key(uint64_t key, std::string actor, Instant deadline) {
  return one_at_a_time(RotateKey{.key = key}, deadline, [&](const Act&) {
    return core_->keyring->rotate_key(key, actor, deadline);
  });
}

Result<std::optional<MintedKey>> Office::first_key(Instant deadline) {
  const int64_t now_ns = core_->unix_ns();
  const bool there = core_->keyring->read(
      [&](const Directory& directory) { return directory.has_operator_key(now_ns); });
  if (there) return std::optional<MintedKey>();
  MILL_TRY(MintedKey key, create_admin_key({.name = "operator"}, "system", deadline));
  return std::optional(std::move(key));
}

Result<ledger::Entry> Office::entry_of(ledger::Kind kind, const MoneyOrder& order,
                                       std::string actor) {
  MILL_TRY(const ledger::Currency currency, core_->currency_of(order.org));
  ledger::Entry entry;
  entry.kind = kind;
  entry.hold = order.id;
  entry.payer.org = order.org;
  entry.currency = currency;
  entry.amount = order.amount;
  entry.actor = std::move(actor);
  entry.body = order.note;
  return entry;
}

Result<ledger::Ticket> Office::book_now(ledger::Entry entry, Instant deadline) {
  MILL_TRY(const ledger::Ticket ticket, core_->book->post(std::move(entry)));
  MILL_TRY_DO(core_->book->durable_blocking(ticket, deadline));
  MILL_TRY_DO(core_->wait(ticket.seq, deadline));
  return ticket;
}

Result<ledger::Ticket> Office::pay(const MoneyOrder& order, std::string actor, Instant deadline) {
  if (order.amount == 0) return fail(Code::kInvalid, "amount must not be 0", "amount");
  MILL_TRY(ledger::Entry entry, entry_of(ledger::Kind::kCredit, order, std::move(actor)));
  if (ledger::is_none(entry.hold)) entry.hold = core_->book->new_id();
  return book_now(std::move(entry), deadline);
}

Result<ledger::Ticket> Office::set_credit_limit(const MoneyOrder& order, std::string actor,
                                                Instant deadline) {
  if (order.amount < 0) return fail(Code::kInvalid, "amount must not be negative", "amount");
  MILL_TRY(ledger::Entry entry, entry_of(ledger::Kind::kLimit, order, std::move(actor)));
  entry.hold = {};
  return book_now(std::move(entry), deadline);
}

Result<ledger::Ticket> Office::reverse(const MoneyOrder& order, std::string actor,
                                       Instant deadline) {
  MILL_TRY(const auto found, core_->book->find_resolved(order.id));
  if (!found || found->payer.org != order.org || found->kind != ledger::Kind::kSettle)
    return fail(Code::kNotFound, "this organization has no such charge", "id");
  ledger::Entry entry;
  entry.kind = ledger::Kind::kReversal;
  entry.hold = order.id;
  entry.payer = found->payer;
  entry.currency = found->currency;
  entry.amount = order.amount == 0 ? found->charge - found->reversed : order.amount;
  entry.actor = std::move(actor);
  entry.body = order.note;
  if (entry.amount <= 0) return fail(Code::kInvalid, "nothing is left to give back", "amount");
  MILL_TRY_DO(core_->book->durable_blocking({.seq = found->seq}, deadline));
  MILL_TRY(const std::vector<ledger::Entry> past, core_->book->find(order.id));
  const auto settle = std::find_if(past.begin(), past.end(),
                                   [&](const ledger::Entry& of) { return of.seq == found->seq; });
  if (settle == past.end())
    return fail(Code::kCorrupt, fmt::format("the journal has no settle {}", found->seq));
  entry.model = settle->model;
  entry.price_version = settle->price_version;
  entry.tier = settle->tier;
  entry.flags = settle->flags & ledger::kBatch;
  return book_now(std::move(entry), deadline);
}

Result<ledger::Ticket> Office::write_off(const MoneyOrder& order, std::string actor,
                                         Instant deadline) {
  if (order.amount <= 0) return fail(Code::kInvalid, "amount must be more than 0", "amount");
  MILL_TRY(ledger::Entry entry, entry_of(ledger::Kind::kWriteOff, order, std::move(actor)));
  if (ledger::is_none(entry.hold)) entry.hold = core_->book->new_id();
  return book_now(std::move(entry), deadline);
}

Patron Office::patron(const Caller& caller) {
  return {.payer = caller.payer,
          .currency = caller.currency,
          .tier = caller.tier,
          .weight = caller.weight};
}

}  // namespace mill::maas
