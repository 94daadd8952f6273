#include "app/books/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/books/find.h"
#include "app/books/table.h"
#include "maas/catalog/civil_time.h"
#include "maas/catalog/rates.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct Sums {
  std::vector<int64_t> counts;
  maas::Femto money = 0;

  void add(const Sums& more) {
    counts.resize(std::max(counts.size(), more.counts.size()));
    for (size_t i = 0; i < more.counts.size(); ++i) counts[i] += more.counts[i];
    money += more.money;
  }
};

// By the cells of its groups, then its currency.
using Rows = std::map<std::vector<std::string>, Sums>;

const json::value* member(const json::value& item, std::string_view name) {
  const json::object* object = item.if_object();
  return object ? object->if_contains(json::string_view(name.data(), name.size())) : nullptr;
}

Error unreadable(std::string_view what) {
  return {Code::kCorrupt, fmt::format("the server's answer has no readable '{}'", what), ""};
}

// "-12.5" in 1e-15 of a unit.
Result<maas::Femto> exact_money(const json::value* amount) {
  const json::value* exact = amount ? member(*amount, "exact") : nullptr;
  if (!exact || !exact->is_string()) return fail(unreadable("exact"));
  std::string_view text = exact->get_string();
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t dot = std::min(text.find('.'), text.size());
  const std::string_view decimals = text.substr(std::min(dot + 1, text.size()));
  constexpr size_t kDecimals = 15, kMostDigits = 36;  // what an int128 surely has room for
  if (decimals.size() > kDecimals || text.size() > kMostDigits || dot == 0)
    return fail(unreadable("exact"));
  std::string digits = std::string(text.substr(0, dot)) + std::string(decimals);
  digits.append(kDecimals - decimals.size(), '0');
  maas::Femto money = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return fail(unreadable("exact"));
    money = money * 10 + (digit - '0');
  }
  return negative ? -money : money;
}

Result<std::string> currency_of(const json::value* amount) {
  const json::value* currency = amount ? member(*amount, "currency") : nullptr;
  if (!currency || !currency->is_string()) return fail(unreadable("currency"));
  std::string text(currency->get_string());
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

// "2026-11-28", or with its hour.
Result<std::string> start_of(const json::value& bucket, std::string_view group) {
  const json::value* start = member(bucket, "start_time");
  if (!start || !start->is_int64() || start->get_int64() < 0 ||
      start->get_int64() > INT64_MAX / maas::kNanosPerSecond)
    return fail(unreadable("start_time"));
  const int64_t at = start->get_int64() * maas::kNanosPerSecond;
  return group == "day" ? maas::format_date(at) : maas::format_instant(at);
}

Result<std::string> cell_of(const ReportGroup& group, const json::value& bucket,
                            const json::value& result, const ReportNames& names) {
  if (group.member.empty()) return start_of(bucket, group.name);
  const json::value* value = member(result, group.member);
  if (!value || !value->is_string()) return fail(unreadable(group.member));
  std::string text(value->get_string());
  const auto name = names.find(text);
  return name == names.end() ? text : name->second;
}

Result<Rows> rows_of(const ReportShape& shape, const std::vector<ReportGroup>& groups,
                     const json::object& page, const ReportNames& names) {
  Rows rows;
  const json::value* buckets = page.if_contains("data");
  if (!buckets || !buckets->is_array()) return fail(unreadable("data"));
  for (const json::value& bucket : buckets->get_array()) {
    const json::value* results = member(bucket, "results");
    if (!results || !results->is_array()) return fail(unreadable("results"));
    for (const json::value& result : results->get_array()) {
      std::vector<std::string> cells;
      for (const ReportGroup& group : groups) {
        MILL_TRY(std::string cell, cell_of(group, bucket, result, names));
        cells.push_back(std::move(cell));
      }
      const json::value* amount = member(result, shape.money);
      MILL_TRY(std::string currency, currency_of(amount));
      cells.push_back(std::move(currency));
      Sums sums;
      MILL_TRY(sums.money, exact_money(amount));
      for (const ReportSum& sum : shape.sums) {
        const json::value* count = member(result, sum.member);
        if (!count || !count->is_int64()) return fail(unreadable(sum.member));
        sums.counts.push_back(count->get_int64());
      }
      rows[std::move(cells)].add(sums);
    }
  }
  return rows;
}

json::object shown(const ReportShape& shape, const std::vector<ReportGroup>& groups,
                   const std::vector<std::string>& cells, const Sums& sums) {
  json::object row;
  for (size_t i = 0; i < groups.size(); ++i) row[std::string(groups[i].title)] = cells[i];
  for (size_t i = 0; i < shape.sums.size(); ++i)
    row[std::string(shape.sums[i].title)] = sums.counts[i];
  row["AMOUNT"] = maas::print_femto(sums.money);
  row["CURRENCY"] = cells.back();
  return row;
}

// Those of one list, where no two have one name.
void add_names(ReportNames& names, const json::object& list) {
  std::map<std::string, std::vector<std::string>> ids;
  for (const json::value& item : list.at("data").as_array()) {
    const json::object* object = item.if_object();
    if (object) ids[cell(*object, "name")].push_back(cell(*object, "id"));
  }
  for (const auto& [name, own] : ids)
    if (own.size() == 1) names[own[0]] = name;
}

}  // namespace

