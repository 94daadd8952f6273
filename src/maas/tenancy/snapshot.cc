// A directory as bytes: 'D' 'Y', a format number (2), then the tables in their order.
#include <fmt/format.h>

#include "maas/tenancy/codec.h"
#include "maas/tenancy/directory.h"

namespace mill::maas {
namespace {

constexpr std::string_view kMagic = "DY";
constexpr uint8_t kFormat = 2;  // 1 had neither credit alerts nor webhooks

tl::unexpected<Error> corrupt(std::string_view what) {
  return fail(Code::kCorrupt, fmt::format("a snapshot of the directory: {}", what));
}

struct LimitRow {
  LimitScope scope;
  std::string limit;
  int64_t value = 0;
  MILL_FIELDS(LimitRow, scope, limit, value);
};
struct SpendLimitRow {
  SpendKey place;
  ledger::Nano amount = 0;
  MILL_FIELDS(SpendLimitRow, place, amount);
};
struct SpendAlertRow {
  SpendKey place;
  ledger::Nano amount = 0;
  std::string notify;
  MILL_FIELDS(SpendAlertRow, place, amount, notify);
};

struct CreditAlertRow {
  uint64_t org = 0;
  ledger::Nano amount = 0;
  MILL_FIELDS(CreditAlertRow, org, amount);
};
struct WebhookRow {
  uint64_t org = 0;
  Webhook hook;
  MILL_FIELDS(WebhookRow, org, hook);
};

}  // namespace

std::string Directory::snapshot() const {
  std::string out(kMagic);
  FieldWriter writer(out);
  writer.all(kFormat, organizations_, projects_, service_accounts_, users_, keys_);
  std::vector<LimitRow> limits;
  for (const auto& [place, value] : limits_) limits.push_back({place.first, place.second, value});
  std::vector<SpendLimitRow> spend_limits;
  for (const auto& [place, amount] : spend_limits_) spend_limits.push_back({place, amount});
  std::vector<SpendAlertRow> alerts;
  for (const auto& [place, notify] : spend_alerts_)
    alerts.push_back({place.first, place.second, notify});
  std::vector<CreditAlertRow> credit_alerts;
  for (const auto& [org, amount] : credit_alerts_) credit_alerts.push_back({org, amount});
  std::vector<WebhookRow> webhooks;
  for (const auto& [org, hook] : webhooks_) webhooks.push_back({org, hook});
  writer.all(limits, spend_limits, alerts, price_books_, credit_alerts, webhooks);
  return out;
}

Result<Directory> Directory::restore(std::string_view bytes) {
  if (bytes.size() < 3 || !bytes.starts_with(kMagic)) return corrupt("these bytes are none");
  if (const auto format = static_cast<uint8_t>(bytes[2]); format != kFormat) {
    return fail(Code::kUnsupported,
                fmt::format("a snapshot of the directory in format {}; this program reads {}",
                            format, kFormat));
  }
  Directory d;
  std::vector<LimitRow> limits;
  std::vector<SpendLimitRow> spend_limits;
  std::vector<SpendAlertRow> alerts;
  std::vector<CreditAlertRow> credit_alerts;
  std::vector<WebhookRow> webhooks;
  FieldReader reader(bytes.substr(3));
  reader.all(d.organizations_, d.projects_, d.service_accounts_, d.users_, d.keys_, limits,
             spend_limits, alerts, d.price_books_, credit_alerts, webhooks);
  if (!reader.whole()) return corrupt("missing or surplus bytes");
  for (LimitRow& row : limits) d.limits_[{row.scope, row.limit}] = row.value;
  for (const SpendLimitRow& row : spend_limits) d.spend_limits_[row.place] = row.amount;
  for (SpendAlertRow& row : alerts) d.spend_alerts_[{row.place, row.amount}] = row.notify;
  for (const CreditAlertRow& row : credit_alerts) d.credit_alerts_[row.org] = row.amount;
  for (WebhookRow& row : webhooks) d.webhooks_[row.org] = std::move(row.hook);
  if (d.price_books_ < 0) return corrupt("a negative count");
  MILL_TRY_DO(d.index_all());
  // Rows out of order or twice would have been written in another way.
  if (d.snapshot() != bytes) return corrupt("it is not in its canonical form");
  return d;
}

Status Directory::index_all() {
  const auto index = [&](IdKind kind, const auto& list) {
    Ids& table = ids(kind);
    table.reserve(list.size());
    for (size_t i = 0; i < list.size(); ++i)
      table.emplace(list[i].id, static_cast<uint32_t>(i + 1));
    return table.size() == list.size();
  };
  if (!index(IdKind::kOrganization, organizations_) || !index(IdKind::kProject, projects_) ||
      !index(IdKind::kServiceAccount, service_accounts_) || !index(IdKind::kUser, users_) ||
      !index(IdKind::kKey, keys_)) {
    return corrupt("two things have one id");
  }
  for (const Project& p : projects_) {
    if (!organization(p.org)) return corrupt("a project without an organization");
  }
  for (const ServiceAccount& s : service_accounts_) {
    if (!project(s.project)) return corrupt("a service account without a project");
  }
  for (const User& u : users_) {
    if (!organization(u.org)) return corrupt("a user without an organization");
  }
  by_hash_.reserve(keys_.size());
  for (size_t i = 0; i < keys_.size(); ++i) {
    const Key& k = keys_[i];
    const Project* of = project(k.project);
    const bool placed = k.kind == KeyKind::kProject
                            ? of && of->org == k.org
                            : k.project == 0 && (k.org == 0 || organization(k.org));
    const bool owned = (k.user == 0 || user(k.user)) &&
                       (k.service_account == 0 || service_account(k.service_account));
    if (!placed || !owned) return corrupt("a key that belongs nowhere");
    index_hash(k.hash, i + 1);
  }
  if (by_hash_.size() != keys_.size()) return corrupt("two keys have one hash");
  return {};
}

}  // namespace mill::maas
