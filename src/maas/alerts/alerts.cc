#include "maas/alerts/alerts.h"

#include <fmt/format.h>

#include <chrono>
#include <variant>

#include "ledger/bytes.h"
#include "maas/catalog/civil_time.h"
#include "maas/tenancy/codec.h"

namespace mill::maas {
namespace {

constexpr std::string_view kMagic = "AL";
constexpr uint8_t kFormat = 1;
constexpr ledger::Nano kRearmPart = 10;  // a credit alert may ring again above 11/10 of its amount

int64_t day_of(int64_t at_ns) {
  return floor_to(at_ns, kNanosPerDay) / kNanosPerDay;
}
int64_t month_of(int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return int64_t{static_cast<int>(date.year())} * 12 + static_cast<unsigned>(date.month());
}

// The entry's hash stands for the whole journal up to it: two servers never give one id.
std::string id_of(const ledger::Entry& entry, const Alert& alert) {
  std::string bytes(reinterpret_cast<const char*>(entry.hash.data()), entry.hash.size());
  FieldWriter writer(bytes);
  writer.all(entry.seq, alert.kind, alert.org, alert.project, alert.period, alert.threshold);
  return "msg_" + ledger::to_hex(ledger::sha256(bytes)).substr(0, 32);
}

Alert alert_of(AlertKind kind, const ledger::Entry& entry, uint64_t org) {
  return {.kind = kind, .seq = entry.seq, .at_ns = entry.at_ns, .org = org};
}

void tell(Alert alert, const ledger::Entry& entry, std::vector<Alert>& out) {
  alert.id = id_of(entry, alert);
  out.push_back(std::move(alert));
}

}  // namespace

std::string_view name(AlertKind kind) {
  constexpr std::string_view kNames[] = {"spend_alert.reached", "credit.low", "webhook.updated"};
  return kNames[static_cast<size_t>(kind)];
}

std::vector<Alert> Alerts::apply(const ledger::Entry& entry) {
  std::vector<Alert> out;
  if (entry.seq <= seq_) return out;
  seq_ = entry.seq;
  const uint64_t org = entry.payer.org;
  const bool charge = entry.kind == ledger::Kind::kSettle;
  switch (entry.kind) {
    case ledger::Kind::kAct:
      apply_act(entry, out);
      return out;
    case ledger::Kind::kSettle:
    case ledger::Kind::kReversal: {
      const ledger::Nano spent = charge ? entry.amount : -entry.amount;
      spend({org, 0}, entry, spent);
      if (entry.payer.project != 0) spend({org, entry.payer.project}, entry, spent);
      purses_[org].credit -= spent;
      break;
    }
    case ledger::Kind::kCredit:
    case ledger::Kind::kWriteOff:
      purses_[org].credit += entry.amount;
      break;
    case ledger::Kind::kLimit:
      purses_[org].limit = entry.amount;
      break;
    default:
      return out;
  }
  purses_[org].currency = entry.currency;
  if (charge) look_at_spending(org, entry, out);
  look_at_credit(org, entry, out);
  return out;
}

void Alerts::spend(const Place& place, const ledger::Entry& entry, ledger::Nano amount) {
  Spending& of = spending_[place];
  // The journal's time never runs backwards.
  const int64_t day = day_of(entry.at_ns);
  if (day != of.day) {
    of.day = day;
    of.today = 0;
    if (const int64_t month = month_of(day); month != of.month) {
      of.month = month;
      of.this_month = 0;
    }
  }
  of.today += amount;
  of.this_month += amount;
}

void Alerts::look_at_spending(uint64_t org, const ledger::Entry& entry, std::vector<Alert>& out) {
  if (!webhooks_.contains(org)) return;
  const int64_t day = day_of(entry.at_ns), month = month_of(day);
  auto at = spend_rules_.lower_bound({SpendKey{.org = org}, INT64_MIN});
  for (; at != spend_rules_.end() && at->first.first.org == org; ++at) {
    const auto& [key, amount] = at->first;
    const bool daily = key.period == Period::kDay;
    if (at->second.told == (daily ? day : month)) continue;
    const auto found = spending_.find({org, key.project});
    if (found == spending_.end()) continue;
    const Spending& spent = found->second;
    if (daily ? spent.day != day : spent.month != month) continue;  // of a window that is over
    const ledger::Nano value = daily ? spent.today : spent.this_month;
    if (value < amount) continue;
    at->second.told = daily ? day : month;
    Alert alert = alert_of(AlertKind::kSpend, entry, org);
    alert.project = key.project;
    alert.currency = key.currency;
    alert.period = key.period;
    alert.threshold = amount;
    alert.value = value;
    alert.notify = at->second.notify;
    tell(std::move(alert), entry, out);
  }
}

void Alerts::look_at_credit(uint64_t org, const ledger::Entry& entry, std::vector<Alert>& out) {
  const auto rule = credit_rules_.find(org);
  const auto purse = purses_.find(org);
  if (rule == credit_rules_.end() || purse == purses_.end()) return;
  const ledger::Nano amount = rule->second.amount, left = purse->second.left();
  if (rule->second.told && left - amount > amount / kRearmPart) rule->second.told = false;
  if (rule->second.told || left > amount || !webhooks_.contains(org)) return;
  rule->second.told = true;
  Alert alert = alert_of(AlertKind::kCredit, entry, org);
  alert.currency = purse->second.currency;
  alert.threshold = amount;
  alert.value = left;
  tell(std::move(alert), entry, out);
}

void Alerts::apply_act(const ledger::Entry& entry, std::vector<Alert>& out) {
  const Result<Act> act = decode_act(entry.body);
  if (!act) return;  // the keyring has said so already, and lets nobody in
  if (const auto* rule = std::get_if<SetSpendAlert>(&*act)) {
    const SpendKey key{rule->org, rule->project, rule->currency, rule->period};
    if (rule->notify.empty())
      spend_rules_.erase({key, rule->amount});
    else
      spend_rules_[{key, rule->amount}].notify = rule->notify;
    look_at_spending(rule->org, entry, out);
  } else if (const auto* credit = std::get_if<SetCreditAlert>(&*act)) {
    if (credit->amount)
      credit_rules_[credit->org] = {.amount = *credit->amount};
    else
      credit_rules_.erase(credit->org);
    look_at_credit(credit->org, entry, out);
  } else if (const auto* hook = std::get_if<SetWebhook>(&*act)) {
    if (hook->url.empty()) {
      webhooks_.erase(hook->org);
      return;
    }
    webhooks_.insert(hook->org);
    tell(alert_of(AlertKind::kWebhook, entry, hook->org), entry, out);
    look_at_spending(hook->org, entry, out);
    look_at_credit(hook->org, entry, out);
  } else if (const auto* ended = std::get_if<DisableWebhook>(&*act)) {
    webhooks_.erase(ended->org);
  } else if (const auto* made = std::get_if<CreateOrganization>(&*act)) {
    // Its serial number is one more than the last one's, as the directory counts; an organization
    // without an entry of money has nothing to spend and nothing spent.
    purses_[++organizations_].currency = made->currency;
  }
}

std::string Alerts::snapshot() const {
  std::string out(kMagic);
  FieldWriter writer(out);
  writer.all(kFormat, seq_, organizations_);
  const auto put = [&](const auto& map) {
    writer.field(uint64_t{map.size()});
    for (const auto& [key, value] : map) {
      if constexpr (requires { key.second; }) {
        writer.all(key.first, key.second);
      } else {
        writer.field(key);
      }
      writer.field(value);
    }
  };
  put(spending_);
  put(purses_);
  put(spend_rules_);
  put(credit_rules_);
  writer.field(std::vector<uint64_t>(webhooks_.begin(), webhooks_.end()));
  return out;
}

Result<Alerts> Alerts::restore(std::string_view bytes) {
  const auto corrupt = [] {
    return fail(Code::kCorrupt, "a snapshot of the alerts breaks its format");
  };
  if (bytes.size() < 3 || !bytes.starts_with(kMagic)) return corrupt();
  if (static_cast<uint8_t>(bytes[2]) != kFormat)
    return fail(Code::kUnsupported, "a snapshot of the alerts in another format");
  Alerts made;
  FieldReader reader(bytes.substr(3));
  reader.all(made.seq_, made.organizations_);
  const auto take = [&](auto& map) {
    uint64_t left = 0;
    for (reader.field(left); left > 0 && reader.good(); --left) {
      typename std::remove_reference_t<decltype(map)>::key_type key{};
      if constexpr (requires { key.second; }) {
        reader.all(key.first, key.second);
      } else {
        reader.field(key);
      }
      reader.field(map[key]);
    }
  };
  take(made.spending_);
  take(made.purses_);
  take(made.spend_rules_);
  take(made.credit_rules_);
  std::vector<uint64_t> webhooks;
  reader.field(webhooks);
  if (!reader.whole()) return corrupt();
  made.webhooks_.insert(webhooks.begin(), webhooks.end());
  // Rows out of order or twice would have been written in another way.
  if (made.snapshot() != bytes) return corrupt();
  return made;
}

}  // namespace mill::maas
