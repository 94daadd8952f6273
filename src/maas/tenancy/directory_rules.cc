// What an act must fulfil: Directory::check and authorize.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "maas/catalog/draft_codec.h"
#include "maas/tenancy/directory.h"
#include "maas/tenancy/text_rules.h"

namespace mill::maas {
namespace {

tl::unexpected<Error> bad(std::string_view field, std::string_view rule) {
  return fail(Code::kInvalid, fmt::format("{} {}", field, rule), std::string(field));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Status check_restrictions(const Restrictions& only, KeyKind kind) {
  if (kind == KeyKind::kAdmin && !only.models.empty())
    return bad("models", "belong to keys of projects");
  if (only.models.size() > kMaxKeyModels)
    return fail(Code::kTooLarge, fmt::format("models has more than {} entries", kMaxKeyModels),
                "models");
  if (only.networks.size() > kMaxKeyNetworks)
    return fail(Code::kTooLarge,
                fmt::format("ip_allow_list has more than {} entries", kMaxKeyNetworks),
                "ip_allow_list");
  std::set<std::string_view> seen;
  for (const std::string& model : only.models) {
    MILL_TRY_DO(check_name(model, "models", kMaxModel));
    if (!seen.insert(model).second) return bad("models", fmt::format("has '{}' twice", model));
  }
  for (const Cidr& network : only.networks) {
    if (!is_valid(network)) return bad("ip_allow_list", "has an entry that is no network");
  }
  return {};
}

}  // namespace

// One overload per act: its rules, but for those of time.
struct DirectoryRules {
  const Directory& d;

  // An id of the right form that nobody has.
  Status fresh(IdKind kind, const ExternalId& id) const {
    if (!is_valid(id)) return bad("id", "is not 24 letters or digits");
    if (d.ids(kind).contains(id)) return bad("id", fmt::format("of a {} is taken", noun(kind)));
    if (d.ids(kind).size() >= UINT32_MAX - 1)
      return fail(Code::kTooLarge, "there are too many", "id");
    return {};
  }
  template <class T>
  static Status exists(const T* thing, IdKind kind, std::string_view field) {
    if (!thing)
      return fail(Code::kNotFound, fmt::format("there is no such {}", noun(kind)),
                  std::string(field));
    return {};
  }
  template <class T>
  static Status open(const T* thing, IdKind kind, std::string_view field, const char* ended) {
    MILL_TRY_DO(exists(thing, kind, field));
    if (ended_ns(*thing) != 0) return bad(field, fmt::format("is {}", ended));
    return {};
  }
  Status open_org(uint64_t serial) const {
    return open(d.organization(serial), IdKind::kOrganization, "organization", "archived");
  }
  Status open_project(uint64_t serial) const {
    MILL_TRY_DO(open(d.project(serial), IdKind::kProject, "project", "archived"));
    return open_org(d.project(serial)->org);
  }
  Status open_user(uint64_t serial) const {
    MILL_TRY_DO(open(d.user(serial), IdKind::kUser, "user", "removed"));
    return open_org(d.user(serial)->org);
  }
  Status open_key(uint64_t serial) const {
    return open(d.key(serial), IdKind::kKey, "key", "revoked already");
  }
  Status fresh_hash(const ledger::Hash256& hash, const KeyTail& tail) const {
    if (hash == ledger::Hash256{}) return bad("hash", "is missing");
    if (!is_base62({tail.data(), tail.size()})) return bad("tail", "is not 4 letters or digits");
    // Also one that shares the index's 8 bytes: once in 2^64, and then the next draw is another.
    uint64_t head = 0;
    std::copy_n(hash.begin(), sizeof head, reinterpret_cast<uint8_t*>(&head));
    if (d.by_hash_.contains(head)) return bad("hash", "of a key that exists already");
    return {};
  }
  static Status share(Tier tier, uint32_t weight_milli) {
    if (static_cast<size_t>(tier) >= kTierCount) return bad("tier", "is unknown");
    if (weight_milli < 1 || weight_milli > kMaxWeightMilli)
      return bad("weight", "must be 0.001 to 1000");
    return {};
  }
  static Status role(Role role) {
    return role > Role::kOwner ? bad("role", "is unknown") : Status{};
  }
  size_t owners(uint64_t org) const {
    return static_cast<size_t>(std::count_if(d.users_.begin(), d.users_.end(), [&](const User& u) {
      return u.org == org && u.removed_ns == 0 && u.role == Role::kOwner;
    }));
  }
  Status not_last_owner(uint64_t serial) const {
    const User& user = *d.user(serial);
    if (user.role == Role::kOwner && owners(user.org) == 1)
      return bad("user", "is the organization's last owner; make another one first");
    return {};
  }

