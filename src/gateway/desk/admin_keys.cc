// /v1/organization/admin_api_keys: of an organization, and the operator's own.
#include "base/clock.h"
#include "gateway/desk/desk.h"
#include "gateway/desk/key_acts.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kLongestLife = 100LL * 366 * 86'400;  // seconds

Result<uint64_t> key_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_admin_key(desk, d); });
}

// Without the operator's last key nobody could administrate the server.
Status not_the_last(const Desk& desk, uint64_t key) {
  return desk.read([&](const Directory& d) -> Status {
    if (d.key(key)->org != 0) return {};
    const int64_t now_ns = unix_nanoseconds();
    for (uint64_t other = 1; other < d.next(maas::IdKind::kKey); ++other) {
      const maas::Key& candidate = *d.key(other);
      const bool operators = candidate.kind == maas::KeyKind::kAdmin && candidate.org == 0;
      if (other != key && operators && d.standing(other, now_ns)) return {};
    }
    return fail(Code::kInvalid, "this is the operator's last key; make another one first", "key");
  });
}

}  // namespace

Result<json::value> list_admin_keys(Desk& desk) {
  MILL_TRY(const bool ended, desk.query.flag("include_archived"));
  json::array all;
  MILL_TRY_DO(desk.read([&](const Directory& d) -> Status {
    MILL_TRY(const uint64_t org, find_admin_owner(desk, d));
    for (uint64_t serial = 1; serial < d.next(maas::IdKind::kKey); ++serial) {
      const maas::Key& key = *d.key(serial);
      const bool theirs = key.kind == maas::KeyKind::kAdmin && key.org == org;
      if (theirs && (ended || key.revoked_ns == 0)) all.push_back(show(d, key));
    }
    return {};
  }));
  MILL_TRY(json::object part, show_part(std::move(all), desk.query, 20));
  return part;
}

Result<json::value> create_admin_key(Desk& desk) {
  maas::CreateAdminKey act;
  MILL_TRY(act.name, need_text(desk.body, "name"));
  MILL_TRY_DO(read_expiry(desk.body, act.expires_ns));
  const openai::Fields fields(desk.body);
  MILL_TRY(const auto life, fields.integer("expires_in_seconds", 1, kLongestLife));
  if (life && act.expires_ns != 0) {
    return fail(Code::kInvalid, "'expires_in_seconds' and 'expires_at' say the same: give one",
                "expires_in_seconds");
  }
  if (life) act.expires_ns = unix_nanoseconds() + *life * kSecond;
  MILL_TRY_DO(read_restrictions(desk.body, act.only));
  MILL_TRY(const auto user, fields.string("user_id"));
  MILL_TRY_DO(desk.read([&](const Directory& d) -> Status {
    MILL_TRY(act.org, find_admin_owner(desk, d));
    if (user) {
      MILL_TRY(act.user, find_user(desk, d, *user));
    }
    return {};
  }));
  MILL_TRY_DO(desk.may(act));
  MILL_TRY(const maas::MintedKey minted,
           desk.office.create_admin_key(std::move(act), desk.actor(), desk.deadline));
  return shown_once(desk, minted);
}

Result<json::value> get_admin_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  return shown(desk, key);
}

Result<json::value> update_admin_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  return update_key_number(desk, key);
}

Result<json::value> rotate_admin_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  return rotate_key_number(desk, key);
}

Result<json::value> delete_admin_key(Desk& desk) {
  MILL_TRY(const uint64_t key, key_of(desk));
  MILL_TRY_DO(desk.may(maas::RevokeKey{key}));
  MILL_TRY_DO(not_the_last(desk, key));
  MILL_TRY_DO(desk.act(maas::RevokeKey{key}));
  return show_deleted("organization.admin_api_key", desk.ids[0]);
}

}  // namespace mill::gateway::desk
