// Who there is: organizations > projects > keys and service accounts, users with roles, admin keys;
// and the numbers set for them. Built by applying acts in the journal's order.
//
// A pure state machine: time is an argument; the owner guards it (keyring.h). Serial numbers count
// from 1 per kind, in the order of creation, and are never reused: a replay gives the same ones.
// What is archived, deleted, removed or revoked stays, with its time; what stands below it ends
// with it without being touched.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "maas/tenancy/acts.h"
#include "maas/tenancy/caller.h"
#include "maas/tenancy/records.h"

namespace mill::maas {

inline constexpr size_t kMaxKeyModels = 256;   // on a key's list
inline constexpr size_t kMaxKeyNetworks = 64;  // on a key's list
inline constexpr size_t kMaxSpendAlerts = 20;  // of one organization or project
inline constexpr size_t kMaxUrl = 2048;        // of a webhook
inline constexpr size_t kWebhookSecretBytes = 32;
inline constexpr size_t kMaxPriceBook = (1 << 20) - 64;
inline constexpr int64_t kMaxLimit = int64_t{1} << 53;  // what JSON's numbers hold
inline constexpr uint32_t kMaxWeightMilli = 1'000'000;
inline constexpr size_t kMaxPage = 100;

// A page of a list, in the order of creation. Items are copies.
struct PageRequest {
  std::string after;  // external id of the last item seen; empty: from the start
  size_t limit = 20;  // 1 … kMaxPage
  bool include_ended = false;
};
template <class T>
struct PageOf {
  struct Item {
    uint64_t serial = 0;
    T record;
  };
  std::vector<Item> items;
  bool has_more = false;
};

class Directory {
 public:
  // Whether `act` may be journaled now. kInvalid and kNotFound name the field; kTooLarge. Whoever
  // asks has been authorized before.
  Status check(const Act& act, int64_t now_ns) const;

  // Takes an act of the journal, dated by its entry. Returns the serial number of what it made or
  // changed (0 for limits and prices). Fails as check() does, but for times, without a trace.
  Result<uint64_t> apply(const Act& act, int64_t at_ns);

  // Whether the owner of an admin key may do this. The operator may do everything. Within its own
  // organization an owner may name things, and make and end projects, users and keys; a member may
  // make and end service accounts and the keys of projects; a reader changes nothing. Money,
  // shares, limits and prices are the operator's; whom to alert, and when, is an owner's too.
  // kPermission, param "scope".
  Status authorize(const Caller& caller, const Act& act) const;

  // The caller behind a bearer token, wherever it comes from; `peer_ip` is looked at only where the
  // key has a list of networks. kPermission; param "key": unknown, malformed, revoked, expired, or
  // of something archived (an answer of 401); "ip": not from there (403).
  //
  // Nothing about the secrets that exist shows in the time this takes: the text is hashed whole,
  // found by its hash, which nobody can steer, and compared in constant time; an unknown key is
  // compared too, with a hash that nobody has.
  Result<Caller> identify(std::string_view bearer, std::string_view peer_ip, int64_t now_ns) const;

  // Whether key number `serial` would still be let in: for streams that run. As identify().
  Status standing(uint64_t serial, int64_t now_ns) const;

  // By serial number; nullptr for none. Valid until the next apply().
  const Organization* organization(uint64_t serial) const { return at(organizations_, serial); }
  const Project* project(uint64_t serial) const { return at(projects_, serial); }
  const ServiceAccount* service_account(uint64_t serial) const {
    return at(service_accounts_, serial);
  }
  const User* user(uint64_t serial) const { return at(users_, serial); }
  const Key* key(uint64_t serial) const { return at(keys_, serial); }

  // The serial number behind an external id. kInvalid for another form, kNotFound.
  Result<uint64_t> find(IdKind kind, std::string_view id) const;

  // The serial number that the next of its kind will get.
  uint64_t next(IdKind kind) const { return ids(kind).size() + 1; }

