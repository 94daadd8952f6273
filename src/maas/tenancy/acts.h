// Administrative acts: every change of who there is and what they may do. An act is the body of a
// journal entry (ledger::Kind::kAct), so the journal is also the audit log.
//
// Things are named by their serial numbers (ledger::Payer, never reused); what an act creates gets
// the next one of its kind, and brings its external id. Bytes: 'A' 'C', a format number (1), the
// act's number, its fields in the order of `visit` (codec.h). New acts and fields are appended
// under a new number; what is written once is read forever. Plain data; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/money.h"
#include "maas/catalog/rates.h"
#include "maas/tenancy/cidr.h"
#include "maas/tenancy/codec.h"
#include "maas/tenancy/external_id.h"
#include "maas/tenancy/key.h"

namespace mill::maas {

template <>
inline constexpr uint8_t kEnumCount<KeyKind> = 2;

enum class Role : uint8_t { kReader, kMember, kOwner };
template <>
inline constexpr uint8_t kEnumCount<Role> = 3;
std::string_view name(Role role);  // "reader", "member", "owner"

enum class Period : uint8_t { kDay, kMonth };
template <>
inline constexpr uint8_t kEnumCount<Period> = 2;
std::string_view name(Period period);  // "day", "month"

// Declares the fields of a record, for the codec and for comparing.
#define MILL_FIELDS(Type, ...)                      \
  template <class Visitor, class Self>              \
  static void visit(Visitor& visitor, Self& self) { \
    auto& [__VA_ARGS__] = self;                     \
    visitor.all(__VA_ARGS__);                       \
  }                                                 \
  friend bool operator==(const Type&, const Type&) = default

// Who may use a key from where, for what. Empty lists: everything.
struct Restrictions {
  std::vector<std::string> models;
  std::vector<Cidr> networks;
  bool empty() const { return models.empty() && networks.empty(); }
  MILL_FIELDS(Restrictions, models, networks);
};

// Where a limit holds. A model narrows the project.
struct LimitScope {
  uint64_t org = 0, project = 0, key = 0;  // the narrowest that is not 0; all 0: the whole plant
  std::string model;
  friend auto operator<=>(const LimitScope&, const LimitScope&) = default;
  template <class V, class Self>
  static void visit(V& v, Self& s) {
    v.all(s.org, s.project, s.key, s.model);
  }
};

struct CreateOrganization {
  ExternalId id;
  std::string name;
  ledger::Currency currency;  // of its credit
  MILL_FIELDS(CreateOrganization, id, name, currency);
};
struct RenameOrganization {
  uint64_t org = 0;
  std::string name;
  MILL_FIELDS(RenameOrganization, org, name);
};
struct ArchiveOrganization {
  uint64_t org = 0;
  MILL_FIELDS(ArchiveOrganization, org);
};
struct CreateProject {
  ExternalId id;
  uint64_t org = 0;
  std::string name;
  Tier tier = Tier::kDefault;
  uint32_t weight_milli = 1000;  // of its share when the mill is busy, in thousandths
  MILL_FIELDS(CreateProject, id, org, name, tier, weight_milli);
};
struct RenameProject {
  uint64_t project = 0;
  std::string name;
  MILL_FIELDS(RenameProject, project, name);
};
struct SetProjectShare {
  uint64_t project = 0;
  Tier tier = Tier::kDefault;
  uint32_t weight_milli = 1000;
  MILL_FIELDS(SetProjectShare, project, tier, weight_milli);
};
struct ArchiveProject {
  uint64_t project = 0;
  MILL_FIELDS(ArchiveProject, project);
};
struct CreateServiceAccount {
  ExternalId id;
  uint64_t project = 0;
  std::string name;
  MILL_FIELDS(CreateServiceAccount, id, project, name);
};
struct DeleteServiceAccount {
  uint64_t service_account = 0;
  MILL_FIELDS(DeleteServiceAccount, service_account);
};
struct AddUser {
  ExternalId id;
  uint64_t org = 0;
  std::string email, name;
  Role role = Role::kReader;
  MILL_FIELDS(AddUser, id, org, email, name, role);
};
struct SetUserRole {
  uint64_t user = 0;
  Role role = Role::kReader;
  MILL_FIELDS(SetUserRole, user, role);
};
struct RemoveUser {
  uint64_t user = 0;
  MILL_FIELDS(RemoveUser, user);
};
// At most one of `user` and `service_account` is not 0: whose key it is. It ends with its owner.
struct CreateKey {
  ExternalId id;
  uint64_t project = 0, user = 0, service_account = 0;
  std::string name;
  ledger::Hash256 hash{};
  KeyTail tail{};
  int64_t expires_ns = 0;  // since 1970 UTC; 0: never
  Restrictions only;
  MILL_FIELDS(CreateKey, id, project, user, service_account, name, hash, tail, expires_ns, only);
};
struct CreateAdminKey {
  ExternalId id;
  uint64_t org = 0;   // 0: the operator's, over all organizations
  uint64_t user = 0;  // whose role it has; 0: an owner's
  std::string name;
  ledger::Hash256 hash{};
  KeyTail tail{};
  int64_t expires_ns = 0;
  Restrictions only;  // networks alone
  MILL_FIELDS(CreateAdminKey, id, org, user, name, hash, tail, expires_ns, only);
};
// Of both kinds of keys.
struct UpdateKey {
  uint64_t key = 0;
  std::string name;
  int64_t expires_ns = 0;
  Restrictions only;
  MILL_FIELDS(UpdateKey, key, name, expires_ns, only);
};
// A new secret under the same id; the old one ends at once.
struct RotateKey {
  uint64_t key = 0;
  ledger::Hash256 hash{};
  KeyTail tail{};
  MILL_FIELDS(RotateKey, key, hash, tail);
};
struct RevokeKey {
  uint64_t key = 0;
  MILL_FIELDS(RevokeKey, key);
};
// A number for maas/admission, which knows the names and what they count; here they are opaque, and
// whoever makes the act has asked it. Nothing: the limit is taken away.
struct SetLimit {
  LimitScope scope;
  std::string limit;
  std::optional<int64_t> value;
  MILL_FIELDS(SetLimit, scope, limit, value);
};
struct SetSpendLimit {
  uint64_t org = 0, project = 0;  // project 0: of the organization
  ledger::Currency currency;      // the organization's
  Period period{};
  std::optional<ledger::Nano> amount;  // nothing: taken away
  MILL_FIELDS(SetSpendLimit, org, project, currency, period, amount);
};
// Tells `notify` when the period's spending reaches `amount`. Empty `notify`: taken away.
struct SetSpendAlert {
  uint64_t org = 0, project = 0;
  ledger::Currency currency;
  Period period{};
  ledger::Nano amount = 0;
  std::string notify;
  MILL_FIELDS(SetSpendAlert, org, project, currency, period, amount, notify);
};
// Bytes of maas/catalog's draft_codec.h.
struct SetPriceBook {
  std::string book;
  MILL_FIELDS(SetPriceBook, book);
};
struct WithdrawPriceBook {
  int64_t number = 0;
  MILL_FIELDS(WithdrawPriceBook, number);
};

// Tells the organization's webhook when what it may still spend (credit + credit limit) falls to
// `amount`. Nothing: taken away.
struct SetCreditAlert {
  uint64_t org = 0;
  std::optional<ledger::Nano> amount;  // in the organization's currency
  MILL_FIELDS(SetCreditAlert, org, amount);
};
// Where an organization's alerts are posted, and the secret that signs them. Signing needs the
// secret itself, so it stands here as it is; it opens nothing of this server. Another secret than
// before is a rotation: the old one signs too until `old_until_ns`. An empty `url`: taken away.
struct SetWebhook {
  uint64_t org = 0;
  std::string url;
  std::string secret;  // kWebhookSecretBytes random bytes
  int64_t old_until_ns = 0;
  MILL_FIELDS(SetWebhook, org, url, secret, old_until_ns);
};
// Nothing is posted any more, until the next SetWebhook: the endpoint said that it is gone.
struct DisableWebhook {
  uint64_t org = 0;
  std::string why;
  MILL_FIELDS(DisableWebhook, org, why);
};

// The place in this list, from 1, is the act's number in its bytes.
using Act =
    std::variant<CreateOrganization, RenameOrganization, ArchiveOrganization, CreateProject,
                 RenameProject, SetProjectShare, ArchiveProject, CreateServiceAccount,
                 DeleteServiceAccount, AddUser, SetUserRole, RemoveUser, CreateKey, CreateAdminKey,
                 UpdateKey, RotateKey, RevokeKey, SetLimit, SetSpendLimit, SetSpendAlert,
                 SetPriceBook, WithdrawPriceBook, SetCreditAlert, SetWebhook, DisableWebhook>;

std::string encode(const Act& act);
// kCorrupt for bytes that encode() would not write, kUnsupported for a later format or an unknown
// act.
Result<Act> decode_act(std::string_view bytes);

}  // namespace mill::maas
