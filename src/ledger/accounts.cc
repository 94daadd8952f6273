#include "ledger/accounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace mill::ledger {
namespace {

bool resolves(Kind kind) {
  return kind == Kind::kSettle || kind == Kind::kVoid || kind == Kind::kExpire;
}

tl::unexpected<Error> unknown_hold(const Entry& entry) {
  return fail(Code::kNotFound, fmt::format("there is no hold of request {}", to_string(entry.hold)),
              "hold");
}

tl::unexpected<Error> wrong_hold(const Entry& entry, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("request {} {}", to_string(entry.hold), what), "hold");
}

tl::unexpected<Error> no_credit(const Entry& entry, Nano available) {
  return fail(
      Code::kPermission,
      fmt::format("not enough credit: {} {} is needed, {} is available",
                  format_amount(entry.amount), to_string(entry.currency), format_amount(available)),
      "credit");
}

tl::unexpected<Error> too_large() {
  return fail(Code::kTooLarge, "a balance would grow past 9.2e9 units", "amount");
}

// "was settled", for messages.
std::string_view end_of(Kind kind) {
  switch (kind) {
    case Kind::kSettle:
      return "was settled";
    case Kind::kVoid:
      return "was voided";
    case Kind::kExpire:
      return "has expired";
    default:
      return "is the id of a credit or write-off";
  }
}

}  // namespace

Accounts::Accounts(size_t remembered, Recall recall)
    : remembered_(remembered), recall_(std::move(recall)) {}

Status Accounts::complete(Entry& entry) {
  if (entry.kind < Kind::kExtend || entry.kind > Kind::kReversal) return {};
  const auto fill = [&](const Payer& payer, Currency currency) {
    if (entry.payer == Payer{}) entry.payer = payer;
    if (entry.currency.empty()) entry.currency = currency;
  };
  if (const auto open = open_.find(entry.hold); open != open_.end()) {
    const OpenHold& hold = open->second;
    fill(hold.payer, hold.currency);
    if (entry.model.empty()) entry.model = hold.model;
    if (entry.price_version == 0) entry.price_version = hold.price_version;
    if (entry.tier == 0) entry.tier = hold.tier;
    entry.flags |= hold.flags;
    if (resolves(entry.kind)) entry.held = hold.amount;
    return {};
  }
  MILL_TRY(const std::optional<Resolved> resolved, find_resolved(entry.hold));
  if (resolved) fill(resolved->payer, resolved->currency);
  return {};
}

Result<Applied> Accounts::apply(const Entry& entry) {
  if (entry.seq != seq_ + 1) {
    return fail(Code::kInvalid, fmt::format("entry {} does not follow {}", entry.seq, seq_), "seq");
  }
  if (entry.at_ns < at_ns_ && seq_ > 0) {
    return fail(Code::kInvalid, fmt::format("entry {} is earlier than the one before", entry.seq),
                "at_ns");
  }
  MILL_TRY(const Applied applied, apply_kind(entry));
  if (!applied.existed) {
    seq_ = entry.seq;
    at_ns_ = entry.at_ns;
    if (!is_none(entry.hold)) newest_id_ms_ = std::max(newest_id_ms_, ulid_ms(entry.hold));
  }
  return applied;
}

Status Accounts::apply_together(std::span<const Entry> entries) {
  const int64_t seq = seq_, at_ns = at_ns_;
  std::vector<std::pair<Key, std::optional<Balance>>> before;  // of what the limits change
  for (const Entry& entry : entries) {
    const bool limit = entry.kind == Kind::kLimit;
    MILL_CHECK(limit || entry.kind == Kind::kAct ||
               (entry.kind == Kind::kCredit && &entry == &entries.back()));
    const Key key{entry.payer.org, entry.currency};
    const auto found = balances_.find(key);
    if (limit) before.emplace_back(key, std::nullopt);
    if (limit && found != balances_.end()) before.back().second = found->second;
    const Result<Applied> applied = apply(entry);
    if (applied && !applied->existed) continue;
    seq_ = seq;
    at_ns_ = at_ns;
    for (auto undo = before.rbegin(); undo != before.rend(); ++undo) {
      if (undo->second)
        balances_[undo->first] = *undo->second;
      else
        balances_.erase(undo->first);
    }
    if (!applied) return fail(applied.error());
    return fail(Code::kInvalid, "it was booked before", "hold");
  }
  return {};
}