  // kInvalid, param "after" or "limit".
  Result<PageOf<Organization>> organizations(const PageRequest& page) const;
  Result<PageOf<Project>> projects(uint64_t org, const PageRequest& page) const;
  Result<PageOf<ServiceAccount>> service_accounts(uint64_t project, const PageRequest& page) const;
  Result<PageOf<User>> users(uint64_t org, const PageRequest& page) const;
  Result<PageOf<Key>> keys(uint64_t project, const PageRequest& page) const;
  Result<PageOf<Key>> admin_keys(uint64_t org, const PageRequest& page) const;

  using Limits = std::map<std::pair<LimitScope, std::string>, int64_t>;
  using SpendLimits = std::map<SpendKey, ledger::Nano>;
  using SpendAlerts = std::map<std::pair<SpendKey, ledger::Nano>, std::string>;  // whom to tell
  const Limits& limits() const { return limits_; }
  const SpendLimits& spend_limits() const { return spend_limits_; }
  const SpendAlerts& spend_alerts() const { return spend_alerts_; }
  using CreditAlerts = std::map<uint64_t, ledger::Nano>;  // by organization
  using Webhooks = std::map<uint64_t, Webhook>;           // by organization
  const CreditAlerts& credit_alerts() const { return credit_alerts_; }
  const Webhooks& webhooks() const { return webhooks_; }
  int64_t price_books() const { return price_books_; }  // how many were ever set
  size_t key_count() const { return keys_.size(); }
  // Whether the operator still has a key that works: without one nobody can administrate.
  bool has_operator_key(int64_t now_ns) const;

  // All of it as bytes, for the journal's checkpoints: equal directories give equal bytes.
  std::string snapshot() const;
  // kCorrupt for bytes that snapshot() would not write, kUnsupported for a later format.
  static Result<Directory> restore(std::string_view bytes);

 private:
  friend struct DirectoryRules;
  friend struct DirectoryChanges;
  template <class T>
  static const T* at(const std::vector<T>& list, uint64_t serial) {
    return serial == 0 || serial > list.size() ? nullptr : &list[serial - 1];
  }
  using Ids = std::unordered_map<ExternalId, uint32_t>;
  const Ids& ids(IdKind kind) const { return ids_[static_cast<size_t>(kind)]; }
  Ids& ids(IdKind kind) { return ids_[static_cast<size_t>(kind)]; }
  uint32_t find_hash(const ledger::Hash256& hash) const;  // the key's serial number, or 0
  void index_hash(const ledger::Hash256& hash, uint64_t serial);
  void unindex_hash(const ledger::Hash256& hash);
  Status check_rules(const Act& act) const;  // all but those of time
  Status open(const Key& key, int64_t now_ns) const;
  Role role_of(const Key& key) const;
  Status index_all();  // after restore(); kCorrupt
  template <class T, class Keep>
  Result<PageOf<T>> list(IdKind kind, const std::vector<T>& all, const PageRequest& page,
                         const Keep& keep) const;

  std::vector<Organization> organizations_;
  std::vector<Project> projects_;
  std::vector<ServiceAccount> service_accounts_;
  std::vector<User> users_;
  std::vector<Key> keys_;  // of both kinds
  Limits limits_;
  SpendLimits spend_limits_;
  SpendAlerts spend_alerts_;
  CreditAlerts credit_alerts_;
  Webhooks webhooks_;
  int64_t price_books_ = 0;
  // Found by: external id; the first 8 bytes of the hash (two keys that share them are refused).
  Ids ids_[kIdKindCount];
  std::unordered_map<uint64_t, uint32_t> by_hash_;
};

// How a thing ended, 0 while it has not.
inline int64_t ended_ns(const Organization& o) {
  return o.archived_ns;
}
inline int64_t ended_ns(const Project& p) {
  return p.archived_ns;
}
inline int64_t ended_ns(const ServiceAccount& s) {
  return s.deleted_ns;
}
inline int64_t ended_ns(const User& u) {
  return u.removed_ns;
}
inline int64_t ended_ns(const Key& k) {
  return k.revoked_ns;
}

}  // namespace mill::maas