  Status operator()(const CreateOrganization& a) const {
    MILL_TRY_DO(fresh(IdKind::kOrganization, a.id));
    MILL_TRY_DO(check_name(a.name, "name"));
    if (!ledger::is_valid(a.currency)) return bad("currency", "must be 3 to 8 upper-case letters");
    return {};
  }
  Status operator()(const RenameOrganization& a) const {
    MILL_TRY_DO(open_org(a.org));
    return check_name(a.name, "name");
  }
  Status operator()(const ArchiveOrganization& a) const { return open_org(a.org); }
  Status operator()(const CreateProject& a) const {
    MILL_TRY_DO(fresh(IdKind::kProject, a.id));
    MILL_TRY_DO(open_org(a.org));
    MILL_TRY_DO(check_name(a.name, "name"));
    return share(a.tier, a.weight_milli);
  }
  Status operator()(const RenameProject& a) const {
    MILL_TRY_DO(open_project(a.project));
    return check_name(a.name, "name");
  }
  Status operator()(const SetProjectShare& a) const {
    MILL_TRY_DO(open_project(a.project));
    return share(a.tier, a.weight_milli);
  }
  Status operator()(const ArchiveProject& a) const { return open_project(a.project); }
  Status operator()(const CreateServiceAccount& a) const {
    MILL_TRY_DO(fresh(IdKind::kServiceAccount, a.id));
    MILL_TRY_DO(open_project(a.project));
    return check_name(a.name, "name");
  }
  Status operator()(const DeleteServiceAccount& a) const {
    return open(d.service_account(a.service_account), IdKind::kServiceAccount, "service_account",
                "deleted already");
  }
  Status operator()(const AddUser& a) const {
    MILL_TRY_DO(fresh(IdKind::kUser, a.id));
    MILL_TRY_DO(open_org(a.org));
    MILL_TRY_DO(check_email(a.email));
    MILL_TRY_DO(check_name(a.name, "name"));
    MILL_TRY_DO(role(a.role));
    const std::string email = lower(a.email);
    for (const User& user : d.users_) {
      if (user.org == a.org && user.removed_ns == 0 && lower(user.email) == email)
        return bad("email", "belongs to a user of this organization already");
    }
    return {};
  }
  Status operator()(const SetUserRole& a) const {
    MILL_TRY_DO(open_user(a.user));
    MILL_TRY_DO(role(a.role));
    return a.role == Role::kOwner ? Status{} : not_last_owner(a.user);
  }
  Status operator()(const RemoveUser& a) const {
    MILL_TRY_DO(open_user(a.user));
    return not_last_owner(a.user);
  }
  Status operator()(const CreateKey& a) const {
    MILL_TRY_DO(fresh(IdKind::kKey, a.id));
    MILL_TRY_DO(open_project(a.project));
    MILL_TRY_DO(check_name(a.name, "name"));
    MILL_TRY_DO(fresh_hash(a.hash, a.tail));
    if (a.user != 0 && a.service_account != 0) return bad("user", "and service_account: one only");
    if (a.user != 0) {
      MILL_TRY_DO(open_user(a.user));
      if (d.user(a.user)->org != d.project(a.project)->org)
        return bad("user", "belongs to another organization");
    }
    if (a.service_account != 0) {
      const ServiceAccount* owner = d.service_account(a.service_account);
      MILL_TRY_DO(open(owner, IdKind::kServiceAccount, "service_account", "deleted"));
      if (owner->project != a.project) return bad("service_account", "belongs to another project");
    }
    return check_restrictions(a.only, KeyKind::kProject);
  }
  Status operator()(const CreateAdminKey& a) const {
    MILL_TRY_DO(fresh(IdKind::kKey, a.id));
    if (a.org != 0) MILL_TRY_DO(open_org(a.org));
    MILL_TRY_DO(check_name(a.name, "name"));
    MILL_TRY_DO(fresh_hash(a.hash, a.tail));
    if (a.user != 0) {
      MILL_TRY_DO(open_user(a.user));
      if (d.user(a.user)->org != a.org) return bad("user", "belongs to another organization");
    }
    return check_restrictions(a.only, KeyKind::kAdmin);
  }
  Status operator()(const UpdateKey& a) const {
    MILL_TRY_DO(open_key(a.key));
    MILL_TRY_DO(check_name(a.name, "name"));
    return check_restrictions(a.only, d.key(a.key)->kind);
  }
  Status operator()(const RotateKey& a) const {
    MILL_TRY_DO(open_key(a.key));
    return fresh_hash(a.hash, a.tail);
  }
  Status operator()(const RevokeKey& a) const { return open_key(a.key); }

