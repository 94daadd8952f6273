// /v1/organizations: the operator's tenants.
#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

json::object shown(const Desk& desk, uint64_t org) {
  return desk.read([&](const Directory& d) { return show(d, *d.organization(org)); });
}

Result<uint64_t> organization_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_organization(desk, d, desk.ids[0]); });
}

}  // namespace

Result<json::value> list_organizations(Desk& desk) {
  MILL_TRY(const maas::PageRequest page, page_of(desk.query));
  return desk.read([&](const Directory& d) -> Result<json::value> {
    if (!desk.is_operator())
      return show_list({show(d, *d.organization(desk.caller.payer.org))}, false);
    MILL_TRY(const auto organizations, d.organizations(page));
    return show_page(d, organizations);
  });
}

// With `credit` or `credit_limit`, an organization that can pay: all of it, or nothing.
Result<json::value> create_organization(Desk& desk) {
  maas::CreateOrganization act;
  MILL_TRY(act.name, need_text(desk.body, "name"));
  MILL_TRY(const std::string currency, need_text(desk.body, "currency"));
  const auto parsed = ledger::parse_currency(currency);
  if (!parsed) return fail(Code::kInvalid, parsed.error().message, "currency");
  act.currency = *parsed;
  MILL_TRY(const auto credit, amount_of(desk.body, "credit"));
  MILL_TRY(const auto limit, amount_of(desk.body, "credit_limit"));
  if (credit && *credit <= 0) return fail(Code::kInvalid, "'credit' must be above 0", "credit");
  if (limit && *limit < 0)
    return fail(Code::kInvalid, "'credit_limit' must not be negative", "credit_limit");
  MILL_TRY(const auto done, desk.act_together({std::move(act)}, {credit, limit}));
  return shown(desk, done.front().serial);
}

Result<json::value> get_organization(Desk& desk) {
  MILL_TRY(const uint64_t org, organization_of(desk));
  return shown(desk, org);
}

Result<json::value> rename_organization(Desk& desk) {
  MILL_TRY(const uint64_t org, organization_of(desk));
  MILL_TRY(std::string name, need_text(desk.body, "name"));
  MILL_TRY_DO(desk.act(maas::RenameOrganization{org, std::move(name)}));
  return shown(desk, org);
}

Result<json::value> archive_organization(Desk& desk) {
  MILL_TRY(const uint64_t org, organization_of(desk));
  MILL_TRY_DO(desk.act(maas::ArchiveOrganization{org}));
  return shown(desk, org);
}

}  // namespace mill::gateway::desk