Accounts::House Accounts::house_of(Currency currency) const {
  const auto found = house_.find(currency);
  return found == house_.end() ? House{} : found->second;
}

Result<Applied> Accounts::apply_kind(const Entry& entry) {
  switch (entry.kind) {
    case Kind::kAct:
    case Kind::kOverhead: {
      MILL_TRY_DO(validate(entry));
      return Applied{.seq = entry.seq};
    }
    case Kind::kCredit:
      return apply_credit(entry);
    case Kind::kHold:
      return apply_hold(entry);
    case Kind::kExtend:
      return apply_extend(entry);
    case Kind::kProgress:
      return apply_progress(entry);
    case Kind::kSettle:
    case Kind::kVoid:
    case Kind::kExpire:
      return apply_resolve(entry);
    case Kind::kReversal:
      return apply_reversal(entry);
    case Kind::kWriteOff:
      return apply_write_off(entry);
    case Kind::kLimit:
      return apply_limit(entry);
  }
  return fail(Code::kInvalid, "kind is unknown", "kind");
}

Result<std::optional<Applied>> Accounts::seen_grant(const Entry& entry) {
  if (is_none(entry.hold)) return std::optional<Applied>{};
  if (open_.contains(entry.hold)) return wrong_hold(entry, "has an open hold: choose another id");
  MILL_TRY(const std::optional<Resolved> seen, find_resolved(entry.hold));
  if (!seen) return std::optional<Applied>{};
  const bool same = seen->kind == entry.kind && seen->payer.org == entry.payer.org &&
                    seen->currency == entry.currency && seen->charge == entry.amount;
  if (!same) return wrong_hold(entry, "was used for something else: choose another id");
  return std::optional<Applied>(Applied{.existed = true, .seq = seen->seq});
}

Result<Applied> Accounts::apply_credit(const Entry& entry) {
  MILL_TRY_DO(validate(entry));
  MILL_TRY(const std::optional<Applied> seen, seen_grant(entry));
  if (seen) return *seen;
  const Balance before = balance(entry.payer.org, entry.currency);
  const auto credit = checked_add(before.credit, entry.amount);
  const auto cash = checked_sub(house_of(entry.currency).cash, entry.amount);
  if (!credit || !cash || !checked_add(*credit, before.limit)) return too_large();
  // What is taken out must be there, and neither held nor owed.
  if (entry.amount < 0 && *credit < before.held) {
    return no_credit(entry, before.credit - before.held);
  }
  balances_[{entry.payer.org, entry.currency}].credit = *credit;
  house_[entry.currency].cash = *cash;
  if (!is_none(entry.hold)) {
    remember(entry.hold, {entry.kind, entry.seq, entry.payer, entry.currency, entry.amount, 0},
             entry.seq);
  }
  return Applied{.seq = entry.seq};
}

Result<Applied> Accounts::apply_write_off(const Entry& entry) {
  MILL_TRY_DO(validate(entry));
  MILL_TRY(const std::optional<Applied> seen, seen_grant(entry));
  if (seen) return *seen;
  const Balance before = balance(entry.payer.org, entry.currency);
  const auto after = checked_add(before.credit, entry.amount);
  if (!after || *after > 0) {
    return fail(Code::kInvalid,
                fmt::format("only what is owed can be written off: {} {}",
                            format_amount(before.credit < 0 ? -before.credit : 0),
                            to_string(entry.currency)),
                "amount");
  }
  const auto written_off = checked_sub(house_of(entry.currency).write_off, entry.amount);
  if (!written_off) return too_large();
  balances_[{entry.payer.org, entry.currency}].credit = *after;
  house_[entry.currency].write_off = *written_off;
  if (!is_none(entry.hold)) {
    remember(entry.hold, {entry.kind, entry.seq, entry.payer, entry.currency, entry.amount, 0},
             entry.seq);
  }
  return Applied{.seq = entry.seq};
}

