// What the books say of themselves: balances, trial balance, audit, snapshot.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "ledger/accounts.h"
#include "ledger/bytes.h"

namespace mill::ledger {
namespace {

constexpr uint8_t kSnapshotVersion = 1;
constexpr size_t kLongestName = kMaxText;

void write_hold(ByteWriter& w, const OpenHold& hold) {
  w.raw(hold.id.data(), hold.id.size());
  w.count(hold.seq);
  w.integer(hold.at_ns);
  w.number(hold.payer.org);
  w.number(hold.payer.project);
  w.number(hold.payer.key);
  w.number(hold.currency.packed);
  w.count(hold.amount);
  w.text(hold.model);
  w.count(hold.price_version);
  w.byte(hold.tier);
  w.number(hold.flags);
  w.count(hold.progress_seq);
  w.count(hold.progress);
  const Buckets& t = hold.tokens;
  for (const int64_t n : {t.input_uncached, t.input_cache_read, t.input_cache_write, t.input_image,
                          t.output_text, t.output_reasoning, t.output_image}) {
    w.count(n);
  }
  w.count(hold.delivered_bytes);
}

OpenHold read_hold(ByteReader& r) {
  OpenHold hold;
  r.raw(hold.id.data(), hold.id.size());
  hold.seq = r.count();
  hold.at_ns = r.integer();
  hold.payer.org = r.number();
  hold.payer.project = r.number();
  hold.payer.key = r.number();
  hold.currency.packed = r.number();
  hold.amount = r.count();
  hold.model = r.text(kLongestName);
  hold.price_version = r.count();
  hold.tier = r.byte();
  hold.flags = static_cast<uint32_t>(r.number());
  hold.progress_seq = r.count();
  hold.progress = r.count();
  Buckets& t = hold.tokens;
  for (int64_t* n : {&t.input_uncached, &t.input_cache_read, &t.input_cache_write, &t.input_image,
                     &t.output_text, &t.output_reasoning, &t.output_image}) {
    *n = r.count();
  }
  hold.delivered_bytes = r.count();
  return hold;
}

}  // namespace

std::vector<OrgBalance> Accounts::balances() const {
  std::vector<OrgBalance> all;
  all.reserve(balances_.size());
  for (const auto& [key, balance] : balances_) all.push_back({key.first, key.second, balance});
  std::sort(all.begin(), all.end(), [](const OrgBalance& a, const OrgBalance& b) {
    return std::pair(a.org, a.currency) < std::pair(b.org, b.currency);
  });
  return all;
}

std::vector<OpenHold> Accounts::open_holds() const {
  std::vector<OpenHold> all;
  all.reserve(open_.size());
  for (const auto& [id, hold] : open_) all.push_back(hold);
  std::sort(all.begin(), all.end(),
            [](const OpenHold& a, const OpenHold& b) { return a.seq < b.seq; });
  return all;
}

int64_t Accounts::rounding(Currency currency) const {
  const auto found = house_.find(currency);
  return found == house_.end() ? 0 : found->second.rounding;
}

std::vector<TrialLine> Accounts::trial_balance() const {
  std::vector<TrialLine> lines;
  const auto add = [&](Currency currency, AccountKind account, uint64_t org, Nano amount) {
    if (amount != 0) lines.push_back({currency, account, org, amount});
  };
  for (const OrgBalance& of : balances()) {
    // A credit below zero is a claim of ours; what is held comes out of what is left.
    const Nano owed = std::min<Nano>(of.balance.credit, 0);
    add(of.currency, AccountKind::kReceivable, of.org, owed);
    add(of.currency, AccountKind::kCredit, of.org, of.balance.credit - owed - of.balance.held);
    add(of.currency, AccountKind::kHolds, of.org, of.balance.held);
  }
  for (const auto& [currency, house] : house_) {
    add(currency, AccountKind::kCash, 0, house.cash);
    add(currency, AccountKind::kRevenue, 0, house.revenue);
    add(currency, AccountKind::kWriteOff, 0, house.write_off);
  }
  std::sort(lines.begin(), lines.end(), [](const TrialLine& a, const TrialLine& b) {
    return std::tuple(a.currency, a.account, a.org) < std::tuple(b.currency, b.account, b.org);
  });
  return lines;
}

Status Accounts::audit() const {
  std::map<std::pair<uint64_t, Currency>, Wide> held;
  for (const auto& [id, hold] : open_) {
    held[{hold.payer.org, hold.currency}] += hold.amount;
    if (hold.progress > hold.amount) {
      return fail(Code::kInternal, fmt::format("hold {} is less than its progress", to_string(id)));
    }
    if (resolved_.contains(id)) {
      return fail(Code::kInternal, fmt::format("hold {} is open and resolved", to_string(id)));
    }
  }
  for (const OrgBalance& of : balances()) {
    const std::string who = fmt::format("organization {} in {}", of.org, to_string(of.currency));
    const auto found = held.find({of.org, of.currency});
    if (of.balance.held != (found == held.end() ? 0 : found->second)) {
      return fail(Code::kInternal, who + ": what is held is not the sum of the open holds");
    }
    if (of.balance.available() < 0) return fail(Code::kInternal, who + ": available is negative");
    if (found != held.end()) held.erase(found);
  }
  for (const auto& [key, amount] : held) {
    if (amount != 0)
      return fail(Code::kInternal, fmt::format("holds of {} without balance", key.first));
  }
  std::map<Currency, Wide> sums;
  for (const TrialLine& line : trial_balance()) sums[line.currency] += line.amount;
  for (const auto& [currency, sum] : sums) {
    if (sum != 0)
      return fail(Code::kInternal, "the trial balance is not zero in " + to_string(currency));
  }
  return {};
}

std::string Accounts::snapshot() const {
  std::string bytes;
  ByteWriter w(bytes);
  w.byte(kSnapshotVersion);
  w.count(seq_);
  w.integer(at_ns_);
  w.integer(newest_id_ms_);
  const std::vector<OrgBalance> all = balances();
  w.number(all.size());
  for (const OrgBalance& of : all) {
    w.number(of.org);
    w.number(of.currency.packed);
    w.integer(of.balance.credit);
    w.count(of.balance.held);
    w.count(of.balance.charged);
    w.count(of.balance.limit);
  }
  w.number(house_.size());
  for (const auto& [currency, house] : house_) {
    w.number(currency.packed);
    w.integer(house.cash);
    w.integer(house.revenue);
    w.integer(house.write_off);
    w.integer(house.rounding);
  }
  w.number(open_.size());
  for (const OpenHold& hold : open_holds()) write_hold(w, hold);
  return bytes;
}

Status Accounts::restore(std::string_view bytes) {
  Status restored = restore_from(bytes);
  if (!restored) *this = Accounts(remembered_, std::move(recall_));
  return restored;
}

Status Accounts::restore_from(std::string_view bytes) {
  *this = Accounts(remembered_, std::move(recall_));
  const auto bad = [] { return fail(Code::kCorrupt, "the bytes are not a snapshot of the books"); };
  ByteReader r(bytes);
  if (r.byte() != kSnapshotVersion) {
    return fail(Code::kCorrupt, "a snapshot of another version than 1");
  }
  seq_ = r.count();
  at_ns_ = r.integer();
  newest_id_ms_ = r.integer();
  for (uint64_t n = r.number(); n > 0 && r.good(); --n) {
    const uint64_t org = r.number();
    const Currency currency{r.number()};
    Balance& balance = balances_[{org, currency}];
    balance.credit = r.integer();
    balance.held = r.count();
    balance.charged = r.count();
    balance.limit = r.count();
    if (!is_valid(currency) || !checked_add(balance.credit, balance.limit)) return bad();
  }
  for (uint64_t n = r.number(); n > 0 && r.good(); --n) {
    const Currency currency{r.number()};
    House& house = house_[currency];
    house.cash = r.integer();
    house.revenue = r.integer();
    house.write_off = r.integer();
    house.rounding = r.integer();
  }
  for (uint64_t n = r.number(); n > 0 && r.good(); --n) {
    OpenHold hold = read_hold(r);
    open_[hold.id] = hold;
  }
  if (!r.at_end()) return bad();
  forgotten_ms_ = newest_id_ms_;
  forgettable_seq_ = seq_;
  return audit();
}

}  // namespace mill::ledger
