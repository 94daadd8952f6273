// Random lives of a directory against a plain model of it: one list per kind, rules as one reads
// them, everything searched from the front. After every act both say the same of it; now and then
// both are compared whole, and the directory goes through its bytes.
//
// MILL_TEST_SEED=n replays one seed, MILL_TEST_STEPS=n makes every life n times as long.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>
#include <set>

#include "maas/catalog/draft_codec.h"
#include "maas/tenancy/plain_directory_for_test.h"
#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {
namespace {

uint64_t from_outside(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given ? std::strtoull(given, nullptr, 10) : otherwise;
}

// An act, what must be said of it, and what it does to the model.
struct Try {
  Act act;
  bool fits = true;    // by all rules but those of time
  bool timely = true;  // by those
  std::function<void(Plain&)> effect;
};

class Life {
 public:
  explicit Life(uint64_t seed) : random_(seed) {}

  void live(uint64_t steps) {
    for (uint64_t i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      if (one_in(10)) now_ += static_cast<int64_t>(below(100)) * kSecond;
      step();
      if (one_in(40)) agree();
      if (one_in(60)) through_bytes();
    }
    agree();
    replayed();
  }
  size_t accepted() const { return journal_.size(); }
  size_t refused() const { return refused_; }
  const std::set<size_t>& kinds() const { return kinds_; }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  template <class T>
  uint64_t pick(const std::vector<T>& list) {
    if (one_in(25)) return one_in(2) ? 0 : list.size() + 1 + below(2) * (UINT64_MAX / 2);
    return list.empty() ? 1 : 1 + below(list.size());
  }
  std::string name(bool& fits) {
    static const std::string kBad[] = {"", " x", "x\n", "\xc3", std::string(129, 'n')};
    if (one_in(25)) {
      fits = false;
      return kBad[below(5)];
    }
    return one_in(3) ? fmt::format("имя {}", below(9)) : fmt::format("name {}", below(9));
  }
  uint64_t id(IdKind kind, bool& fits) {
    const uint64_t number = one_in(25) && last_id_ > 0 ? 1 + below(last_id_) : ++last_id_;
    fits = fits && !m_.ids.contains({static_cast<int>(kind), number});
    return number;
  }
  uint64_t secret(bool admin, bool& fits) {
    const uint64_t number =
        one_in(20) && last_secret_ > 0 ? 1 + below(last_secret_) : ++last_secret_;
    for (const PlainKey& k : m_.keys) fits = fits && (k.admin != admin || k.secret != number);
    return number;
  }
  static Secret minted(bool admin, uint64_t number) {
    return mint_secret(admin ? KeyKind::kAdmin : KeyKind::kProject, bytes_of(number));
  }
  int64_t expiry(bool& timely) {
    if (!one_in(4)) return 0;
    const int64_t at = now_ + (static_cast<int64_t>(below(2000)) - 200) * kSecond;
    timely = at > now_;
    return at;
  }
  Restrictions restrictions(PlainKey& k, bool& fits) {
    Restrictions only;
    for (uint64_t left = one_in(4) ? below(4) : 0; left > 0; --left) {
      k.models.push_back(fmt::format("m{}", below(12)));
      fits = fits && !k.admin && std::count(k.models.begin(), k.models.end(), k.models.back()) == 1;
    }
    only.models = k.models;
    for (uint64_t left = one_in(4) ? below(3) : 0; left > 0; --left) {
      k.networks.push_back(static_cast<int>(below(3)));
      only.networks.push_back(*parse_cidr(kNetworks[k.networks.back()]));
    }
    return only;
  }

  Try draw();
  Try of_organizations(uint64_t which);
  Try of_projects(uint64_t which);
  Try of_users(uint64_t which);
  Try new_key(bool admin);
  Try of_keys(uint64_t which);
  Try of_limits();
  Try of_spending(bool alert);
  Try of_telling(uint64_t what);
  Try of_books(bool withdraw);
  void step();
  void agree();
  void agree_on_keys();
  void through_bytes();
  void replayed();

