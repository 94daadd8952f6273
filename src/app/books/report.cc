#include "app/books/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/books/energy_sums.h"
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
  EnergySums energy;

  void add(const Sums& more) {
    counts.resize(std::max(counts.size(), more.counts.size()));
    for (size_t i = 0; i < more.counts.size(); ++i) counts[i] += more.counts[i];
    money += more.money;
    energy.add(more.energy);
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
      if (shape.energy) {
        const json::value* requests = member(result, "num_model_requests");
        if (!requests || !requests->is_int64()) return fail(unreadable("num_model_requests"));
        MILL_TRY(sums.energy, energy_sums(member(result, "energy"), requests->get_int64()));
      }
      rows[std::move(cells)].add(sums);
    }
  }
  return rows;
}

// Of all buckets; nothing where the server does not say.
Result<EnergySums> overhead_of(const json::object& page) {
  EnergySums sums;
  for (const json::value& bucket : page.at("data").as_array()) {
    const json::value* overhead = member(bucket, "overhead");
    if (!overhead) continue;
    MILL_TRY(const EnergySums one, energy_sums(overhead, 0));
    sums.add(one);
  }
  return sums;
}

json::object shown(const ReportShape& shape, const std::vector<ReportGroup>& groups,
                   const std::vector<std::string>& cells, const Sums& sums,
                   const EnergySums& whole) {
  json::object row;
  for (size_t i = 0; i < groups.size(); ++i) row[std::string(groups[i].title)] = cells[i];
  for (size_t i = 0; i < shape.sums.size(); ++i)
    row[std::string(shape.sums[i].title)] = sums.counts[i];
  row["AMOUNT"] = maas::print_femto(sums.money);
  row["CURRENCY"] = cells.back();
  if (shape.energy) show_energy(sums.energy, whole, sums.money, cells.back(), row);
  return row;
}

// The machine's own, beside what the rows show; it takes in nothing.
json::object shown(const std::vector<Column>& columns, const EnergySums& overhead,
                   const EnergySums& whole) {
  json::object row;
  for (const Column& column : columns) row[std::string(column.title)] = "";
  show_energy(overhead, whole, 0, whole.currency, row);
  row[std::string(columns.front().title)] = "overhead";
  row["CURRENCY"] = whole.currency;
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
  std::map<std::string, Sums> totals;  // by currency
  EnergySums whole, overhead;
  for (const auto& [cells, sums] : rows) {
    totals[cells.back()].add(sums);
    whole.add(sums.energy);
  }
  if (shape.energy) {
    MILL_TRY(overhead, overhead_of(page));
    whole.add(overhead);
  }
  json::array items;
  for (const auto& [cells, sums] : rows) items.push_back(shown(shape, groups, cells, sums, whole));
  if (rows.size() > totals.size()) {
    for (const auto& [currency, sums] : totals) {
      std::vector<std::string> cells(groups.size() + 1);
      cells.front() = "total";
      cells.back() = currency;
      items.push_back(shown(shape, groups, cells, sums, whole));
    }
  }
  std::vector<Column> columns;
  for (const ReportGroup& group : groups) columns.push_back({group.title, group.title});
  for (const ReportSum& sum : shape.sums) columns.push_back({sum.title, sum.title, true});
  columns.push_back({"AMOUNT", "AMOUNT", true});
  columns.push_back({"CURRENCY", "CURRENCY"});
  const std::vector<std::string> titles =
      shape.energy ? energy_titles(whole) : std::vector<std::string>();
  for (const std::string& title : titles) columns.push_back({title, title, title != "SOURCE"});
  if (overhead.sums.metered > 0) items.push_back(shown(columns, overhead, whole));
  return table(items, columns);
}

}  // namespace mill::app
