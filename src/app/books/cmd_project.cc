// tokenmill project …
#include <boost/json.hpp>
#include <memory>
#include <optional>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/table.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct ProjectArguments {
  std::string name, other, tier;
  std::optional<double> weight;
  bool archived = false;
};
using Arguments = std::shared_ptr<ProjectArguments>;

constexpr const char* kPath = "/v1/organization/projects";

void print_project(const Settings& settings, const json::object& project) {
  print_answer(settings, project,
               lines(project, {{"id", "id"},
                               {"name", "name"},
                               {"organization", "organization_id"},
                               {"tier", "tier"},
                               {"weight", "weight"},
                               {"status", "status"},
                               {"created", "created_at"}}));
}

json::object share_of(const ProjectArguments& given) {
  json::object body;
  if (!given.tier.empty()) body["tier"] = given.tier;
  if (given.weight) body["weight"] = *given.weight;
  return body;
}

Status create(const Settings& settings, const ProjectArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  json::object body = share_of(given);
  body["name"] = given.name;
  MILL_TRY(const json::object made, client.post(in_organization(kPath, org), body));
  print_project(settings, made);
  return {};
}

Status list(const Settings& settings, const ProjectArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  MILL_TRY(const json::object all, client.all(with(in_organization(kPath, org), "include_archived",
                                                   given.archived ? "true" : "")));
  print_answer(settings, all,
               table(all.at("data").as_array(), {{"ID", "id"},
                                                 {"NAME", "name"},
                                                 {"TIER", "tier"},
                                                 {"WEIGHT", "weight", true},
                                                 {"STATUS", "status"},
                                                 {"CREATED", "created_at"}}));
  return {};
}

Result<std::string> path_of(const AdminClient& client, const Settings& settings,
                            const ProjectArguments& given) {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  return project_path(client, org, given.name);
}

Status show(const Settings& settings, const ProjectArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given));
  MILL_TRY(const json::object project, client.get(path));
  print_project(settings, project);
  return {};
}

Status change(const Settings& settings, const ProjectArguments& given, const std::string& what,
              const json::object& body) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given));
  MILL_TRY(const json::object project, client.post(path + what, body));
  print_project(settings, project);
  return {};
}

Status rename(const Settings& settings, const ProjectArguments& given) {
  return change(settings, given, "", {{"name", given.other}});
}
Status archive(const Settings& settings, const ProjectArguments& given) {
  return change(settings, given, "/archive", {});
}
Status share(const Settings& settings, const ProjectArguments& given) {
  json::object body = share_of(given);
  if (body.empty()) return fail(Code::kInvalid, "give --tier or --weight");
  return change(settings, given, "", body);
}

}  // namespace

void add_project_command(CommandLine& line) {
  Command& project = line.add(nullptr, "project", "Projects of an organization (--org)", 0, {});
  const auto given = std::make_shared<ProjectArguments>();
  const auto add = [&](const char* name, const char* help,
                       Status (*action)(const Settings&, const ProjectArguments&)) -> Command& {
    return line.add(&project, name, help, kDesk,
                    [given, action](const Settings& settings) { return action(settings, *given); });
  };
  const auto add_share = [&](Command& command) {
    command.add_option("--tier", given->tier, "priority, default, flex or batch");
    command.add_option("--weight", given->weight,
                       "of its share when the mill is busy, 0.001 to 1000 (1)");
  };
  Command& made = add("create", "Make a project", create);
  made.add_option("NAME", given->name, "what it is called").required();
  add_share(made);
  add("list", "List projects", list)
      .add_flag("--archived", given->archived, "those that are over too");
  add("show", "Show a project", show).add_option("PROJECT", given->name, "its name or id");
  Command& renamed = add("rename", "Give a project another name", rename);
  renamed.add_option("PROJECT", given->name, "its name or id").required();
  renamed.add_option("NAME", given->other, "the new name").required();
  add("archive", "End a project: its keys stop working", archive)
      .add_option("PROJECT", given->name, "its name or id")
      .required();
  Command& shared = add("share", "Set a project's tier and weight", share);
  shared.add_option("PROJECT", given->name, "its name or id").required();
  add_share(shared);
}

}  // namespace mill::app
