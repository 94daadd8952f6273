// Who a request comes from, as far as the keyring knows: a value of its own, good after the key is
// gone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/money.h"
#include "maas/catalog/rates.h"
#include "maas/tenancy/acts.h"
#include "maas/tenancy/external_id.h"

namespace mill::maas {

struct Caller {
  ledger::Payer payer;        // of an admin key: project 0, and org 0 where it is the operator's
  ledger::Currency currency;  // of the organization
  Tier tier = Tier::kDefault;
  double weight = 1;
  bool admin = false;
  Role role = Role::kReader;  // of an admin key: what it may change; see Directory::authorize
  ExternalId org_id, project_id, key_id;  // none where there is none
  std::string org_name, project_name, key_name;
  std::shared_ptr<const Restrictions> only;  // nullptr: none

  bool allows(std::string_view model) const;
  // Whether it may ask a model. kPermission, param "scope" for an admin key, "model" for a model
  // that is not on the key's list.
  Status may_infer(std::string_view model) const;
  // Whether it may use the administrative API at all. kPermission, param "scope".
  Status may_administrate() const;
};

}  // namespace mill::maas
