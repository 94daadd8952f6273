#include "gateway/desk/key_acts.h"

#include <utility>

#include "gateway/desk/members.h"
#include "gateway/desk/shapes.h"

namespace mill::gateway::desk {

using maas::Directory;

json::object shown(const Desk& desk, uint64_t key) {
  return desk.read([&](const Directory& d) { return show(d, *d.key(key)); });
}

json::value shown_once(const Desk& desk, const maas::MintedKey& minted) {
  json::object key = shown(desk, minted.done.serial);
  key["value"] = minted.secret;
  return key;
}

Result<json::value> update_key_number(Desk& desk, uint64_t key) {
  const maas::Key before = desk.read([&](const Directory& d) { return *d.key(key); });
  const maas::UpdateKey same{key, before.name, before.expires_ns, before.restrictions()};
  maas::UpdateKey act = same;
  MILL_TRY(act.name, text_or(desk.body, "name", before.name));
  MILL_TRY_DO(read_expiry(desk.body, act.expires_ns));
  MILL_TRY_DO(read_restrictions(desk.body, act.only));
  MILL_TRY_DO(desk.may(act));
  if (act != same) MILL_TRY_DO(desk.act(std::move(act)));
  return shown(desk, key);
}

Result<json::value> rotate_key_number(Desk& desk, uint64_t key) {
  MILL_TRY_DO(desk.may(maas::RotateKey{.key = key}));
  MILL_TRY(const maas::MintedKey minted, desk.office.rotate_key(key, desk.actor(), desk.deadline));
  return shown_once(desk, minted);
}

}  // namespace mill::gateway::desk
