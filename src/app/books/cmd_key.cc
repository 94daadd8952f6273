// tokenmill key …, tokenmill admin-key …
#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <vector>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/table.h"
#include "base/clock.h"
#include "maas/catalog/civil_time.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct KeyArguments {
  std::string name, other, project, expires, user, service_account;
  std::vector<std::string> models, networks;
  bool revoked = false;
};

// "never", a date or an instant, or so long from now: "90d", "12h".
Result<json::value> expiry(const std::string& text) {
  if (text == "never") return json::value();
  const char unit = text.empty() ? ' ' : text.back();
  const std::string digits = text.substr(0, text.size() - (text.empty() ? 0 : 1));
  const int64_t seconds = unit == 'd' ? 86'400 : unit == 'h' ? 3'600 : unit == 'm' ? 60 : 0;
  const bool number = !digits.empty() && digits.size() < 9 &&
                      digits.find_first_not_of("0123456789") == std::string::npos;
  if (seconds > 0 && number) return json::value(unix_seconds() + std::stoll(digits) * seconds);
  const auto at = maas::parse_instant(text, "expires");
  if (at) return json::value(*at / maas::kNanosPerSecond);
  return fail(
      Code::kInvalid,
      fmt::format("--expires {}: give never, a date such as 2027-01-31, or 90d, 12h, 30m", text),
      "expires");
}

// What create and update have in common. A list of one "any" takes a list away.
Result<json::object> body_of(const KeyArguments& given, bool admin) {
  json::object body;
  if (!given.expires.empty()) {
    MILL_TRY(body["expires_at"], expiry(given.expires));
  }
  const auto put = [&](const char* member, const std::vector<std::string>& list) {
    if (list.empty()) return;
    if (list.size() == 1 && list[0] == "any")
      body[member] = nullptr;
    else
      body[member] = json::value_from(list);
  };
  if (!admin) put("models", given.models);
  put("ip_allow_list", given.networks);
  if (!given.user.empty()) body["user_id"] = given.user;
  if (!given.service_account.empty()) body["service_account_id"] = given.service_account;
  return body;
}

void print_key(const Settings& settings, const json::object& key) {
  std::string text = lines(key, {{"id", "id"},
                                 {"name", "name"},
                                 {"key", "redacted_value"},
                                 {"models", "models"},
                                 {"from networks", "ip_allow_list"},
                                 {"created", "created_at"},
                                 {"expires", "expires_at"},
                                 {"revoked", "revoked_at"}});
  if (const json::value* secret = key.if_contains("value"); secret && secret->is_string()) {
    text += fmt::format("\nThe key itself, shown this once:\n\n  {}\n",
                        std::string_view(secret->get_string()));
  }
  print_answer(settings, key, text);
}

Status create(const Settings& settings, const KeyArguments& given, bool admin) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  MILL_TRY(json::object body, body_of(given, admin));
  body["name"] = given.name;
  std::string path = "/v1/organization/admin_api_keys";
  if (!admin) {
    MILL_TRY(const std::string project, project_path(client, org, given.project));
    path = project + "/api_keys";
  }
  MILL_TRY(const json::object key, client.post(in_organization(path, org), body));
  print_key(settings, key);
  return {};
}

Status list(const Settings& settings, const KeyArguments& given, bool admin) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  std::string path = "/v1/organization/admin_api_keys";
  if (!admin) {
    MILL_TRY(const std::string project, project_path(client, org, given.project));
    path = project + "/api_keys";
  }
  MILL_TRY(const json::object all, client.all(with(in_organization(path, org), "include_archived",
                                                   given.revoked ? "true" : "")));
  print_answer(settings, all,
               table(all.at("data").as_array(), {{"ID", "id"},
                                                 {"NAME", "name"},
                                                 {"KEY", "redacted_value"},
                                                 {"MODELS", "models"},
                                                 {"CREATED", "created_at"},
                                                 {"EXPIRES", "expires_at"},
                                                 {"REVOKED", "revoked_at"}}));
  return {};
}

