// One request to the administrative API, as its handler sees it: who asks, what, and the office
// that does it.
//
// Handlers run on a thread of their own, for acts wait for an fsync. What a caller may not see
// answers as what does not exist: an organization's admin key sees that organization alone, the
// operator's sees all.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "gateway/courier/targets.h"
#include "gateway/desk/query.h"
#include "maas/office/office.h"

namespace mill::gateway::desk {

namespace json = boost::json;

class Desk {
 public:
  maas::Office& office;
  const WebhookTargets& webhook_targets;
  maas::Caller caller;           // has an admin key
  std::vector<std::string> ids;  // of the path
  Query query;
  json::object body;                        // empty where none was sent
  std::optional<std::string> organization;  // named by header or query, an external id
  Instant deadline;                         // of acts

  std::string actor() const;  // who does it, for the journal: "key_…"
  bool is_operator() const { return caller.payer.org == 0; }
  Status for_operator() const;  // kPermission, param "scope"

  // Does it, if the caller may. Fails as Directory::authorize and Office::administer.
  Result<maas::Done> act(maas::Act act) const;
  // Does all of them, or none.
  Result<std::vector<maas::Done>> act_together(std::vector<maas::Act> acts,
                                               const maas::Office::Opening& opening = {}) const;
  Status may(const maas::Act& act) const;
  // Calls `use` with the directory, locked: see Keyring::read.
  template <class Use>
  auto read(const Use& use) const {
    return office.keyring().read(use);
  }
};

// Serial numbers of what a request names; kNotFound for what is not there or not the caller's to
// see, whatever the text is.
//
// The organization that /v1/organization is: the caller's own; for the operator the one that the
// request names, or the only one there is. kInvalid, param "organization_id", where it must say
// which.
Result<uint64_t> find_organization(const Desk& desk, const maas::Directory& directory);
// Of an external id in a path: for the operator, or whoever belongs to it.
Result<uint64_t> find_organization(const Desk& desk, const maas::Directory& directory,
                                   std::string_view id);
Result<uint64_t> find_project(const Desk& desk, const maas::Directory& directory,
                              std::string_view id);
// ids[0] is the project, ids[1] what is in it.
Result<uint64_t> find_key(const Desk& desk, const maas::Directory& directory);
Result<uint64_t> find_service_account(const Desk& desk, const maas::Directory& directory);
// ids[0].
Result<uint64_t> find_admin_key(const Desk& desk, const maas::Directory& directory);
Result<uint64_t> find_user(const Desk& desk, const maas::Directory& directory, std::string_view id);
// Whose admin keys: the organization that the request names, or the caller's own (the operator's:
// 0).
Result<uint64_t> find_admin_owner(const Desk& desk, const maas::Directory& directory);

}  // namespace mill::gateway::desk
