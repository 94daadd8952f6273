#include "gateway/desk/desk.h"

#include <fmt/format.h>

namespace mill::gateway::desk {
namespace {

using maas::Directory;
using maas::IdKind;

tl::unexpected<Error> missing(IdKind kind, std::string_view id) {
  return fail(Code::kNotFound,
              fmt::format("there is no {} '{}'", maas::noun(kind), id.substr(0, 64)));
}

// The serial number behind `id`, if `sees` it.
template <class Sees>
Result<uint64_t> find(const Directory& directory, IdKind kind, std::string_view id,
                      const Sees& sees) {
  const auto found = directory.find(kind, id);
  if (!found || !sees(*found)) return missing(kind, id);
  return *found;
}

// Whether what belongs to `org` shows to this caller. An organization that the request names
// narrows it.
bool sees(const Desk& desk, const Directory& directory, uint64_t org) {
  if (!desk.is_operator() && desk.caller.payer.org != org) return false;
  if (!desk.organization) return true;
  const auto named = directory.find(IdKind::kOrganization, *desk.organization);
  return named && *named == org;
}

}  // namespace

std::string Desk::actor() const {
  return maas::to_string(IdKind::kKey, caller.key_id);
}

Status Desk::for_operator() const {
  if (is_operator()) return {};
  return fail(Code::kPermission, "this is for the operator of the server", "scope");
}

Status Desk::may(const maas::Act& act) const {
  return read([&](const Directory& directory) { return directory.authorize(caller, act); });
}

Result<maas::Done> Desk::act(maas::Act act) const {
  MILL_TRY_DO(may(act));
  return office.administer(std::move(act), actor(), deadline);
}

Result<std::vector<maas::Done>> Desk::act_together(std::vector<maas::Act> acts,
                                                   const maas::Office::Opening& opening) const {
  for (const maas::Act& act : acts) MILL_TRY_DO(may(act));
  return office.administer_together(std::move(acts), opening, actor(), deadline);
}

Result<uint64_t> find_organization(const Desk& desk, const Directory& directory,
                                   std::string_view id) {
  return find(directory, IdKind::kOrganization, id,
              [&](uint64_t org) { return sees(desk, directory, org); });
}

Result<uint64_t> find_organization(const Desk& desk, const Directory& directory) {
  if (desk.organization) return find_organization(desk, directory, *desk.organization);
  if (!desk.is_operator()) return desk.caller.payer.org;
  uint64_t only = 0;
  for (uint64_t org = 1; org < directory.next(IdKind::kOrganization); ++org) {
    if (directory.organization(org)->archived_ns != 0) continue;
    if (only != 0) {
      return fail(Code::kInvalid,
                  "there are several organizations: name one by the header OpenAI-Organization or "
                  "the query organization_id",
                  "organization_id");
    }
    only = org;
  }
  if (only == 0)
    return fail(Code::kNotFound, "there is no organization yet: POST /v1/organizations makes one");
  return only;
}

Result<uint64_t> find_project(const Desk& desk, const Directory& directory, std::string_view id) {
  return find(directory, IdKind::kProject, id, [&](uint64_t project) {
    return sees(desk, directory, directory.project(project)->org);
  });
}

Result<uint64_t> find_key(const Desk& desk, const Directory& directory) {
  MILL_TRY(const uint64_t project, find_project(desk, directory, desk.ids[0]));
  return find(directory, IdKind::kKey, desk.ids[1], [&](uint64_t key) {
    return directory.key(key)->kind == maas::KeyKind::kProject &&
           directory.key(key)->project == project;
  });
}

Result<uint64_t> find_service_account(const Desk& desk, const Directory& directory) {
  MILL_TRY(const uint64_t project, find_project(desk, directory, desk.ids[0]));
  return find(directory, IdKind::kServiceAccount, desk.ids[1], [&](uint64_t account) {
    return directory.service_account(account)->project == project;
  });
}

Result<uint64_t> find_admin_key(const Desk& desk, const Directory& directory) {
  return find(directory, IdKind::kKey, desk.ids[0], [&](uint64_t key) {
    return directory.key(key)->kind == maas::KeyKind::kAdmin &&
           sees(desk, directory, directory.key(key)->org);
  });
}

Result<uint64_t> find_user(const Desk& desk, const Directory& directory, std::string_view id) {
  return find(directory, IdKind::kUser, id,
              [&](uint64_t user) { return sees(desk, directory, directory.user(user)->org); });
}

Result<uint64_t> find_admin_owner(const Desk& desk, const Directory& directory) {
  if (desk.organization) return find_organization(desk, directory, *desk.organization);
  return desk.caller.payer.org;
}

}  // namespace mill::gateway::desk
