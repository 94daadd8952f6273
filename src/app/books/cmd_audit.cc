// tokenmill audit
#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <vector>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/table.h"
#include "maas/catalog/civil_time.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct AuditArguments {
  int64_t count = 50;
  std::string project, since, until;
  std::vector<std::string> types, actors;
};

// "name Ada -> Ada & Co, weight 1 -> 2.5"
std::string changes_of(const json::object& event) {
  std::string text;
  const json::value* changes = event.if_contains("changes");
  for (const json::value& change : changes ? changes->as_array() : json::array()) {
    const json::object& one = change.as_object();
    const std::string before = cell(one, "before"), after = cell(one, "after");
    text += (text.empty() ? "" : ", ") + cell(one, "name") + " ";
    text += before.empty() ? after : fmt::format("{} -> {}", before, after.empty() ? "-" : after);
  }
  return text;
}

Result<std::string> target_of(const AdminClient& client, const Settings& settings,
                              const AuditArguments& given) {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  std::string target = in_organization("/v1/organization/audit_logs", org);
  for (const std::string& type : given.types) target = with(target, "event_types[]", type);
  for (const std::string& actor : given.actors) target = with(target, "actor_ids[]", actor);
  if (!given.project.empty()) {
    MILL_TRY(const std::string path, project_path(client, org, given.project));
    target = with(target, "project_ids[]", path.substr(path.rfind('/') + 1));
  }
  for (const auto& [text, name] : {std::pair(&given.since, "effective_at[gte]"),
                                   std::pair(&given.until, "effective_at[lt]")}) {
    if (text->empty()) continue;
    MILL_TRY(const int64_t at, maas::parse_instant(*text, name));
    target = with(target, name, std::to_string(at / maas::kNanosPerSecond));
  }
  return target;
}

Status audit(const Settings& settings, const AuditArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string target, target_of(client, settings, given));
  json::array events;
  std::string after;
  bool more = true;
  while (more && static_cast<int64_t>(events.size()) < given.count) {
    const int64_t left = std::min<int64_t>(given.count - static_cast<int64_t>(events.size()), 100);
    MILL_TRY(const json::object page,
             client.get(with(with(target, "limit", std::to_string(left)), "after", after)));
    for (const json::value& event : page.at("data").as_array()) events.push_back(event);
    after = cell(page, "last_id");
    more = page.at("has_more") == true;
  }
  const json::object answer{{"object", "list"}, {"data", events}, {"has_more", more}};
  for (json::value& event : events)
    event.as_object()["shown_changes"] = changes_of(event.as_object());
  print_answer(settings, answer,
               table(events, {{"WHEN", "effective_at"},
                              {"WHAT", "type"},
                              {"WHO", "actor.id"},
                              {"PROJECT", "project.name"},
                              {"CHANGES", "shown_changes"}}));
  return {};
}

}  // namespace

void add_audit_command(CommandLine& line) {
  const auto given = std::make_shared<AuditArguments>();
  Command& command =
      line.add(nullptr, "audit", "Show who changed what, the newest first", kDesk,
               [given](const Settings& settings) { return audit(settings, *given); });
  command.add_option("--count", given->count, "how many events").range(1, 1000000);
  command.add_option("--type", given->types, "such as api_key.created (repeat for more)");
  command.add_option("--actor", given->actors, "the id of a key (repeat for more)");
  command.add_option("--project", given->project, "by name or id");
  command.add_option("--since", given->since, "an instant or a day, in UTC");
  command.add_option("--until", given->until, "an instant or a day, in UTC; itself not shown");
}

}  // namespace mill::app
