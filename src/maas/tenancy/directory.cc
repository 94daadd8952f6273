#include "maas/tenancy/directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace mill::maas {
namespace {

uint64_t head_of(const ledger::Hash256& hash) {
  uint64_t head = 0;
  std::memcpy(&head, hash.data(), sizeof head);
  return head;
}

tl::unexpected<Error> no_entry(const char* why) {
  return fail(Code::kPermission, why, "key");
}

}  // namespace

uint32_t Directory::find_hash(const ledger::Hash256& hash) const {
  static constexpr ledger::Hash256 kNobodys{};  // no text is known that has it
  const auto found = by_hash_.find(head_of(hash));
  const uint32_t serial = found == by_hash_.end() ? 0 : found->second;
  const bool same = same_hash(hash, serial == 0 ? kNobodys : keys_[serial - 1].hash);
  return same ? serial : 0;
}

void Directory::index_hash(const ledger::Hash256& hash, uint64_t serial) {
  by_hash_[head_of(hash)] = static_cast<uint32_t>(serial);
}

void Directory::unindex_hash(const ledger::Hash256& hash) {
  by_hash_.erase(head_of(hash));
}

// Whether the key and everything above it is open at `now_ns`.
Status Directory::open(const Key& key, int64_t now_ns) const {
  if (key.revoked_ns != 0) return no_entry("this key was revoked");
  if (key.expires_ns != 0 && now_ns >= key.expires_ns) return no_entry("this key has expired");
  if (const User* owner = user(key.user); owner && owner->removed_ns != 0)
    return no_entry("the user of this key was removed");
  if (const auto* owner = service_account(key.service_account); owner && owner->deleted_ns != 0)
    return no_entry("the service account of this key was deleted");
  if (const Project* above = project(key.project); above && above->archived_ns != 0)
    return no_entry("the project of this key is archived");
  if (const Organization* above = organization(key.org); above && above->archived_ns != 0)
    return no_entry("the organization of this key is archived");
  return {};
}

Role Directory::role_of(const Key& key) const {
  const User* owner = user(key.user);
  return owner ? owner->role : Role::kOwner;
}

Status Directory::standing(uint64_t serial, int64_t now_ns) const {
  const Key* found = key(serial);
  if (!found) return no_entry("this is no key of this server");
  return open(*found, now_ns);
}

Result<Caller> Directory::identify(std::string_view bearer, std::string_view peer_ip,
                                   int64_t now_ns) const {
  MILL_TRY(const PresentedKey presented, read_secret(bearer));
  const uint32_t serial = find_hash(presented.hash);
  if (serial == 0) return no_entry("this is no key of this server");
  const Key& key = keys_[serial - 1];
  MILL_TRY_DO(open(key, now_ns));
  if (key.only && !key.only->networks.empty()) {
    const auto peer = parse_ip(peer_ip);
    const auto& networks = key.only->networks;
    if (!peer || std::none_of(networks.begin(), networks.end(),
                              [&](const Cidr& network) { return network.contains(*peer); })) {
      return fail(Code::kPermission, "this key may not be used from this address", "ip");
    }
  }
  Caller caller;
  caller.payer = {.org = key.org, .project = key.project, .key = serial};
  caller.admin = key.kind == KeyKind::kAdmin;
  caller.role = role_of(key);
  caller.key_id = key.id;
  caller.key_name = key.name;
  caller.only = key.only;
  if (const Organization* org = organization(key.org)) {
    caller.currency = org->currency;
    caller.org_id = org->id;
    caller.org_name = org->name;
  }
  if (const Project* of = project(key.project)) {
    caller.tier = of->tier;
    caller.weight = of->weight_milli / 1000.0;
    caller.project_id = of->id;
    caller.project_name = of->name;
  }
  return caller;
}

bool Directory::has_operator_key(int64_t now_ns) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) {
    return key.kind == KeyKind::kAdmin && key.org == 0 && open(key, now_ns).has_value();
  });
}

Result<uint64_t> Directory::find(IdKind kind, std::string_view text) const {
  MILL_TRY(const ExternalId id, parse_id(kind, text));
  const auto found = ids(kind).find(id);
  if (found == ids(kind).end())
    return fail(Code::kNotFound, fmt::format("there is no {} '{}'", noun(kind), text), "id");
  return found->second;
}

template <class T, class Keep>
Result<PageOf<T>> Directory::list(IdKind kind, const std::vector<T>& all, const PageRequest& page,
                                  const Keep& keep) const {
  if (page.limit < 1 || page.limit > kMaxPage)
    return fail(Code::kInvalid, fmt::format("limit must be 1 to {}", kMaxPage), "limit");
  uint64_t serial = 0;
  if (!page.after.empty()) {
    const auto found = find(kind, page.after);
    if (!found || !keep(all[*found - 1]))
      return fail(Code::kInvalid, fmt::format("'{}' is not in this list", page.after), "after");
    serial = *found;
  }
  PageOf<T> out;
  for (; serial < all.size(); ++serial) {
    const T& item = all[serial];
    if (!keep(item) || (!page.include_ended && ended_ns(item) != 0)) continue;
    if (out.items.size() == page.limit) {
      out.has_more = true;
      break;
    }
    out.items.push_back({.serial = serial + 1, .record = item});
  }
  return out;
}

Result<PageOf<Organization>> Directory::organizations(const PageRequest& page) const {
  return list(IdKind::kOrganization, organizations_, page,
              [](const Organization&) { return true; });
}
Result<PageOf<Project>> Directory::projects(uint64_t org, const PageRequest& page) const {
  return list(IdKind::kProject, projects_, page, [&](const Project& p) { return p.org == org; });
}
Result<PageOf<ServiceAccount>> Directory::service_accounts(uint64_t of,
                                                           const PageRequest& page) const {
  return list(IdKind::kServiceAccount, service_accounts_, page,
              [&](const ServiceAccount& s) { return s.project == of; });
}
Result<PageOf<User>> Directory::users(uint64_t org, const PageRequest& page) const {
  return list(IdKind::kUser, users_, page, [&](const User& u) { return u.org == org; });
}
Result<PageOf<Key>> Directory::keys(uint64_t of, const PageRequest& page) const {
  return list(IdKind::kKey, keys_, page,
              [&](const Key& k) { return k.kind == KeyKind::kProject && k.project == of; });
}
Result<PageOf<Key>> Directory::admin_keys(uint64_t org, const PageRequest& page) const {
  return list(IdKind::kKey, keys_, page,
              [&](const Key& k) { return k.kind == KeyKind::kAdmin && k.org == org; });
}

}  // namespace mill::maas
