// /v1/organization/…/rate_limits: what a project (also for one model), a key or an organization may
// ask in a minute and a day.
//
// OpenAI's names stand beside ours: max_requests_per_1_minute is requests_per_minute,
// max_requests_per_1_day is requests_per_day, max_tokens_per_1_minute is input_tokens_per_minute
// and output_tokens_per_minute at once. A member that is null takes the limit away. Where there is
// no limit, ours are null; OpenAI's, which are always numbers there, are the largest there is.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;
using maas::LimitScope;
using maas::Meter;

constexpr std::array kMeters = {Meter::kRequestsPerMinute,     Meter::kRequestsPerDay,
                                Meter::kInputTokensPerMinute,  Meter::kUncachedTokensPerMinute,
                                Meter::kOutputTokensPerMinute, Meter::kConcurrentRequests};
constexpr std::string_view kIdPrefix = "rl-";
constexpr std::string_view kWhole = "rl-*";  // of all models together

using Values = std::map<std::string, int64_t, std::less<>>;  // by our name

// The limits of one place, as acts have set them. `scope` is whole: with all that is above it.
Values values_of(const Directory& d, const LimitScope& scope) {
  Values values;
  auto limit = d.limits().lower_bound({scope, ""});
  for (; limit != d.limits().end() && limit->first.first == scope; ++limit)
    values[limit->first.second] = limit->second;
  return values;
}

json::value value_or_null(const Values& values, Meter meter) {
  const auto found = values.find(name(meter));
  return found == values.end() ? json::value() : json::value(found->second);
}

json::object show_limits(std::string_view object, std::string_view id, const Values& values) {
  const auto number = [&](Meter meter) {
    const auto found = values.find(name(meter));
    return found == values.end() ? maas::kMostLimit : found->second;
  };
  json::object shown{{"object", text(object)},
                     {"id", text(id)},
                     {"max_requests_per_1_minute", number(Meter::kRequestsPerMinute)},
                     {"max_tokens_per_1_minute", std::min(number(Meter::kInputTokensPerMinute),
                                                          number(Meter::kOutputTokensPerMinute))},
                     {"max_requests_per_1_day", number(Meter::kRequestsPerDay)}};
  for (const Meter meter : kMeters) shown[text(name(meter))] = value_or_null(values, meter);
  return shown;
}

json::object show_project(const Directory& d, uint64_t project, const std::string& model) {
  const LimitScope scope{.org = d.project(project)->org, .project = project, .model = model};
  const std::string id = model.empty() ? std::string(kWhole) : std::string(kIdPrefix) + model;
  json::object shown = show_limits("project.rate_limit", id, values_of(d, scope));
  shown["model"] = model.empty() ? "*" : model;
  return shown;
}

// Our meters by what the body says: nothing for one that is to be taken away.
using Wish = std::map<Meter, std::optional<int64_t>>;
Result<Wish> read_wish(const json::object& body) {
  Wish wish;
  const openai::Fields fields(body);
  const auto read = [&](std::string_view member, Meter meter) -> Status {
    if (!has(body, member)) return {};
    MILL_TRY(const auto value, fields.integer(member, 0, maas::kMostLimit));
    if (wish.contains(meter)) {
      return fail(Code::kInvalid,
                  fmt::format("'{}' and '{}' say the same: give one", member, name(meter)),
                  std::string(member));
    }
    wish[meter] = value;
    return {};
  };
  for (const Meter meter : kMeters) MILL_TRY_DO(read(name(meter), meter));
  MILL_TRY_DO(read("max_requests_per_1_minute", Meter::kRequestsPerMinute));
  MILL_TRY_DO(read("max_requests_per_1_day", Meter::kRequestsPerDay));
  MILL_TRY_DO(read("max_tokens_per_1_minute", Meter::kInputTokensPerMinute));
  MILL_TRY_DO(read("max_tokens_per_1_minute", Meter::kOutputTokensPerMinute));
  if (wish.empty()) return fail(Code::kInvalid, "the body names no limit");
  return wish;
}

