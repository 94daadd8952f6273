// What reports over HTTP are made of: their queries, names and shapes (usage.cc, reports.cc).
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/desk/desk.h"
#include "maas/catalog/rates.h"
#include "maas/metering/names.h"
#include "maas/metering/usage.h"

namespace mill::gateway::desk {

// The names of the directory. Called with its lock not held.
class DirectoryNames final : public maas::Names {
 public:
  explicit DirectoryNames(const Desk& desk) : desk_(desk) {}
  maas::Named organization(uint64_t serial) const override {
    return named(maas::IdKind::kOrganization,
                 [&](const maas::Directory& d) { return d.organization(serial); });
  }
  maas::Named project(uint64_t serial) const override {
    return named(maas::IdKind::kProject,
                 [&](const maas::Directory& d) { return d.project(serial); });
  }
  maas::Named key(uint64_t serial) const override {
    return named(maas::IdKind::kKey, [&](const maas::Directory& d) { return d.key(serial); });
  }

 private:
  template <class Find>
  maas::Named named(maas::IdKind kind, const Find& find) const {
    return desk_.read([&](const maas::Directory& d) -> maas::Named {
      const auto* found = find(d);
      if (!found) return {.id = "unknown"};
      return {.id = maas::to_string(kind, found->id), .name = found->name};
    });
  }
  const Desk& desk_;
};

// A query's list, given as name=a&name=b, as name[]=a, or as name=a,b.
Result<std::vector<std::string>> list_of(const Query& query, const std::string& name);
// Serial numbers of projects or keys; kNotFound for one that is not the organization's, or, where
// that is 0, nobody's.
Result<std::vector<uint64_t>> serials_of(const Desk& desk, uint64_t org, maas::IdKind kind,
                                         const std::string& name);
// start_time, end_time and bucket_width.
Result<maas::UsageQuery> time_of(const Query& query, maas::Width usual);
Result<std::optional<int64_t>> page_cursor(const Query& query);

struct Account {
  uint64_t org = 0;
  ledger::Currency currency;
  std::string id;
};
// Fails as find_organization does.
Result<Account> account_of(const Desk& desk);

// The entries that move money of requests, of a time.
ledger::Range money_entries(int64_t from_ns, int64_t to_ns);

// {"value":…,"currency":"usd","exact":"…"}
json::object amount_of(maas::Femto amount, ledger::Currency currency);
json::value id_or_null(bool wanted, const maas::Named& named);
json::object page_object(json::array data, std::optional<int64_t> next);
json::object bucket_object(int64_t from_ns, int64_t to_ns, json::array results);

}  // namespace mill::gateway::desk