Result<Applied> Accounts::apply_limit(const Entry& entry) {
  MILL_TRY_DO(validate(entry));
  const Balance before = balance(entry.payer.org, entry.currency);
  const auto reach = checked_add(before.credit, entry.amount);
  if (!reach) return too_large();
  if (*reach < before.held) {
    return fail(Code::kInvalid,
                fmt::format("the limit may not be below what is owed or held: {} {}",
                            format_amount(before.held - before.credit), to_string(entry.currency)),
                "amount");
  }
  balances_[{entry.payer.org, entry.currency}].limit = entry.amount;
  return Applied{.seq = entry.seq};
}

Result<Applied> Accounts::apply_hold(const Entry& entry) {
  MILL_TRY_DO(validate(entry));
  if (const auto open = open_.find(entry.hold); open != open_.end()) {
    const OpenHold& hold = open->second;
    if (hold.payer == entry.payer && hold.currency == entry.currency) {
      return Applied{.existed = true, .seq = hold.seq};
    }
    return wrong_hold(entry, "is held by somebody else");
  }
  MILL_TRY(const std::optional<Resolved> resolved, find_resolved(entry.hold));
  if (resolved) return wrong_hold(entry, end_of(resolved->kind));
  const Balance before = balance(entry.payer.org, entry.currency);
  if (before.available() < entry.amount) return no_credit(entry, before.available());
  const auto held = checked_add(before.held, entry.amount);
  if (!held) return too_large();
  balances_[{entry.payer.org, entry.currency}].held = *held;
  open_.emplace(entry.hold, OpenHold{.id = entry.hold,
                                     .seq = entry.seq,
                                     .at_ns = entry.at_ns,
                                     .payer = entry.payer,
                                     .currency = entry.currency,
                                     .amount = entry.amount,
                                     .model = entry.model,
                                     .price_version = entry.price_version,
                                     .tier = entry.tier,
                                     .flags = entry.flags,
                                     .tokens = {}});
  return Applied{.seq = entry.seq};
}

// The open hold that `entry` names, when they agree on who pays.
Result<OpenHold*> Accounts::open_for(const Entry& entry) {
  const auto open = open_.find(entry.hold);
  if (open == open_.end()) {
    MILL_TRY(const std::optional<Resolved> resolved, find_resolved(entry.hold));
    if (!resolved) return unknown_hold(entry);
    return wrong_hold(entry, end_of(resolved->kind));
  }
  MILL_TRY_DO(validate(entry));
  if (open->second.payer != entry.payer || open->second.currency != entry.currency) {
    return fail(Code::kInvalid, "the payer is not the one of the hold", "payer");
  }
  return &open->second;
}

Result<Applied> Accounts::apply_extend(const Entry& entry) {
  MILL_TRY(OpenHold* const hold, open_for(entry));
  const Balance before = balance(entry.payer.org, entry.currency);
  if (before.available() < entry.amount) return no_credit(entry, before.available());
  const auto held = checked_add(before.held, entry.amount);
  if (!held) return too_large();
  hold->amount += entry.amount;  // a part of `held`, so it fits
  balances_[{entry.payer.org, entry.currency}].held = *held;
  return Applied{.seq = entry.seq};
}

Result<Applied> Accounts::apply_progress(const Entry& entry) {
  MILL_TRY(OpenHold* const hold, open_for(entry));
  if (entry.amount > hold->amount) {
    return fail(Code::kInvalid, "a progress may not be more than its hold", "amount");
  }
  if (entry.amount < hold->progress) {
    return fail(Code::kInvalid, "a progress may not be less than the one before", "amount");
  }
  hold->progress_seq = entry.seq;
  hold->progress = entry.amount;
  hold->tokens = entry.tokens;
  hold->delivered_bytes = entry.delivered_bytes;
  return Applied{.seq = entry.seq};
}

