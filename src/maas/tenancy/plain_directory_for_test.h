// The directory once more for its random test, written to be read: one list per kind, everything
// searched from the front.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "maas/tenancy/directory.h"

namespace mill::maas {

// Addresses, and which network each is in: by hand, so that no code of ours says so.
inline constexpr const char* kNetworks[] = {"10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32"};
struct Peer {
  const char* text;
  int network;  // of kNetworks; -1: none
};
inline constexpr Peer kPeers[] = {{"10.1.2.3", 0},      {"::ffff:10.9.9.9", 0}, {"192.168.1.9", 1},
                                  {"2001:db8:1::7", 2}, {"11.0.0.1", -1},       {"192.168.2.1", -1},
                                  {"2001:db9::1", -1},  {"no address", -1}};

struct PlainOrg {
  std::string name, currency;
  int64_t made, over = 0;
};
struct PlainProject {
  uint64_t org;
  std::string name;
  Tier tier;
  uint32_t weight;
  int64_t made, over = 0;
};
struct PlainAccount {
  uint64_t project;
  std::string name;
  int64_t made, over = 0;
};
struct PlainUser {
  uint64_t org;
  std::string email, name;
  Role role;
  int64_t made, over = 0;
};
struct PlainKey {
  bool admin;
  uint64_t org, project, user, account, secret;
  std::string name;
  int64_t expires;
  std::vector<std::string> models;
  std::vector<int> networks;
  int64_t made, over = 0;
};
using Place = std::vector<std::string>;
struct PlainHook {
  std::string url, secret, old;
  int64_t old_until = 0, set = 0, over = 0;
  std::string why;
};

struct Plain {
  std::vector<PlainOrg> orgs;
  std::vector<PlainProject> projects;
  std::vector<PlainAccount> accounts;
  std::vector<PlainUser> users;
  std::vector<PlainKey> keys;
  std::map<Place, int64_t> limits, spend_limits;
  std::map<Place, std::string> alerts;
  std::map<uint64_t, int64_t> credit_alerts;
  std::map<uint64_t, PlainHook> hooks;
  int64_t books = 0;
  std::set<std::pair<int, uint64_t>> ids;

  void set_credit_alert(uint64_t org, int64_t amount) {  // 0: away
    if (amount == 0)
      credit_alerts.erase(org);
    else
      credit_alerts[org] = amount;
  }
  void end_hook(uint64_t org, const std::string& why, int64_t at) {
    hooks[org].over = at;
    hooks[org].why = why;
  }
  void set_hook(uint64_t org, const std::string& url, const std::string& secret, int64_t until,
                int64_t at) {
    if (url.empty()) {
      hooks.erase(org);
      return;
    }
    PlainHook& hook = hooks[org];
    if (hook.secret != secret) {
      hook.old = until > at ? hook.secret : "";
      hook.old_until = hook.old.empty() ? 0 : until;
    }
    hook = {url, secret, hook.old, hook.old_until, at, 0, ""};
  }
  bool tells_the_same(const Directory& d) const {
    if (d.credit_alerts() != credit_alerts || d.webhooks().size() != hooks.size()) return false;
    for (const auto& [org, hook] : hooks) {
      const auto found = d.webhooks().find(org);
      const Webhook same{hook.url, hook.secret, hook.old, hook.old_until,
                         hook.set, hook.over,   hook.why};
      if (found == d.webhooks().end() || found->second != same) return false;
    }
    return true;
  }

  template <class T>
  static bool there(const std::vector<T>& list, uint64_t serial) {
    return serial >= 1 && serial <= list.size();
  }
  template <class T>
  static bool going(const std::vector<T>& list, uint64_t serial) {
    return there(list, serial) && list[serial - 1].over == 0;
  }
  bool org_open(uint64_t s) const { return going(orgs, s); }
  bool project_open(uint64_t s) const {
    return going(projects, s) && org_open(projects[s - 1].org);
  }
  bool user_open(uint64_t s) const { return going(users, s) && org_open(users[s - 1].org); }
  bool last_owner(uint64_t s) const {
    int others = 0;
    for (size_t i = 0; i < users.size(); ++i) {
      others += i + 1 != s && users[i].org == users[s - 1].org && users[i].over == 0 &&
                        users[i].role == Role::kOwner
                    ? 1
                    : 0;
    }
    return users[s - 1].role == Role::kOwner && others == 0;
  }
  bool chain(uint64_t org, uint64_t project, uint64_t key) const {
    return (org == 0 || org_open(org)) &&
           (project == 0 || (project_open(project) && projects[project - 1].org == org)) &&
           (key == 0 || (project != 0 && going(keys, key) && keys[key - 1].project == project));
  }
  bool let_in(const PlainKey& k, int64_t now) const {
    return k.over == 0 && (k.expires == 0 || now < k.expires) &&
           (k.user == 0 || users[k.user - 1].over == 0) &&
           (k.account == 0 || accounts[k.account - 1].over == 0) &&
           (k.project == 0 || projects[k.project - 1].over == 0) &&
           (k.org == 0 || orgs[k.org - 1].over == 0);
  }
};

}  // namespace mill::maas