Result<std::vector<ReportGroup>> report_groups(const ReportShape& shape,
                                               const std::vector<std::string>& names) {
  std::vector<ReportGroup> groups;
  std::vector<std::string_view> known;
  for (const ReportGroup& group : shape.groups) known.push_back(group.name);
  std::set<std::string_view> times;
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      return fail(
          Code::kInvalid,
          fmt::format("--by may be {}, not '{}'", fmt::join(known, ", "), name.substr(0, 64)),
          "by");
    }
    const ReportGroup& group = shape.groups[static_cast<size_t>(found - known.begin())];
    const auto same = [&](const ReportGroup& other) { return other.name == group.name; };
    if (std::any_of(groups.begin(), groups.end(), same)) continue;
    if (group.member.empty() && !times.insert(group.name).second) continue;
    groups.push_back(group);
  }
  if (times.size() > 1) return fail(Code::kInvalid, "--by is hour or day, not both", "by");
  return groups;
}

Result<ReportNames> report_names(const AdminClient& client, const std::string& organization,
                                 const std::vector<ReportGroup>& groups) {
  ReportNames names;
  const auto shows = [&](std::string_view name) {
    return std::any_of(groups.begin(), groups.end(),
                       [&](const ReportGroup& group) { return group.name == name; });
  };
  if (!shows("project") && !shows("key")) return names;
  const auto all = [&](const std::string& path) {
    return client.all(with(in_organization(path, organization), "include_archived", "true"));
  };
  const std::string path = "/v1/organization/projects";
  MILL_TRY(const json::object projects, all(path));
  add_names(names, projects);
  if (!shows("key")) return names;
  json::array keys;
  for (const json::value& project : projects.at("data").as_array()) {
    const json::object* object = project.if_object();
    if (!object) continue;
    MILL_TRY(const json::object list, all(path + "/" + escaped(cell(*object, "id")) + "/api_keys"));
    for (const json::value& key : list.at("data").as_array()) keys.push_back(key);
  }
  add_names(names, {{"data", std::move(keys)}});
  return names;
}

Result<std::string> report_table(const ReportShape& shape, const std::vector<ReportGroup>& groups,
                                 const json::object& page, const ReportNames& names) {
  MILL_TRY(const Rows rows, rows_of(shape, groups, page, names));
  json::array items;
  std::map<std::string, Sums> totals;  // by currency
  for (const auto& [cells, sums] : rows) {
    items.push_back(shown(shape, groups, cells, sums));
    totals[cells.back()].add(sums);
  }
  if (rows.size() > totals.size()) {
    for (const auto& [currency, sums] : totals) {
      std::vector<std::string> cells(groups.size() + 1);
      cells.front() = "total";
      cells.back() = currency;
      items.push_back(shown(shape, groups, cells, sums));
    }
  }
  std::vector<Column> columns;
  for (const ReportGroup& group : groups) columns.push_back({group.title, group.title});
  for (const ReportSum& sum : shape.sums) columns.push_back({sum.title, sum.title, true});
  columns.push_back({"AMOUNT", "AMOUNT", true});
  columns.push_back({"CURRENCY", "CURRENCY"});
  return table(items, columns);
}

}  // namespace mill::app
