// /v1/organization/projects/{project}/api_keys
#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

json::object shown(const Desk& desk, uint64_t key) {
  return desk.read([&](const Directory& d) { return show(d, *d.key(key)); });
}

Result<uint64_t> key_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_key(desk, d); });
}

// The one time that the secret is seen.
json::value shown_once(const Desk& desk, const maas::MintedKey& minted) {
  json::object key = shown(desk, minted.done.serial);
  key["value"] = minted.secret;
  return key;
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
  MILL_TRY(const uint64_t serial, key_of(desk));
  const maas::Key before = desk.read([&](const Directory& d) { return *d.key(serial); });
  const maas::UpdateKey same{serial, before.name, before.expires_ns, before.restrictions()};
  maas::UpdateKey act = same;
  MILL_TRY(act.name, text_or(desk.body, "name", before.name));
  MILL_TRY_DO(read_expiry(desk.body, act.expires_ns));
  MILL_TRY_DO(read_restrictions(desk.body, act.only));
  MILL_TRY_DO(desk.may(act));
  if (act != same) MILL_TRY_DO(desk.act(std::move(act)));  // what changes nothing is no act
  return shown(desk, serial);
}

Result<json::value> rotate_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  MILL_TRY_DO(desk.may(maas::RotateKey{.key = key}));
  MILL_TRY(const maas::MintedKey minted, desk.office.rotate_key(key, desk.actor(), desk.deadline));
  return shown_once(desk, minted);
}

Result<json::value> delete_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  MILL_TRY_DO(desk.act(maas::RevokeKey{key}));
  return show_deleted("organization.project.api_key", desk.ids[1]);
}

}  // namespace mill::gateway::desk