Result<Applied> Accounts::apply_resolve(const Entry& entry) {
  const auto open = open_.find(entry.hold);
  if (open == open_.end()) {
    MILL_TRY(const std::optional<Resolved> resolved, find_resolved(entry.hold));
    if (!resolved) return unknown_hold(entry);
    if (resolved->kind != entry.kind) return wrong_hold(entry, end_of(resolved->kind));
    return Applied{.existed = true, .seq = resolved->seq, .charge = resolved->charge};
  }
  MILL_TRY(OpenHold* const hold, open_for(entry));
  if (entry.held != hold->amount) {
    return fail(Code::kInvalid, "what is released is not what is held", "held");
  }
  if (entry.amount > hold->amount) {
    return fail(Code::kInvalid,
                fmt::format("a settle of {} may not be more than its hold of {}",
                            format_amount(entry.amount), format_amount(hold->amount)),
                "amount");
  }
  Balance& balance = balances_[{entry.payer.org, entry.currency}];
  House& house = house_[entry.currency];
  const auto credit = checked_sub(balance.credit, entry.amount);
  const auto charged = checked_add(balance.charged, entry.amount);
  const auto revenue = checked_add(house.revenue, entry.amount);
  if (!credit || !charged || !revenue) return too_large();
  balance.credit = *credit;
  balance.charged = *charged;
  balance.held -= entry.held;
  house.revenue = *revenue;
  house.rounding += entry.residue;
  open_.erase(open);
  remember(entry.hold, {entry.kind, entry.seq, entry.payer, entry.currency, entry.amount, 0},
           entry.seq);
  return Applied{.seq = entry.seq, .charge = entry.amount};
}

Result<Applied> Accounts::apply_reversal(const Entry& entry) {
  if (open_.contains(entry.hold)) return wrong_hold(entry, "is not settled yet");
  MILL_TRY(const std::optional<Resolved> resolved, find_resolved(entry.hold));
  if (!resolved) return unknown_hold(entry);
  if (resolved->kind != Kind::kSettle) return wrong_hold(entry, end_of(resolved->kind));
  MILL_TRY_DO(validate(entry));
  if (resolved->payer != entry.payer || resolved->currency != entry.currency) {
    return fail(Code::kInvalid, "the payer is not the one of the settle", "payer");
  }
  if (entry.amount > resolved->charge - resolved->reversed) {
    return fail(Code::kInvalid,
                fmt::format("only {} of that charge is left to give back",
                            format_amount(resolved->charge - resolved->reversed)),
                "amount");
  }
  const Balance before = balance(entry.payer.org, entry.currency);
  const auto credit = checked_add(before.credit, entry.amount);
  if (!credit || !checked_add(*credit, before.limit)) return too_large();
  Balance& balance = balances_[{entry.payer.org, entry.currency}];
  balance.credit = *credit;
  balance.charged -= entry.amount;  // a part of what was charged
  house_[entry.currency].revenue -= entry.amount;
  Resolved after = *resolved;
  after.reversed += entry.amount;
  remember(entry.hold, after, entry.seq);
  return Applied{.seq = entry.seq};
}

void Accounts::remember(const HoldId& id, const Resolved& resolved, int64_t seq) {
  resolved_[id] = {resolved, seq};
  if (!recall_) return;
  resolved_order_.emplace_back(id, seq);
  while (resolved_order_.size() > remembered_ &&
         resolved_order_.front().second <= forgettable_seq_) {
    const auto [oldest, touched] = resolved_order_.front();
    resolved_order_.pop_front();
    const auto found = resolved_.find(oldest);
    if (found == resolved_.end() || found->second.touched_seq != touched) continue;
    resolved_.erase(found);
    forgotten_ms_ = std::max(forgotten_ms_, ulid_ms(oldest));
  }
}

Result<std::optional<Resolved>> Accounts::find_resolved(const HoldId& id) const {
  if (const auto found = resolved_.find(id); found != resolved_.end()) {
    return std::optional(found->second.resolved);
  }
  if (!recall_ || ulid_ms(id) > forgotten_ms_) return std::optional<Resolved>{};
  return recall_(id);
}

const OpenHold* Accounts::find_open(const HoldId& id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : &found->second;
}

Balance Accounts::balance(uint64_t org, Currency currency) const {
  const auto found = balances_.find({org, currency});
  return found == balances_.end() ? Balance{} : found->second;
}

}  // namespace mill::ledger
