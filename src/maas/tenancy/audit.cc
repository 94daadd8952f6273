#include "maas/tenancy/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mill::maas {
namespace {

constexpr std::string_view kIdPrefix = "audit_log-";

std::string join(const std::vector<std::string>& items) {
  return fmt::format("{}", fmt::join(items, ","));
}
std::string join(const std::vector<Cidr>& items) {
  std::vector<std::string> texts;
  for (const Cidr& item : items) texts.push_back(to_string(item));
  return join(texts);
}
std::string weight(uint32_t milli) {
  return fmt::format("{}", milli / 1000.0);
}
// Nanoseconds as seconds since 1970, as the wire has them.
std::string instant(int64_t ns) {
  return ns == 0 ? "" : fmt::format("{}", ns / 1'000'000'000);
}

// Fills in an event from an act and the directory before it.
struct Describe {
  const Directory& d;
  AuditEvent& e;

  void type(const char* type) const { e.type = type; }
  void field(std::string name, std::string before, std::string after) const {
    if (before != after) e.fields.push_back({std::move(name), std::move(before), std::move(after)});
  }
  void in_org(uint64_t serial) const {
    e.org = serial;
    if (const auto* org = d.organization(serial))
      e.target = to_string(IdKind::kOrganization, org->id);
  }
  const Project* in_project(uint64_t serial) const {
    const Project* project = d.project(serial);
    if (!project) return nullptr;
    e.org = project->org;
    e.project = serial;
    e.target = to_string(IdKind::kProject, project->id);
    return project;
  }
  const User* of_user(uint64_t serial) const {
    const User* user = d.user(serial);
    if (!user) return nullptr;
    e.org = user->org;
    e.target = to_string(IdKind::kUser, user->id);
    return user;
  }
  const Key* of_key(uint64_t serial, const char* admin_type, const char* project_type) const {
    const Key* key = d.key(serial);
    if (!key) return nullptr;
    e.org = key->org;
    e.project = key->project;
    e.target = to_string(IdKind::kKey, key->id);
    type(key->kind == KeyKind::kAdmin ? admin_type : project_type);
    return key;
  }
  void restrictions(const Restrictions& before, const Restrictions& after) const {
    field("models", join(before.models), join(after.models));
    field("ip_allow_list", join(before.networks), join(after.networks));
  }

  void operator()(const CreateOrganization& a) const {
    type("organization.created");
    e.org = d.next(IdKind::kOrganization);
    e.target = to_string(IdKind::kOrganization, a.id);
    field("name", "", a.name);
    field("currency", "", ledger::to_string(a.currency));
  }
  void operator()(const RenameOrganization& a) const {
    type("organization.updated");
    in_org(a.org);
    if (const auto* org = d.organization(a.org)) field("name", org->name, a.name);
  }
  void operator()(const ArchiveOrganization& a) const {
    type("organization.archived");
    in_org(a.org);
  }
  void operator()(const CreateProject& a) const {
    type("project.created");
    e.org = a.org;
    e.project = d.next(IdKind::kProject);
    e.target = to_string(IdKind::kProject, a.id);
    field("name", "", a.name);
    field("tier", "", std::string(name(a.tier)));
    field("weight", "", weight(a.weight_milli));
  }
  void operator()(const RenameProject& a) const {
    type("project.updated");
    if (const Project* project = in_project(a.project)) field("name", project->name, a.name);
  }
  void operator()(const SetProjectShare& a) const {
    type("project.updated");
    if (const Project* project = in_project(a.project)) {
      field("tier", std::string(name(project->tier)), std::string(name(a.tier)));
      field("weight", weight(project->weight_milli), weight(a.weight_milli));
    }
  }
  void operator()(const ArchiveProject& a) const {
    type("project.archived");
    in_project(a.project);
  }
  void operator()(const CreateServiceAccount& a) const {
    type("service_account.created");
    in_project(a.project);
    e.target = to_string(IdKind::kServiceAccount, a.id);
    field("name", "", a.name);
  }
  void operator()(const DeleteServiceAccount& a) const {
    type("service_account.deleted");
    const ServiceAccount* account = d.service_account(a.service_account);
    if (!account) return;
    in_project(account->project);
    e.target = to_string(IdKind::kServiceAccount, account->id);
    field("name", account->name, "");
  }
  void operator()(const AddUser& a) const {
    type("user.added");
    e.org = a.org;
    e.target = to_string(IdKind::kUser, a.id);
    field("email", "", a.email);
    field("name", "", a.name);
    field("role", "", std::string(name(a.role)));
  }
  void operator()(const SetUserRole& a) const {
    type("user.updated");
    if (const User* user = of_user(a.user))
      field("role", std::string(name(user->role)), std::string(name(a.role)));
  }
  void operator()(const RemoveUser& a) const {
    type("user.deleted");
    if (const User* user = of_user(a.user)) field("role", std::string(name(user->role)), "");
  }
  template <class A>
  void created(const A& a) const {
    e.target = to_string(IdKind::kKey, a.id);
    field("name", "", a.name);
    field("expires_at", "", instant(a.expires_ns));
    restrictions({}, a.only);
    if (const User* owner = d.user(a.user)) field("user", "", to_string(IdKind::kUser, owner->id));
  }
  void operator()(const CreateKey& a) const {
    type("api_key.created");
    in_project(a.project);
    created(a);
    field("redacted_value", "", redacted(KeyKind::kProject, a.tail));
    if (const auto* owner = d.service_account(a.service_account))
      field("service_account", "", to_string(IdKind::kServiceAccount, owner->id));
  }
  void operator()(const CreateAdminKey& a) const {
    type("admin_api_key.created");
    e.org = a.org;
    created(a);
    field("redacted_value", "", redacted(KeyKind::kAdmin, a.tail));
  }
  void operator()(const UpdateKey& a) const {
    const Key* key = of_key(a.key, "admin_api_key.updated", "api_key.updated");
    if (!key) return;
    field("name", key->name, a.name);
    field("expires_at", instant(key->expires_ns), instant(a.expires_ns));
    restrictions(key->restrictions(), a.only);
  }
  void operator()(const RotateKey& a) const {
    const Key* key = of_key(a.key, "admin_api_key.rotated", "api_key.rotated");
    if (key) field("redacted_value", redacted(key->kind, key->tail), redacted(key->kind, a.tail));
  }
  void operator()(const RevokeKey& a) const {
    const Key* key = of_key(a.key, "admin_api_key.deleted", "api_key.deleted");
    if (key) field("name", key->name, "");
  }
  void operator()(const SetLimit& a) const {
    type(a.value ? "rate_limit.updated" : "rate_limit.deleted");
    if (a.scope.org != 0) in_org(a.scope.org);
    if (a.scope.project != 0) in_project(a.scope.project);
    if (const Key* key = d.key(a.scope.key)) e.target = to_string(IdKind::kKey, key->id);
    const auto found = d.limits().find({a.scope, a.limit});
    const std::string what = a.scope.model.empty() ? a.limit : a.limit + " of " + a.scope.model;
    field(what, found == d.limits().end() ? "" : fmt::format("{}", found->second),
          a.value ? fmt::format("{}", *a.value) : "");
  }
  template <class A>
  std::string money_place(const A& a) const {
    in_org(a.org);
    if (a.project != 0) in_project(a.project);
    return fmt::format("{} per {}", ledger::to_string(a.currency), name(a.period));
  }
  void operator()(const SetSpendLimit& a) const {
    type(a.amount ? "spend_limit.updated" : "spend_limit.deleted");
    const std::string what = money_place(a);
    const auto found = d.spend_limits().find({a.org, a.project, a.currency, a.period});
    field(what, found == d.spend_limits().end() ? "" : ledger::format_amount(found->second),
          a.amount ? ledger::format_amount(*a.amount) : "");
  }
  void operator()(const SetSpendAlert& a) const {
    type(a.notify.empty() ? "spend_alert.deleted" : "spend_alert.updated");
    const std::string what = money_place(a) + " above " + ledger::format_amount(a.amount);
    const auto found =
        d.spend_alerts().find({SpendKey{a.org, a.project, a.currency, a.period}, a.amount});
    field(what, found == d.spend_alerts().end() ? "" : found->second, a.notify);
  }
  void operator()(const SetCreditAlert& a) const {
    type(a.amount ? "credit_alert.updated" : "credit_alert.deleted");
    in_org(a.org);
    const auto found = d.credit_alerts().find(a.org);
    field("amount", found == d.credit_alerts().end() ? "" : ledger::format_amount(found->second),
          a.amount ? ledger::format_amount(*a.amount) : "");
  }
  void operator()(const SetWebhook& a) const {
    type(a.url.empty() ? "webhook.deleted" : "webhook.updated");
    in_org(a.org);
    const auto found = d.webhooks().find(a.org);
    const Webhook before = found == d.webhooks().end() ? Webhook() : found->second;
    field("url", before.url, a.url);
    if (!a.url.empty() && before.secret != a.secret)
      field("secret", "", before.secret.empty() ? "made" : "rotated");
    if (before.disabled_ns != 0 && !a.url.empty()) field("disabled", before.disabled_why, "");
  }
  void operator()(const DisableWebhook& a) const {
    type("webhook.disabled");
    in_org(a.org);
    field("disabled", "", a.why);
  }
  void operator()(const SetPriceBook&) const {
    type("price_book.created");
    field("number", "", fmt::format("{}", d.price_books() + 1));
  }
  void operator()(const WithdrawPriceBook& a) const {
    type("price_book.withdrawn");
    field("number", fmt::format("{}", a.number), "");
  }
};

template <class T>
bool any_or_in(const std::vector<T>& list, const T& item) {
  return list.empty() || std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

std::string AuditEvent::id() const {
  return fmt::format("{}{}", kIdPrefix, seq);
}

Result<int64_t> parse_audit_id(std::string_view text) {
  int64_t seq = 0;
  if (text.starts_with(kIdPrefix)) {
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + kIdPrefix.size(), end, seq);
    if (read.ec == std::errc() && read.ptr == end && seq > 0) return seq;
  }
  return fail(Code::kInvalid, "the id of an audit log entry is 'audit_log-' and a number", "after");
}

bool AuditFilter::matches(const AuditEvent& event) const {
  return any_or_in(types, event.type) && any_or_in(actors, event.actor) &&
         any_or_in(targets, event.target) && any_or_in(projects, event.project) &&
         (org == 0 || event.org == org) && (project == 0 || event.project == project) &&
         event.seq > after_seq && event.at_ns >= from_ns && event.at_ns < to_ns;
}

Result<AuditEvent> AuditTrail::next(const ledger::Entry& entry) {
  MILL_TRY(const Act act, decode_act(entry.body));
  AuditEvent event{.seq = entry.seq, .at_ns = entry.at_ns};
  event.actor = entry.actor;
  std::visit(Describe{directory_, event}, act);
  MILL_TRY_DO(directory_.apply(act, entry.at_ns));
  return event;
}

}  // namespace mill::maas
