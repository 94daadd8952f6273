// /v1/organization/projects/{project}/api_keys
#include "gateway/desk/desk.h"
#include "gateway/desk/key_acts.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

Result<uint64_t> key_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_key(desk, d); });
}

}  // namespace

Result<json::value> list_keys(Desk& desk) {
  MILL_TRY(const maas::PageRequest page, page_of(desk.query));
  return desk.read([&](const Directory& d) -> Result<json::value> {
    MILL_TRY(const uint64_t project, find_project(desk, d, desk.ids[0]));
    MILL_TRY(const auto keys, d.keys(project, page));
    return show_page(d, keys);
  });
}

Result<json::value> create_key(Desk& desk) {
  maas::CreateKey act;
  MILL_TRY(act.name, need_text(desk.body, "name"));
  MILL_TRY_DO(read_expiry(desk.body, act.expires_ns));
  MILL_TRY_DO(read_restrictions(desk.body, act.only));
  const openai::Fields fields(desk.body);
  MILL_TRY(const auto user, fields.string("user_id"));
  MILL_TRY(const auto account, fields.string("service_account_id"));
  MILL_TRY_DO(desk.read([&](const Directory& d) -> Status {
    MILL_TRY(act.project, find_project(desk, d, desk.ids[0]));
    if (user) {
      MILL_TRY(act.user, find_user(desk, d, *user));
    }
    if (account) {
      desk.ids.push_back(*account);
      MILL_TRY(act.service_account, find_service_account(desk, d));
    }
    return {};
  }));
  MILL_TRY_DO(desk.may(act));
  MILL_TRY(const maas::MintedKey minted,
           desk.office.create_key(std::move(act), desk.actor(), desk.deadline));
  return shown_once(desk, minted);
}

Result<json::value> get_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  return shown(desk, key);
}

Result<json::value> update_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  return update_key_number(desk, key);
}

Result<json::value> rotate_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  return rotate_key_number(desk, key);
}

Result<json::value> delete_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  MILL_TRY_DO(desk.act(maas::RevokeKey{key}));
  return show_deleted("organization.project.api_key", desk.ids[1]);
}

}  // namespace mill::gateway::desk