  // Each serial number that is given must be below the one before it.
  Status chain(uint64_t org, uint64_t project, uint64_t key) const {
    if (org != 0) MILL_TRY_DO(open_org(org));
    if (project != 0) {
      MILL_TRY_DO(open_project(project));
      if (d.project(project)->org != org) return bad("project", "belongs to another organization");
    }
    if (key != 0) {
      MILL_TRY_DO(open_key(key));
      if (project == 0 || d.key(key)->project != project)
        return bad("key", "belongs to another project");
    }
    return {};
  }
  Status operator()(const SetLimit& a) const {
    MILL_TRY_DO(chain(a.scope.org, a.scope.project, a.scope.key));
    MILL_TRY_DO(check_limit_name(a.limit));
    if (!a.scope.model.empty()) {
      MILL_TRY_DO(check_name(a.scope.model, "model", kMaxModel));
      if (a.scope.project == 0 || a.scope.key != 0)
        return bad("model", "narrows the limit of a project alone");
    }
    if (a.value && (*a.value < 0 || *a.value > kMaxLimit)) return bad("value", "must be 0 to 2^53");
    if (!a.value && !d.limits_.contains({a.scope, a.limit}))
      return fail(Code::kNotFound, "there is no such limit to take away", "limit");
    return {};
  }
  Status spend(uint64_t org, uint64_t project, ledger::Currency currency, Period period) const {
    if (org == 0) return bad("organization", "is missing");
    MILL_TRY_DO(chain(org, project, 0));
    if (!ledger::is_valid(currency)) return bad("currency", "must be 3 to 8 upper-case letters");
    // Nothing is ever charged in another one: the limit would never hold, the alert never ring.
    if (const ledger::Currency own = d.organization(org)->currency; currency != own)
      return bad("currency", fmt::format("must be the organization's, {}", ledger::to_string(own)));
    if (period > Period::kMonth) return bad("period", "is unknown");
    return {};
  }
  Status operator()(const SetSpendLimit& a) const {
    MILL_TRY_DO(spend(a.org, a.project, a.currency, a.period));
    if (a.amount && *a.amount < 0) return bad("amount", "may not be negative");
    if (!a.amount && !d.spend_limits_.contains({a.org, a.project, a.currency, a.period}))
      return fail(Code::kNotFound, "there is no such spend limit to take away", "amount");
    return {};
  }
  Status operator()(const SetSpendAlert& a) const {
    MILL_TRY_DO(spend(a.org, a.project, a.currency, a.period));
    if (a.amount <= 0) return bad("amount", "must be more than zero");
    const SpendKey place{a.org, a.project, a.currency, a.period};
    const bool there = d.spend_alerts_.contains({place, a.amount});
    if (a.notify.empty()) {
      if (there) return {};
      return fail(Code::kNotFound, "there is no such spend alert to take away", "amount");
    }
    MILL_TRY_DO(check_name(a.notify, "notify", kMaxEmail));
    const auto alerts =
        std::count_if(d.spend_alerts_.begin(), d.spend_alerts_.end(), [&](const auto& alert) {
          return alert.first.first.org == a.org && alert.first.first.project == a.project;
        });
    if (!there && static_cast<size_t>(alerts) >= kMaxSpendAlerts)
      return fail(Code::kTooLarge, fmt::format("there are {} alerts already", kMaxSpendAlerts),
                  "amount");
    return {};
  }
  Status operator()(const SetCreditAlert& a) const {
    if (a.org == 0) return bad("organization", "is missing");
    MILL_TRY_DO(open_org(a.org));
    if (a.amount && *a.amount <= 0) return bad("amount", "must be more than zero");
    if (!a.amount && !d.credit_alerts_.contains(a.org))
      return fail(Code::kNotFound, "there is no such credit alert to take away", "amount");
    return {};
  }
  Status operator()(const SetWebhook& a) const {
    if (a.org == 0) return bad("organization", "is missing");
    MILL_TRY_DO(open_org(a.org));
    if (a.url.empty()) {
      if (d.webhooks_.contains(a.org)) return {};
      return fail(Code::kNotFound, "there is no webhook to take away", "url");
    }
    // What an address may point at is said by who sends there (net::check_post_url).
    MILL_TRY_DO(check_name(a.url, "url", kMaxUrl));
    if (a.secret.size() != kWebhookSecretBytes)
      return bad("secret", fmt::format("must have {} bytes", kWebhookSecretBytes));
    if (a.old_until_ns < 0) return bad("old_until", "may not be negative");
    return {};
  }
  Status operator()(const DisableWebhook& a) const {
    const auto found = d.webhooks_.find(a.org);
    if (found == d.webhooks_.end())
      return fail(Code::kNotFound, "there is no webhook", "organization");
    if (found->second.disabled_ns != 0)
      return bad("organization", "has a disabled webhook already");
    return check_name(a.why, "why", kMaxEmail);
  }
  Status operator()(const SetPriceBook& a) const {
    if (a.book.empty()) return bad("book", "is empty");
    if (a.book.size() > kMaxPriceBook)
      return fail(Code::kTooLarge, "book has more than 1 MiB", "book");
    // Whether the prices in it can be is catalog's to say, to whoever asks before this act.
    const Result<BookDraft> draft = decode_book(a.book);
    if (!draft) return bad("book", fmt::format("cannot be read: {}", draft.error().message));
    if (encode(*draft) != a.book) return bad("book", "is not in its canonical form");
    return {};
  }
  Status operator()(const WithdrawPriceBook& a) const {
    if (a.number < 1 || a.number > d.price_books_)
      return fail(Code::kNotFound, "there is no price book of that number", "number");
    return {};
  }
};

// What an admin key's organization and role must be.
struct DirectoryAuthority {
  const Directory& d;
  struct Needs {
    bool operators_alone = false;
    uint64_t org = 0;
    Role role = Role::kOwner;
  };
  static Needs operators() { return {.operators_alone = true}; }
  Needs in(uint64_t org, Role role = Role::kOwner) const { return {.org = org, .role = role}; }
  Needs in_project(uint64_t serial, Role role) const {
    const Project* project = d.project(serial);
    return in(project ? project->org : 0, role);
  }
  Needs of_key(uint64_t serial) const {
    const Key* key = d.key(serial);
    if (!key) return in(0);
    return in(key->org, key->kind == KeyKind::kAdmin ? Role::kOwner : Role::kMember);
  }
  Needs of_user(uint64_t serial) const {
    const User* user = d.user(serial);
    return in(user ? user->org : 0);
  }
  Needs operator()(const RenameOrganization& a) const { return in(a.org); }
  Needs operator()(const CreateProject& a) const {
    // A share of the mill is the operator's to give.
    const bool plain = a.tier == Tier::kDefault && a.weight_milli == 1000;
    return plain ? in(a.org) : operators();
  }
  Needs operator()(const RenameProject& a) const { return in_project(a.project, Role::kOwner); }
  Needs operator()(const ArchiveProject& a) const { return in_project(a.project, Role::kOwner); }
  Needs operator()(const CreateServiceAccount& a) const {
    return in_project(a.project, Role::kMember);
  }
  Needs operator()(const DeleteServiceAccount& a) const {
    const ServiceAccount* account = d.service_account(a.service_account);
    return in_project(account ? account->project : 0, Role::kMember);
  }
  Needs operator()(const AddUser& a) const { return in(a.org); }
  Needs operator()(const SetUserRole& a) const { return of_user(a.user); }
  Needs operator()(const RemoveUser& a) const { return of_user(a.user); }
  Needs operator()(const CreateKey& a) const { return in_project(a.project, Role::kMember); }
  Needs operator()(const CreateAdminKey& a) const { return in(a.org); }
  Needs operator()(const UpdateKey& a) const { return of_key(a.key); }
  Needs operator()(const RotateKey& a) const { return of_key(a.key); }
  Needs operator()(const RevokeKey& a) const { return of_key(a.key); }
  Needs operator()(const SetSpendAlert& a) const { return in(a.org); }
  Needs operator()(const SetCreditAlert& a) const { return in(a.org); }
  Needs operator()(const SetWebhook& a) const { return in(a.org); }
  template <class Other>
  Needs operator()(const Other&) const {
    return operators();
  }
};

Status Directory::check_rules(const Act& act) const {
  return std::visit(DirectoryRules{*this}, act);
}

Status Directory::check(const Act& act, int64_t now_ns) const {
  MILL_TRY_DO(check_rules(act));
  return std::visit(
      [&](const auto& a) -> Status {
        if constexpr (requires { a.expires_ns; }) {
          if (a.expires_ns != 0 && a.expires_ns <= now_ns)
            return bad("expires_at", "lies in the past");
        }
        return {};
      },
      act);
}

Status Directory::authorize(const Caller& caller, const Act& act) const {
  MILL_TRY_DO(caller.may_administrate());
  const auto needs = std::visit(DirectoryAuthority{*this}, act);
  if (caller.payer.org == 0) return {};  // the operator
  if (needs.operators_alone || needs.org != caller.payer.org)
    return fail(Code::kPermission, "this is for the operator of the server", "scope");
  if (caller.role < needs.role)
    return fail(Code::kPermission,
                fmt::format("this needs the role '{}'; the key has '{}'", name(needs.role),
                            name(caller.role)),
                "scope");
  return {};
}

}  // namespace mill::maas