  std::mt19937_64 random_;
  Directory d_;
  Plain m_;
  int64_t now_ = kNow;
  uint64_t last_id_ = 0, last_secret_ = 0;
  std::vector<std::pair<std::string, int64_t>> journal_;  // what was accepted, and when
  std::set<size_t> kinds_;
  size_t refused_ = 0;
};

Try Life::of_organizations(uint64_t which) {
  Try t;
  const uint64_t org = pick(m_.orgs);
  if (which == 0) {
    const uint64_t number = id(IdKind::kOrganization, t.fits);
    const std::string called = name(t.fits), currency = one_in(2) ? "USD" : "CNY";
    t.act = CreateOrganization{id_of(number), called, *ledger::parse_currency(currency)};
    t.effect = [=, at = now_](Plain& m) {
      m.ids.insert({0, number});
      m.orgs.push_back({called, currency, at});
    };
  } else if (which == 1) {
    const std::string called = name(t.fits);
    t.fits = t.fits && m_.org_open(org);
    t.act = RenameOrganization{org, called};
    t.effect = [=](Plain& m) { m.orgs[org - 1].name = called; };
  } else {
    t.fits = m_.org_open(org);
    t.act = ArchiveOrganization{org};
    t.effect = [=, at = now_](Plain& m) { m.orgs[org - 1].over = at; };
  }
  return t;
}

Try Life::of_projects(uint64_t which) {
  Try t;
  const uint64_t project = pick(m_.projects);
  const Tier tier = static_cast<Tier>(one_in(25) ? kTierCount : below(kTierCount));
  const uint32_t weight = one_in(25) ? 1'000'001 * static_cast<uint32_t>(below(2)) : 500;
  const bool share = static_cast<size_t>(tier) < kTierCount && weight == 500;
  t.fits = m_.project_open(project);
  if (which == 0) {
    const uint64_t org = pick(m_.orgs);
    t.fits = m_.org_open(org) && share;
    const uint64_t number = id(IdKind::kProject, t.fits);
    const std::string called = name(t.fits);
    t.act = CreateProject{id_of(number), org, called, tier, weight};
    t.effect = [=, at = now_](Plain& m) {
      m.ids.insert({1, number});
      m.projects.push_back({org, called, tier, weight, at});
    };
  } else if (which == 1) {
    const std::string called = name(t.fits);
    t.act = RenameProject{project, called};
    t.effect = [=](Plain& m) { m.projects[project - 1].name = called; };
  } else if (which == 2) {
    t.fits = t.fits && share;
    t.act = SetProjectShare{project, tier, weight};
    t.effect = [=](Plain& m) {
      m.projects[project - 1].tier = tier;
      m.projects[project - 1].weight = weight;
    };
  } else if (which == 3) {
    t.act = ArchiveProject{project};
    t.effect = [=, at = now_](Plain& m) { m.projects[project - 1].over = at; };
  } else if (which == 4) {
    const uint64_t number = id(IdKind::kServiceAccount, t.fits);
    const std::string called = name(t.fits);
    t.act = CreateServiceAccount{id_of(number), project, called};
    t.effect = [=, at = now_](Plain& m) {
      m.ids.insert({4, number});
      m.accounts.push_back({project, called, at});
    };
  } else {
    const uint64_t account = pick(m_.accounts);
    t.fits = m_.going(m_.accounts, account);
    t.act = DeleteServiceAccount{account};
    t.effect = [=, at = now_](Plain& m) { m.accounts[account - 1].over = at; };
  }
  return t;
}

Try Life::of_users(uint64_t which) {
  Try t;
  const uint64_t user = pick(m_.users);
  const auto role = static_cast<Role>(one_in(25) ? 3 : below(3));
  t.fits = m_.user_open(user);
  if (which == 0) {
    const uint64_t org = pick(m_.orgs), who = below(20);
    const std::string email = who == 0   ? "nobody"
                              : who == 1 ? "a@b@c"
                                         : fmt::format("{}@x.org", static_cast<char>('a' + who));
    t.fits = m_.org_open(org) && who > 1 && role <= Role::kOwner;
    for (const PlainUser& u : m_.users) {
      t.fits = t.fits && (u.org != org || u.over != 0 || u.email[0] != email[0]);
    }
    const uint64_t number = id(IdKind::kUser, t.fits);
    const std::string called = name(t.fits);
    std::string written = email;
    if (one_in(2)) written[2] = 'X';  // another case, the same address
    t.act = AddUser{id_of(number), org, written, called, role};
    t.effect = [=, at = now_](Plain& m) {
      m.ids.insert({3, number});
      m.users.push_back({org, written, called, role, at});
    };
  } else if (which == 1) {
    t.fits = t.fits && role <= Role::kOwner && (role == Role::kOwner || !m_.last_owner(user));
    t.act = SetUserRole{user, role};
    t.effect = [=](Plain& m) { m.users[user - 1].role = role; };
  } else {
    t.fits = t.fits && !m_.last_owner(user);
    t.act = RemoveUser{user};
    t.effect = [=, at = now_](Plain& m) { m.users[user - 1].over = at; };
  }
  return t;
}

Try Life::new_key(bool admin) {
  Try t;
  PlainKey k{.admin = admin};
  k.made = now_;
  const uint64_t number = id(IdKind::kKey, t.fits);
  k.secret = secret(admin, t.fits);
  const Secret given = minted(admin, k.secret);
  k.name = name(t.fits);
  k.expires = expiry(t.timely);
  const Restrictions only = restrictions(k, t.fits);
  k.user = one_in(3) ? pick(m_.users) : 0;
  if (admin) {
    k.org = one_in(3) ? 0 : pick(m_.orgs);
    t.fits = t.fits && (k.org == 0 || m_.org_open(k.org)) &&
             (k.user == 0 || (m_.user_open(k.user) && m_.users[k.user - 1].org == k.org));
    t.act = CreateAdminKey{id_of(number), k.org,      k.user,    k.name,
                           given.hash,    given.tail, k.expires, only};
  } else {
    k.project = pick(m_.projects);
    k.account = one_in(3) ? pick(m_.accounts) : 0;
    const bool placed = m_.project_open(k.project);
    k.org = placed ? m_.projects[k.project - 1].org : 0;
    t.fits = t.fits && placed && (k.user == 0 || k.account == 0) &&
             (k.user == 0 || (m_.user_open(k.user) && m_.users[k.user - 1].org == k.org)) &&
             (k.account == 0 || (m_.going(m_.accounts, k.account) &&
                                 m_.accounts[k.account - 1].project == k.project));
    t.act = CreateKey{id_of(number), k.project,  k.user,    k.account, k.name,
                      given.hash,    given.tail, k.expires, only};
  }
  t.effect = [=](Plain& m) {
    m.ids.insert({2, number});
    m.keys.push_back(k);
  };
  return t;
}

Try Life::of_keys(uint64_t which) {
  Try t;
  const uint64_t key = pick(m_.keys);
  t.fits = m_.going(m_.keys, key);
  const bool admin = m_.there(m_.keys, key) && m_.keys[key - 1].admin;
  if (which == 0) {
    PlainKey k{.admin = admin};
    k.name = name(t.fits);
    k.expires = expiry(t.timely);
    const Restrictions only = restrictions(k, t.fits);
    t.act = UpdateKey{key, k.name, k.expires, only};
    t.effect = [=](Plain& m) {
      PlainKey& old = m.keys[key - 1];
      std::tie(old.name, old.expires, old.models, old.networks) =
          std::tie(k.name, k.expires, k.models, k.networks);
    };
  } else if (which == 1) {
    const uint64_t number = secret(admin, t.fits);
    const Secret given = minted(admin, number);
    t.act = RotateKey{key, given.hash, given.tail};
    t.effect = [=](Plain& m) { m.keys[key - 1].secret = number; };
  } else {
    t.act = RevokeKey{key};
    t.effect = [=, at = now_](Plain& m) { m.keys[key - 1].over = at; };
  }
  return t;
}

Try Life::of_limits() {
  Try t;
  LimitScope at{one_in(4) ? 0 : pick(m_.orgs), one_in(2) ? 0 : pick(m_.projects), 0, ""};
  if (one_in(3)) at.key = pick(m_.keys);
  // Mostly such as belong together.
  if (!one_in(4) && m_.there(m_.keys, at.key)) at.project = m_.keys[at.key - 1].project;
  if (!one_in(4) && m_.there(m_.projects, at.project)) at.org = m_.projects[at.project - 1].org;
  if (one_in(4)) at.model = fmt::format("m{}", below(3));
  static const std::string kNames[] = {"requests_per_minute", "x", "y2", "Upper"};
  const std::string limit = kNames[below(40) == 0 ? 3 : below(3)];
  const Place place{fmt::format("{}", at.org), fmt::format("{}", at.project),
                    fmt::format("{}", at.key), at.model, limit};
  std::optional<int64_t> value;
  if (!one_in(4)) value = one_in(20) ? -1 : static_cast<int64_t>(below(1000));
  t.fits = m_.chain(at.org, at.project, at.key) && limit != "Upper" &&
           (at.model.empty() || (at.project != 0 && at.key == 0)) &&
           (value ? *value >= 0 : m_.limits.contains(place));
  t.act = SetLimit{at, limit, value};
  t.effect = [=](Plain& m) {
    if (value)
      m.limits[place] = *value;
    else
      m.limits.erase(place);
  };
  return t;
}

Try Life::of_spending(bool alert) {
  Try t;
  uint64_t org = pick(m_.orgs);
  const uint64_t project = one_in(2) ? 0 : pick(m_.projects);
  if (!one_in(4) && m_.there(m_.projects, project)) org = m_.projects[project - 1].org;
  std::string currency = one_in(2) ? "USD" : "CNY";
  if (!one_in(5) && m_.there(m_.orgs, org)) currency = m_.orgs[org - 1].currency;
  const auto period = static_cast<Period>(below(2));
  const bool away = one_in(4);
  const auto amount = static_cast<int64_t>(below(40)) - 1;
  Place place{fmt::format("{}", org), fmt::format("{}", project), currency,
              period == Period::kDay ? "day" : "month"};
  t.fits = org != 0 && m_.chain(org, project, 0) && m_.orgs[org - 1].currency == currency;
  const auto packed = *ledger::parse_currency(currency);
  if (!alert) {
    t.fits = t.fits && (away ? m_.spend_limits.contains(place) : amount >= 0);
    t.act = SetSpendLimit{org, project, packed, period,
                          away ? std::nullopt : std::optional<ledger::Nano>(amount)};
    t.effect = [=](Plain& m) {
      if (away)
        m.spend_limits.erase(place);
      else
        m.spend_limits[place] = amount;
    };
    return t;
  }
  const int64_t here = std::count_if(m_.alerts.begin(), m_.alerts.end(), [&](const auto& a) {
    return a.first[0] == place[0] && a.first[1] == place[1];
  });
  place.push_back(fmt::format("{}", amount));
  const bool known = m_.alerts.contains(place);
  t.fits = t.fits && amount > 0 && (away ? known : known || here < 20);
  const std::string notify = away ? "" : fmt::format("ops{}", below(3));
  t.act = SetSpendAlert{org, project, packed, period, amount, notify};
  t.effect = [=](Plain& m) {
    if (away)
      m.alerts.erase(place);
    else
      m.alerts[place] = notify;
  };
  return t;
}

Try Life::of_telling(uint64_t what) {
  Try t;
  const uint64_t org = one_in(6) ? below(3) : pick(m_.orgs);
  t.fits = org != 0 && m_.org_open(org);
  const bool known = m_.hooks.contains(org);
  if (what == 0) {
    const bool away = one_in(3);
    const auto amount = static_cast<int64_t>(below(9)) - 1;
    t.fits = t.fits && (away ? m_.credit_alerts.contains(org) : amount > 0);
    t.act = SetCreditAlert{org, away ? std::nullopt : std::optional<ledger::Nano>(amount)};
    t.effect = [=](Plain& m) { m.set_credit_alert(org, away ? 0 : amount); };
  } else if (what == 1) {
    const std::string why = one_in(5) ? "" : "gone";
    t.fits = known && m_.hooks[org].over == 0 && !why.empty();
    t.act = DisableWebhook{org, why};
    t.effect = [=, at = now_](Plain& m) { m.end_hook(org, why, at); };
  } else {
    const bool away = one_in(3);
    const std::string url = away ? "" : fmt::format("https://{}.example/", below(4));
    std::string secret(one_in(8) ? 31 : 32, static_cast<char>('a' + below(3)));
    const int64_t until = one_in(2) ? 0 : now_ + static_cast<int64_t>(below(3)) - 1;
    t.fits = t.fits && (away ? known : secret.size() == 32);
    t.act = SetWebhook{org, url, secret, until};
    t.effect = [=, at = now_](Plain& m) { m.set_hook(org, url, secret, until, at); };
  }
  return t;
}

Try Life::of_books(bool withdraw) {
  Try t;
  if (withdraw) {
    const auto number = static_cast<int64_t>(below(8)) - 1;
    t.fits = number >= 1 && number <= m_.books;
    t.act = WithdrawPriceBook{number};
    t.effect = [](Plain&) {};
  } else {
    std::string bytes = encode(BookDraft{.note = fmt::format("book {}", below(100))});
    if (one_in(3)) bytes.pop_back(), t.fits = false;
    t.act = SetPriceBook{bytes};
    t.effect = [](Plain& m) { ++m.books; };
  }
  return t;
}

Try Life::draw() {
  if (m_.orgs.empty() || one_in(60)) return of_organizations(0);
  const uint64_t what = below(100);
  if (what < 3) return of_organizations(1);
  if (what < 4) return of_organizations(one_in(4) ? 2 : 1);
  if (what < 10) return of_projects(0);
  if (what < 16) return of_projects(1 + below(2));
  if (what < 18) return of_projects(one_in(2) ? 3 : 2);
  if (what < 24) return of_projects(4);
  if (what < 26) return of_projects(5);
  if (what < 34) return of_users(0);
  if (what < 40) return of_users(1 + below(2));
  if (what < 56) return new_key(false);
  if (what < 60) return new_key(true);
  if (what < 76) return of_keys(below(3));
  if (what < 88) return of_limits();
  if (what < 94) return of_spending(one_in(2));
  if (what < 97) return of_telling(below(3));
  return of_books(one_in(2));
}

void Life::step() {
  const Try t = draw();
  const std::string bytes = encode(t.act);
  SCOPED_TRACE(fmt::format("act number {} after {} accepted", t.act.index() + 1, journal_.size()));
  const std::string before = one_in(8) ? d_.snapshot() : "";
  const Status checked = d_.check(t.act, now_);
  ASSERT_EQ(checked.has_value(), t.fits && t.timely)
      << (checked ? "accepted" : checked.error().message);
  ASSERT_TRUE(before.empty() || d_.snapshot() == before);
  if (!t.fits) {
    ++refused_;
    const auto applied = d_.apply(t.act, now_);
    ASSERT_FALSE(applied);
    ASSERT_EQ(applied.error().param, checked.error().param);
    ASSERT_EQ(applied.error().code, checked.error().code);
    ASSERT_TRUE(before.empty() || d_.snapshot() == before);
    return;
  }
  if (!t.timely) {
    ASSERT_EQ(checked.error().param, "expires_at");
    Directory copy = d_;  // what a replay years later does with it
    ASSERT_TRUE(copy.apply(t.act, now_));
    return;
  }
  const auto applied = d_.apply(t.act, now_);
  ASSERT_TRUE(applied) << applied.error().message;
  t.effect(m_);
  journal_.emplace_back(bytes, now_);
  kinds_.insert(t.act.index());
}

template <class T, class Same>
void compare(const std::vector<T>& plain, uint64_t next, const Same& same) {
  ASSERT_EQ(next, plain.size() + 1);
  for (size_t i = 0; i < plain.size(); ++i) ASSERT_TRUE(same(i + 1, plain[i])) << i + 1;
}

void Life::agree() {
  compare(m_.orgs, d_.next(IdKind::kOrganization), [&](uint64_t s, const PlainOrg& p) {
    const Organization& o = *d_.organization(s);
    return o.name == p.name && ledger::to_string(o.currency) == p.currency &&
           o.created_ns == p.made && o.archived_ns == p.over;
  });
  compare(m_.projects, d_.next(IdKind::kProject), [&](uint64_t s, const PlainProject& p) {
    const Project& o = *d_.project(s);
    return o.org == p.org && o.name == p.name && o.tier == p.tier && o.weight_milli == p.weight &&
           o.created_ns == p.made && o.archived_ns == p.over;
  });
  compare(m_.accounts, d_.next(IdKind::kServiceAccount), [&](uint64_t s, const PlainAccount& p) {
    const ServiceAccount& o = *d_.service_account(s);
    return o.project == p.project && o.name == p.name && o.created_ns == p.made &&
           o.deleted_ns == p.over;
  });
  compare(m_.users, d_.next(IdKind::kUser), [&](uint64_t s, const PlainUser& p) {
    const User& o = *d_.user(s);
    return o.org == p.org && o.email == p.email && o.name == p.name && o.role == p.role &&
           o.added_ns == p.made && o.removed_ns == p.over;
  });
  agree_on_keys();
  ASSERT_EQ(d_.price_books(), m_.books);
  std::map<Place, int64_t> limits, spend_limits;
  std::map<Place, std::string> alerts;
  for (const auto& [at, value] : d_.limits()) {
    const LimitScope& s = at.first;
    limits[{fmt::format("{}", s.org), fmt::format("{}", s.project), fmt::format("{}", s.key),
            s.model, at.second}] = value;
  }
  const auto place = [](const SpendKey& k) {
    return Place{fmt::format("{}", k.org), fmt::format("{}", k.project),
                 ledger::to_string(k.currency), std::string(mill::maas::name(k.period))};
  };
  ASSERT_TRUE(m_.tells_the_same(d_));
  for (const auto& [at, amount] : d_.spend_limits()) spend_limits[place(at)] = amount;
  for (const auto& [at, notify] : d_.spend_alerts()) {
    Place key = place(at.first);
    key.push_back(fmt::format("{}", at.second));
    alerts[key] = notify;
  }
  ASSERT_EQ(limits, m_.limits);
  ASSERT_EQ(spend_limits, m_.spend_limits);
  ASSERT_EQ(alerts, m_.alerts);
}

void Life::agree_on_keys() {
  compare(m_.keys, d_.next(IdKind::kKey), [&](uint64_t s, const PlainKey& p) {
    const Key& o = *d_.key(s);
    return o.org == p.org && o.project == p.project && o.user == p.user &&
           o.service_account == p.account && o.name == p.name && o.expires_ns == p.expires &&
           o.restrictions().models == p.models && o.created_ns == p.made && o.revoked_ns == p.over;
  });
  bool operators = false;
  std::set<std::pair<bool, uint64_t>> current;
  for (size_t i = 0; i < m_.keys.size(); ++i) {
    const PlainKey& k = m_.keys[i];
    current.insert({k.admin, k.secret});
    const bool open = m_.let_in(k, now_);
    operators = operators || (open && k.admin && k.org == 0);
    ASSERT_EQ(d_.standing(i + 1, now_).has_value(), open) << i + 1;
    const Peer& peer = kPeers[below(std::size(kPeers))];
    const bool near =
        k.networks.empty() || std::count(k.networks.begin(), k.networks.end(), peer.network) > 0;
    const auto caller = d_.identify(minted(k.admin, k.secret).text, peer.text, now_);
    ASSERT_EQ(caller.has_value(), open && near) << i + 1 << " from " << peer.text;
    if (!caller) {
      ASSERT_EQ(caller.error().param, open ? "ip" : "key");
      continue;
    }
    ASSERT_EQ(caller->payer, (ledger::Payer{.org = k.org, .project = k.project, .key = i + 1}));
    ASSERT_EQ(caller->admin, k.admin);
    const std::string model = fmt::format("m{}", below(12));
    ASSERT_EQ(
        caller->may_infer(model).has_value(),
        !k.admin && (k.models.empty() || std::count(k.models.begin(), k.models.end(), model) == 1));
  }
  ASSERT_EQ(d_.has_operator_key(now_), operators);
  for (uint64_t secret = 1; secret <= last_secret_; ++secret) {
    for (const bool admin : {false, true}) {
      if (current.contains({admin, secret})) continue;  // else rotated away, or never accepted
      ASSERT_FALSE(d_.identify(minted(admin, secret).text, kPeers[0].text, now_)) << secret;
    }
  }
}

void Life::through_bytes() {
  const std::string bytes = d_.snapshot();
  auto restored = Directory::restore(bytes);
  ASSERT_TRUE(restored) << restored.error().message;
  ASSERT_EQ(restored->snapshot(), bytes);
  d_ = std::move(*restored);  // and it lives on
}

void Life::replayed() {
  Directory again;
  for (const auto& [bytes, at] : journal_) {
    const auto act = decode_act(bytes);
    ASSERT_TRUE(act);
    ASSERT_TRUE(again.apply(*act, at));
  }
  ASSERT_EQ(again.snapshot(), d_.snapshot());
}

TEST(DirectoryRandom, LivesAsThePlainModelDoes) {
  const uint64_t seed = from_outside("MILL_TEST_SEED", std::random_device{}());
  fmt::print("MILL_TEST_SEED={}\n", seed);
  std::set<size_t> kinds;
  size_t accepted = 0, refused = 0;
  for (uint64_t life = 0; life < 8 && !HasFatalFailure(); ++life) {
    SCOPED_TRACE(fmt::format("MILL_TEST_SEED={}, life {}", seed, life));
    Life one(seed + life);
    one.live(1000 * from_outside("MILL_TEST_STEPS", 1));
    accepted += one.accepted();
    refused += one.refused();
    kinds.insert(one.kinds().begin(), one.kinds().end());
  }
  fmt::print("{} acts accepted, {} refused\n", accepted, refused);
  EXPECT_EQ(kinds.size(), std::variant_size_v<Act>);
  EXPECT_GT(refused, accepted / 10);  // both happen often
  EXPECT_GT(accepted, refused / 3);
}

}  // namespace
}  // namespace mill::maas
