// tokenmill usage, tokenmill costs
#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/report.h"
#include "app/books/table.h"
#include "base/clock.h"
#include "maas/catalog/civil_time.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct UsageArguments {
  std::vector<std::string> by;
  std::string from, to;
  bool every = false;  // organization
};

constexpr ReportGroup kUsageGroups[] = {
    {"model", "MODEL", "model"},  {"project", "PROJECT", "project_id"},
    {"key", "KEY", "api_key_id"}, {"hour", "HOUR", ""},
    {"day", "DAY", ""},           {"tier", "TIER", "service_tier"},
};
constexpr ReportSum kUsageSums[] = {
    {"INPUT", "input_tokens"},
    {"CACHED", "input_cached_tokens"},
    {"OUTPUT", "output_tokens"},
    {"REQUESTS", "num_model_requests"},
};
constexpr ReportShape kUsage = {kUsageGroups, kUsageSums, "charged", true};

constexpr ReportGroup kCostGroups[] = {
    {"line", "LINE", "line_item"},
    {"project", "PROJECT", "project_id"},
    {"key", "KEY", "api_key_id"},
    {"day", "DAY", ""},
};
constexpr ReportShape kCosts = {kCostGroups, {}, "amount"};

// The span that is asked for, fixed before the first page: the last bucket must not grow under way.
Result<std::string> with_time(std::string target, const UsageArguments& given) {
  const int64_t current = unix_nanoseconds();
  MILL_TRY(const maas::Month month,
           maas::parse_month(maas::format_date(current).substr(0, 7), "month"));
  int64_t from = month.begin_ns, to = current + maas::kNanosPerSecond;
  if (!given.from.empty()) {
    MILL_TRY(from, maas::parse_instant(given.from, "--from"));
  }
  if (!given.to.empty()) {
    MILL_TRY(to, maas::parse_instant(given.to, "--to"));
  }
  if (from < 0) return fail(Code::kInvalid, "--from is before 1970", "from");
  if (to <= from) return fail(Code::kInvalid, "--to is not after --from", "to");
  target = with(std::move(target), "start_time", std::to_string(from / maas::kNanosPerSecond));
  const int64_t end = (to + maas::kNanosPerSecond - 1) / maas::kNanosPerSecond;
  return with(std::move(target), "end_time", std::to_string(end));
}

// Names of projects and keys are an organization's.
Status check_every(const Settings& settings, const std::vector<ReportGroup>& groups) {
  if (!settings.text("org").empty())
    return fail(Code::kInvalid, "--every-org and --org are two questions", "every-org");
  for (const ReportGroup& group : groups)
    if (group.name == "project" || group.name == "key")
      return fail(Code::kInvalid,
                  fmt::format("--by {} is of one organization: say --org", group.name), "by");
  return {};
}

Status report(const Settings& settings, const UsageArguments& given, const ReportShape& shape,
              const std::string& path, const std::vector<std::string>& by) {
  MILL_TRY(const std::vector<ReportGroup> groups, report_groups(shape, by));
  MILL_TRY(std::string target, with_time(path, given));
  bool hourly = false;
  for (const ReportGroup& group : groups) {
    target = with(std::move(target), "group_by", group.member);
    hourly = hourly || group.name == "hour";
  }
  target = with(std::move(target), "bucket_width", hourly ? "1h" : "1d");
  target = with(std::move(target), "limit", hourly ? "168" : "31");  // the most of one page
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  std::string org;
  if (given.every) {
    MILL_TRY_DO(check_every(settings, groups));
    target = with(std::move(target), "every_organization", "true");
  } else {
    MILL_TRY(org, find_organization(client, settings.text("org")));
  }
  MILL_TRY(const json::object page, client.all_pages(in_organization(target, org)));
  std::string text;
  if (!settings.on("json")) {
    MILL_TRY(const ReportNames names, report_names(client, org, groups));
    MILL_TRY(text, report_table(shape, groups, page, names));
  }
  print_answer(settings, page, text);
  return {};
}

Status usage(const Settings& settings, const UsageArguments& given) {
  return report(settings, given, kUsage, "/v1/organization/usage/completions", given.by);
}

Status costs(const Settings& settings, const UsageArguments& given) {
  const std::vector<std::string> by =
      given.by.empty() ? std::vector<std::string>{"line"} : given.by;
  return report(settings, given, kCosts, "/v1/organization/costs", by);
}

using Action = Status (*)(const Settings&, const UsageArguments&);

Command& add(CommandLine& line, const char* name, const char* help, const char* by,
             const std::shared_ptr<UsageArguments>& given, Action action) {
  Command& command =
      line.add(nullptr, name, help, kDesk,
               [given, action](const Settings& settings) { return action(settings, *given); });
  command.add_option("--by", given->by, by).delimiter(',');
  command.add_option("--from", given->from,
                     "an instant or a day, in UTC; this month unless given. Times grow to whole "
                     "days, or hours with --by hour");
  command.add_option("--to", given->to, "an instant or a day, in UTC; itself not counted; now");
  return command;
}

}  // namespace

void add_usage_commands(CommandLine& line) {
  const auto usage_given = std::make_shared<UsageArguments>();
  Command& command =
      add(line, "usage", "Show tokens, requests, what was charged for them, and electricity",
          "model, project, key, tier and hour or day, with commas", usage_given, usage);
  command.add_flag("--every-org", usage_given->every,
                   "of all organizations together, for the operator");
  add(line, "costs", "Show what was charged, by line of the price list",
      "line, project, key and day, with commas; line unless given",
      std::make_shared<UsageArguments>(), costs);
}

}  // namespace mill::app
