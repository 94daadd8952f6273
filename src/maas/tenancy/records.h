// What the directory keeps of each thing. Nothing is ever removed: what is over has a time at which
// it ended, so that an old entry of the journal still finds who it belonged to. Plain data.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "maas/tenancy/acts.h"

namespace mill::maas {

// Times are nanoseconds since 1970 UTC; an end of 0 is none yet.
struct Organization {
  ExternalId id;
  std::string name;
  ledger::Currency currency;
  int64_t created_ns = 0, archived_ns = 0;
  MILL_FIELDS(Organization, id, name, currency, created_ns, archived_ns);
};
struct Project {
  ExternalId id;
  uint64_t org = 0;
  std::string name;
  Tier tier = Tier::kDefault;
  uint32_t weight_milli = 1000;
  int64_t created_ns = 0, archived_ns = 0;
  MILL_FIELDS(Project, id, org, name, tier, weight_milli, created_ns, archived_ns);
};
struct ServiceAccount {
  ExternalId id;
  uint64_t project = 0;
  std::string name;
  int64_t created_ns = 0, deleted_ns = 0;
  MILL_FIELDS(ServiceAccount, id, project, name, created_ns, deleted_ns);
};
struct User {
  ExternalId id;
  uint64_t org = 0;
  std::string email, name;
  Role role = Role::kReader;
  int64_t added_ns = 0, removed_ns = 0;
  MILL_FIELDS(User, id, org, email, name, role, added_ns, removed_ns);
};
// 168 bytes and what its name has beyond 15.
struct Key {
  ExternalId id;
  ledger::Hash256 hash{};
  KeyTail tail{};
  KeyKind kind = KeyKind::kProject;
  uint32_t org = 0, project = 0;           // an admin key has no project, the operator's no org
  uint32_t user = 0, service_account = 0;  // at most one: whose it is
  std::string name;
  int64_t created_ns = 0, expires_ns = 0, revoked_ns = 0;
  std::shared_ptr<const Restrictions> only;  // nullptr: none

  template <class V, class Self>
  static void visit(V& v, Self& s) {
    v.all(s.id, s.hash, s.tail, s.kind, s.org, s.project, s.user, s.service_account, s.name,
          s.created_ns, s.expires_ns, s.revoked_ns);
    if constexpr (std::is_const_v<Self>) {
      v.field(s.restrictions());
    } else {
      Restrictions read;
      v.field(read);
      if (!read.empty()) s.only = std::make_shared<const Restrictions>(std::move(read));
    }
  }
  const Restrictions& restrictions() const {
    static const Restrictions kNone;
    return only ? *only : kNone;
  }
};

struct SpendKey {  // of a spend limit or alert
  uint64_t org = 0, project = 0;
  ledger::Currency currency;
  Period period{};
  friend auto operator<=>(const SpendKey&, const SpendKey&) = default;
  template <class V, class Self>
  static void visit(V& v, Self& s) {
    v.all(s.org, s.project, s.currency, s.period);
  }
};

// Where an organization's alerts go.
struct Webhook {
  std::string url;
  std::string secret;
  std::string old_secret;  // signs too until then; empty: none
  int64_t old_until_ns = 0;
  int64_t set_ns = 0;       // when it was last set
  int64_t disabled_ns = 0;  // 0: it is in use
  std::string disabled_why;
  MILL_FIELDS(Webhook, url, secret, old_secret, old_until_ns, set_ns, disabled_ns, disabled_why);
};

}  // namespace mill::maas