// One act for each limit that changes, all of them or none.
Status set(const Desk& desk, const LimitScope& scope) {
  MILL_TRY(const Wish wish, read_wish(desk.body));
  MILL_TRY_DO(desk.may(maas::SetLimit{.scope = scope}));
  const Values before = desk.read([&](const Directory& d) { return values_of(d, scope); });
  std::vector<maas::Act> acts;
  for (const auto& [meter, value] : wish) {
    const auto now = before.find(name(meter));
    const bool same = now == before.end() ? !value : value == now->second;
    if (!same) acts.emplace_back(maas::SetLimit{scope, std::string(name(meter)), value});
  }
  MILL_TRY_DO(desk.act_together(std::move(acts)));
  return {};
}

Result<json::value> update_project_model(Desk& desk, const std::string& model) {
  MILL_TRY(const LimitScope scope, desk.read([&](const Directory& d) -> Result<LimitScope> {
    MILL_TRY(const uint64_t project, find_project(desk, d, desk.ids[0]));
    return LimitScope{.org = d.project(project)->org, .project = project, .model = model};
  }));
  MILL_TRY_DO(set(desk, scope));
  return desk.read([&](const Directory& d) { return show_project(d, scope.project, model); });
}

Result<LimitScope> key_scope(const Desk& desk, const Directory& d) {
  MILL_TRY(const uint64_t key, find_key(desk, d));
  return LimitScope{.org = d.key(key)->org, .project = d.key(key)->project, .key = key};
}
Result<LimitScope> organization_scope(const Desk& desk, const Directory& d) {
  MILL_TRY(const uint64_t org, find_organization(desk, d));
  return LimitScope{.org = org};
}

using FindScope = Result<LimitScope> (*)(const Desk&, const Directory&);

Result<json::value> list_whole(const Desk& desk, FindScope find, std::string_view object) {
  return desk.read([&](const Directory& d) -> Result<json::value> {
    MILL_TRY(const LimitScope scope, find(desk, d));
    return show_list({show_limits(object, kWhole, values_of(d, scope))}, false);
  });
}
Result<json::value> update_whole(const Desk& desk, FindScope find, std::string_view object) {
  MILL_TRY(const LimitScope scope, desk.read([&](const Directory& d) { return find(desk, d); }));
  MILL_TRY_DO(set(desk, scope));
  return desk.read([&](const Directory& d) {
    return Result<json::value>(show_limits(object, kWhole, values_of(d, scope)));
  });
}

}  // namespace

// The project as a whole, then every model that has a price or a limit.
Result<json::value> list_project_limits(Desk& desk) {
  const auto prices = desk.office.till().prices();
  return desk.read([&](const Directory& d) -> Result<json::value> {
    MILL_TRY(const uint64_t project, find_project(desk, d, desk.ids[0]));
    std::set<std::string> models{""};
    if (prices) {
      for (const maas::Model& model : prices->models()) models.insert(model.id);
    }
    const uint64_t org = d.project(project)->org;
    auto set = d.limits().lower_bound({LimitScope{.org = org, .project = project}, ""});
    for (; set != d.limits().end(); ++set) {
      const LimitScope& scope = set->first.first;
      if (scope.org != org || scope.project != project || scope.key != 0) break;
      models.insert(scope.model);
    }
    json::array data;
    for (const std::string& model : models) data.push_back(show_project(d, project, model));
    MILL_TRY(json::object part, show_part(std::move(data), desk.query, 100));
    return part;
  });
}

Result<json::value> update_project_limits(Desk& desk) {
  return update_project_model(desk, "");
}

Result<json::value> update_project_limit(Desk& desk) {
  const std::string& id = desk.ids[1];
  if (!id.starts_with(kIdPrefix) || id.size() == kIdPrefix.size())
    return fail(Code::kNotFound, "the id of a rate limit is 'rl-' and a model, or rl-* for all");
  return update_project_model(desk, id == kWhole ? "" : id.substr(kIdPrefix.size()));
}

Result<json::value> list_key_limits(Desk& desk) {
  return list_whole(desk, key_scope, "api_key.rate_limit");
}
Result<json::value> update_key_limits(Desk& desk) {
  return update_whole(desk, key_scope, "api_key.rate_limit");
}
Result<json::value> list_organization_limits(Desk& desk) {
  return list_whole(desk, organization_scope, "organization.rate_limit");
}
Result<json::value> update_organization_limits(Desk& desk) {
  return update_whole(desk, organization_scope, "organization.rate_limit");
}

}  // namespace mill::gateway::desk