Result<std::string> path_of(const AdminClient& client, const Settings& settings,
                            const KeyArguments& given, bool admin) {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  if (admin) return admin_key_path(client, org, given.name);
  return key_path(client, org, given.project, given.name);
}

Status show(const Settings& settings, const KeyArguments& given, bool admin) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given, admin));
  MILL_TRY(const json::object key, client.get(path));
  print_key(settings, key);
  return {};
}

Status revoke(const Settings& settings, const KeyArguments& given, bool admin) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given, admin));
  MILL_TRY(const json::object gone, client.erase(path));
  print_answer(settings, gone, fmt::format("{} is revoked\n", cell(gone, "id")));
  return {};
}

Status rotate(const Settings& settings, const KeyArguments& given, bool admin) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given, admin));
  MILL_TRY(const json::object key, client.post(path + "/rotate"));
  print_key(settings, key);
  return {};
}

Status update(const Settings& settings, const KeyArguments& given, bool admin) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(json::object body, body_of(given, admin));
  if (!given.other.empty()) body["name"] = given.other;
  if (body.empty())
    return fail(Code::kInvalid, "say what to change: --name, --expires, --model or --network");
  MILL_TRY(const std::string path, path_of(client, settings, given, admin));
  MILL_TRY(const json::object key, client.post(path, body));
  print_key(settings, key);
  return {};
}

void add_restrictions(Command& command, KeyArguments& given, bool admin) {
  command.add_option("--expires", given.expires,
                     "never, a date such as 2027-01-31, or 90d, 12h, 30m");
  if (!admin) {
    command
        .add_option("--model", given.models,
                    "a model it may ask (repeat for more); any takes the list away")
        .type_name("MODEL");
  }
  command
      .add_option("--network", given.networks,
                  "where it may be used from, such as 10.0.0.0/8 (repeat for more); any takes the "
                  "list away")
      .type_name("CIDR");
}

void add_commands(CommandLine& line, Command& group, bool admin) {
  const auto given = std::make_shared<KeyArguments>();
  const auto add = [&](const char* name, const char* help,
                       Status (*action)(const Settings&, const KeyArguments&, bool)) -> Command& {
    Command& command =
        line.add(&group, name, help, kDesk, [given, action, admin](const Settings& settings) {
          return action(settings, *given, admin);
        });
    if (!admin) command.add_option("--project", given->project, "its project, by name or id");
    return command;
  };
  const auto named = [&](Command& command) -> Command& {
    command.add_option("KEY", given->name, "its name or id").required();
    return command;
  };
  Command& made = add("create", "Make a key, and show it once", create);
  made.add_option("NAME", given->name, "what it is called").required();
  made.add_option("--user", given->user, "the id of the user whose key it is");
  if (!admin) {
    made.add_option("--service-account", given->service_account,
                    "the id of the service account whose key it is");
  }
  add_restrictions(made, *given, admin);
  add("list", "List keys", list).add_flag("--revoked", given->revoked, "those that are over too");
  named(add("show", "Show a key, without its secret", show));
  named(add("revoke", "End a key", revoke));
  named(add("rotate", "Give a key a new secret, and show it once; the old one ends", rotate));
  Command& changed = named(add("update", "Change a key's name or what it may do", update));
  changed.add_option("--name", given->other, "the new name");
  add_restrictions(changed, *given, admin);
}

}  // namespace

void add_key_command(CommandLine& line) {
  add_commands(line, line.add(nullptr, "key", "Keys of projects, which ask models", 0, {}), false);
}

void add_admin_key_command(CommandLine& line) {
  add_commands(
      line,
      line.add(nullptr, "admin-key",
               "Keys that administrate: the operator's, or with --org an organization's", 0, {}),
      true);
}

}  // namespace mill::app
