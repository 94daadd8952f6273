// tokenmill limit …, tokenmill budget …
#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <memory>
#include <vector>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/table.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct LimitArguments {
  std::string project, model, key, interval, amount;
  std::vector<std::string> limits;
};
using Arguments = std::shared_ptr<LimitArguments>;

// The thing that is limited: …/organization, a project, or a key.
Result<std::string> place_of(const AdminClient& client, const std::string& org,
                             const LimitArguments& given) {
  if (!given.key.empty()) return key_path(client, org, given.project, given.key);
  if (!given.project.empty() || !given.model.empty())
    return project_path(client, org, given.project);
  return std::string("/v1/organization");
}

Result<std::string> limits_path(const AdminClient& client, const Settings& settings,
                                const LimitArguments& given) {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  if (!given.model.empty() && !given.key.empty())
    return fail(Code::kInvalid, "a limit of a model is one of a project: leave out --key");
  MILL_TRY(const std::string place, place_of(client, org, given));
  return in_organization(place + "/rate_limits", org);
}

// As with a model in its path.
std::string of_model(const std::string& path, const std::string& model) {
  if (model.empty()) return path;
  const size_t query = std::min(path.find('?'), path.size());
  return path.substr(0, query) + "/rl-" + escaped(model) + path.substr(query);
}

std::string limits_table(const json::array& rows) {
  return table(rows, {{"MODEL", "model"},
                      {"REQ/MIN", "requests_per_minute", true},
                      {"REQ/DAY", "requests_per_day", true},
                      {"INPUT/MIN", "input_tokens_per_minute", true},
                      {"UNCACHED/MIN", "uncached_tokens_per_minute", true},
                      {"OUTPUT/MIN", "output_tokens_per_minute", true},
                      {"AT ONCE", "concurrent_requests", true}});
}

Status send_limits(const Settings& settings, const LimitArguments& given,
                   const json::object& body) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, limits_path(client, settings, given));
  MILL_TRY(const json::object row, client.post(of_model(path, given.model), body));
  print_answer(settings, row, limits_table({row}));
  return {};
}

Status set_limits(const Settings& settings, const LimitArguments& given) {
  json::object body;
  for (const std::string& limit : given.limits) {
    const size_t equals = std::min(limit.find('='), limit.size());
    const std::string name = limit.substr(0, equals);
    int64_t value = 0;
    const char* end = limit.data() + limit.size();
    const char* begin = limit.data() + std::min(equals + 1, limit.size());
    const auto read = std::from_chars(begin, end, value);
    if (begin == end || read.ec != std::errc() || read.ptr != end) {
      return fail(Code::kInvalid,
                  fmt::format("'{}' is no limit: write it as requests_per_minute=60", limit));
    }
    body[name] = value;
  }
  return send_limits(settings, given, body);
}

Status clear_limits(const Settings& settings, const LimitArguments& given) {
  json::object body;
  for (const std::string& name : given.limits) body[name] = nullptr;
  return send_limits(settings, given, body);
}

Status list_limits(const Settings& settings, const LimitArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, limits_path(client, settings, given));
  const bool many = given.key.empty() && path.find("/projects/") != std::string::npos;
  MILL_TRY(const json::object list, many ? client.all(path) : client.get(path));
  print_answer(settings, list, limits_table(list.at("data").as_array()));
  return {};
}

// Budgets are of organizations and projects.
Result<std::string> budget_path(const AdminClient& client, const Settings& settings,
                                const LimitArguments& given) {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  MILL_TRY(const std::string place, place_of(client, org, given));
  return in_organization(place + "/spend_limits", org);
}

std::string budgets_table(const json::array& rows) {
  return table(rows, {{"PER", "interval"},
                      {"BUDGET", "amount", true},
                      {"SPENT", "spent", true},
                      {"HELD", "held", true},
                      {"CURRENCY", "currency"}});
}

Status set_budget(const Settings& settings, const LimitArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, budget_path(client, settings, given));
  MILL_TRY(const json::object row,
           client.post(path, {{"interval", given.interval}, {"amount", given.amount}}));
  print_answer(settings, row, budgets_table({row}));
  return {};
}

Status list_budgets(const Settings& settings, const LimitArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, budget_path(client, settings, given));
  MILL_TRY(const json::object list, client.get(path));
  print_answer(settings, list, budgets_table(list.at("data").as_array()));
  return {};
}

Status clear_budget(const Settings& settings, const LimitArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, budget_path(client, settings, given));
  MILL_TRY(const json::object gone, client.erase(with(path, "interval", given.interval)));
  print_answer(settings, gone, fmt::format("There is no budget per {} now\n", given.interval));
  return {};
}

using Action = Status (*)(const Settings&, const LimitArguments&);

Command& add(CommandLine& line, Command& group, const char* name, const char* help,
             const Arguments& given, Action action) {
  Command& command = line.add(&group, name, help, kDesk,
                              [given, action](const Settings& s) { return action(s, *given); });
  command.add_option("--project", given->project, "of a project, by name or id");
  return command;
}

}  // namespace

void add_limit_command(CommandLine& line) {
  Command& group = line.add(nullptr, "limit",
                            "What an organization, a project or a key may ask in a minute and a "
                            "day",
                            0, {});
  const auto given = std::make_shared<LimitArguments>();
  const auto add_limit = [&](const char* name, const char* help, Action action) -> Command& {
    Command& command = add(line, group, name, help, given, action);
    command.add_option("--key", given->key, "of a key, by name or id");
    return command;
  };
  Command& set = add_limit("set", "Set limits", set_limits);
  set.add_option("--model", given->model, "of the project, for this model alone");
  set.add_option("LIMIT", given->limits,
                 "requests_per_minute=N, requests_per_day=N, input_tokens_per_minute=N, "
                 "uncached_tokens_per_minute=N, output_tokens_per_minute=N, concurrent_requests=N")
      .required();
  add_limit("list", "List limits", list_limits);
  Command& clear = add_limit("clear", "Take limits away", clear_limits);
  clear.add_option("--model", given->model, "of the project, for this model alone");
  clear.add_option("LIMIT", given->limits, "their names").required();
}

void add_budget_command(CommandLine& line) {
  Command& group = line.add(
      nullptr, "budget", "What an organization or a project may spend in a day and a month", 0, {});
  const auto given = std::make_shared<LimitArguments>();
  Command& set = add(line, group, "set", "Set a budget", given, set_budget);
  set.add_option("INTERVAL", given->interval, "day or month, in UTC").required();
  set.add_option("AMOUNT", given->amount, "such as 25 or 12.50").required();
  add(line, group, "list", "List budgets and what is spent of them", given, list_budgets);
  add(line, group, "clear", "Take a budget away", given, clear_budget)
      .add_option("INTERVAL", given->interval, "day or month")
      .required();
}

}  // namespace mill::app
