// What an act changes: Directory::apply.
#include "maas/tenancy/directory.h"

namespace mill::maas {

// One overload per act; its rules hold. Each returns the serial number of what it made or changed.
struct DirectoryChanges {
  Directory& d;
  int64_t at_ns;

  template <class T>
  uint64_t add(IdKind kind, std::vector<T>& list, T record) const {
    const uint64_t serial = list.size() + 1;
    d.ids(kind).emplace(record.id, static_cast<uint32_t>(serial));
    list.push_back(std::move(record));
    return serial;
  }
  static std::shared_ptr<const Restrictions> kept(const Restrictions& only) {
    return only.empty() ? nullptr : std::make_shared<const Restrictions>(only);
  }
  // An instant that is not 0, which means none.
  int64_t end() const { return at_ns == 0 ? 1 : at_ns; }
  Key& key(uint64_t serial) const { return d.keys_[serial - 1]; }

  uint64_t operator()(const CreateOrganization& a) const {
    return add(IdKind::kOrganization, d.organizations_,
               {.id = a.id, .name = a.name, .currency = a.currency, .created_ns = at_ns});
  }
  uint64_t operator()(const RenameOrganization& a) const {
    d.organizations_[a.org - 1].name = a.name;
    return a.org;
  }
  uint64_t operator()(const ArchiveOrganization& a) const {
    d.organizations_[a.org - 1].archived_ns = end();
    return a.org;
  }
  uint64_t operator()(const CreateProject& a) const {
    return add(IdKind::kProject, d.projects_,
               {.id = a.id,
                .org = a.org,
                .name = a.name,
                .tier = a.tier,
                .weight_milli = a.weight_milli,
                .created_ns = at_ns});
  }
  uint64_t operator()(const RenameProject& a) const {
    d.projects_[a.project - 1].name = a.name;
    return a.project;
  }
  uint64_t operator()(const SetProjectShare& a) const {
    d.projects_[a.project - 1].tier = a.tier;
    d.projects_[a.project - 1].weight_milli = a.weight_milli;
    return a.project;
  }
  uint64_t operator()(const ArchiveProject& a) const {
    d.projects_[a.project - 1].archived_ns = end();
    return a.project;
  }
  uint64_t operator()(const CreateServiceAccount& a) const {
    return add(IdKind::kServiceAccount, d.service_accounts_,
               {.id = a.id, .project = a.project, .name = a.name, .created_ns = at_ns});
  }
  uint64_t operator()(const DeleteServiceAccount& a) const {
    d.service_accounts_[a.service_account - 1].deleted_ns = end();
    return a.service_account;
  }
  uint64_t operator()(const AddUser& a) const {
    return add(IdKind::kUser, d.users_,
               {.id = a.id,
                .org = a.org,
                .email = a.email,
                .name = a.name,
                .role = a.role,
                .added_ns = at_ns});
  }
  uint64_t operator()(const SetUserRole& a) const {
    d.users_[a.user - 1].role = a.role;
    return a.user;
  }
  uint64_t operator()(const RemoveUser& a) const {
    d.users_[a.user - 1].removed_ns = end();
    return a.user;
  }
  template <class A>
  uint64_t add_key(const A& a, KeyKind kind, uint64_t org, uint64_t project,
                   uint64_t service_account) const {
    Key made{.id = a.id, .hash = a.hash, .tail = a.tail, .kind = kind};
    made.org = static_cast<uint32_t>(org);
    made.project = static_cast<uint32_t>(project);
    made.user = static_cast<uint32_t>(a.user);
    made.service_account = static_cast<uint32_t>(service_account);
    made.name = a.name;
    made.created_ns = at_ns;
    made.expires_ns = a.expires_ns;
    made.only = kept(a.only);
    const uint64_t serial = add(IdKind::kKey, d.keys_, std::move(made));
    d.index_hash(a.hash, serial);
    return serial;
  }
  uint64_t operator()(const CreateKey& a) const {
    return add_key(a, KeyKind::kProject, d.project(a.project)->org, a.project, a.service_account);
  }
  uint64_t operator()(const CreateAdminKey& a) const {
    return add_key(a, KeyKind::kAdmin, a.org, 0, 0);
  }
  uint64_t operator()(const UpdateKey& a) const {
    key(a.key).name = a.name;
    key(a.key).expires_ns = a.expires_ns;
    key(a.key).only = kept(a.only);
    return a.key;
  }
  uint64_t operator()(const RotateKey& a) const {
    d.unindex_hash(key(a.key).hash);
    key(a.key).hash = a.hash;
    key(a.key).tail = a.tail;
    d.index_hash(a.hash, a.key);
    return a.key;
  }
  uint64_t operator()(const RevokeKey& a) const {
    key(a.key).revoked_ns = end();
    return a.key;
  }
  uint64_t operator()(const SetLimit& a) const {
    if (a.value)
      d.limits_[{a.scope, a.limit}] = *a.value;
    else
      d.limits_.erase({a.scope, a.limit});
    return 0;
  }
  uint64_t operator()(const SetSpendLimit& a) const {
    const SpendKey place{a.org, a.project, a.currency, a.period};
    if (a.amount)
      d.spend_limits_[place] = *a.amount;
    else
      d.spend_limits_.erase(place);
    return 0;
  }
  uint64_t operator()(const SetSpendAlert& a) const {
    const SpendKey place{a.org, a.project, a.currency, a.period};
    if (a.notify.empty())
      d.spend_alerts_.erase({place, a.amount});
    else
      d.spend_alerts_[{place, a.amount}] = a.notify;
    return 0;
  }
  uint64_t operator()(const SetCreditAlert& a) const {
    if (a.amount)
      d.credit_alerts_[a.org] = *a.amount;
    else
      d.credit_alerts_.erase(a.org);
    return a.org;
  }
  uint64_t operator()(const SetWebhook& a) const {
    if (a.url.empty()) {
      d.webhooks_.erase(a.org);
      return a.org;
    }
    Webhook& hook = d.webhooks_[a.org];
    if (hook.secret != a.secret) {
      hook.old_secret = a.old_until_ns > at_ns ? std::move(hook.secret) : std::string();
      hook.old_until_ns = hook.old_secret.empty() ? 0 : a.old_until_ns;
      hook.secret = a.secret;
    }
    hook.url = a.url;
    hook.set_ns = at_ns;
    hook.disabled_ns = 0;
    hook.disabled_why.clear();
    return a.org;
  }
  uint64_t operator()(const DisableWebhook& a) const {
    d.webhooks_[a.org].disabled_ns = at_ns;
    d.webhooks_[a.org].disabled_why = a.why;
    return a.org;
  }
  uint64_t operator()(const SetPriceBook&) const {
    ++d.price_books_;
    return 0;
  }
  uint64_t operator()(const WithdrawPriceBook&) const { return 0; }
};

Result<uint64_t> Directory::apply(const Act& act, int64_t at_ns) {
  MILL_TRY_DO(check_rules(act));
  return std::visit(DirectoryChanges{*this, at_ns}, act);
}

}  // namespace mill::maas
