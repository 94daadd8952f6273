// /v1/organization/audit_logs: who changed what, the newest first.
#include <fmt/format.h>

#include "gateway/desk/desk.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"

namespace mill::gateway::desk {
namespace {

using maas::AuditEvent;
using maas::AuditFilter;
using maas::Directory;
using maas::IdKind;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kLastSecond = INT64_MAX / kSecond - 1;

// Instants are whole seconds to the client: `gt` and `lte` are about all of that second.
Status read_range(const Query& query, AuditFilter& filter) {
  struct {
    std::string_view name;
    int64_t add;
    bool from;
  } const bounds[] = {{"effective_at[gte]", 0, true},
                      {"effective_at[gt]", 1, true},
                      {"effective_at[lt]", 0, false},
                      {"effective_at[lte]", 1, false}};
  for (const auto& bound : bounds) {
    MILL_TRY(const auto at, query.integer(bound.name, 0, kLastSecond));
    if (!at) continue;
    const int64_t ns = (*at + bound.add) * kSecond;
    if (bound.from)
      filter.from_ns = std::max(filter.from_ns, ns);
    else
      filter.to_ns = std::min(filter.to_ns, ns);
  }
  return {};
}

// The keys that act for users of these addresses. The journal knows actors by their keys.
void add_actors_of(const Directory& d, const std::vector<std::string>& emails,
                   std::vector<std::string>& actors) {
  for (uint64_t serial = 1; serial < d.next(IdKind::kKey); ++serial) {
    const maas::Key& key = *d.key(serial);
    const maas::User* user = key.kind == maas::KeyKind::kAdmin ? d.user(key.user) : nullptr;
    if (user && std::find(emails.begin(), emails.end(), user->email) != emails.end())
      actors.push_back(to_string(IdKind::kKey, key.id));
  }
}

// Nothing: an id that nobody has matches no event.
Result<std::optional<AuditFilter>> read_filter(const Desk& desk) {
  AuditFilter filter;
  MILL_TRY_DO(read_range(desk.query, filter));
  filter.types = desk.query.all("event_types[]");
  filter.actors = desk.query.all("actor_ids[]");
  filter.targets = desk.query.all("resource_ids[]");
  const auto emails = desk.query.all("actor_emails[]");
  return desk.read([&](const Directory& d) -> Result<std::optional<AuditFilter>> {
    if (desk.organization || !desk.is_operator()) {
      MILL_TRY(filter.org, find_organization(desk, d));
    }
    for (const std::string& id : desk.query.all("project_ids[]")) {
      MILL_TRY(const uint64_t project, find_project(desk, d, id));
      filter.projects.push_back(project);
    }
    if (!emails.empty()) {
      add_actors_of(d, emails, filter.actors);
      if (filter.actors.empty()) return std::optional<AuditFilter>();
    }
    return std::optional(std::move(filter));
  });
}

json::object show_actor(const Directory& d, const std::string& actor) {
  json::object shown{{"id", actor}};
  const auto serial = d.find(IdKind::kKey, actor);
  if (!serial) {
    shown["type"] = "system";
    return shown;
  }
  const maas::Key& key = *d.key(*serial);
  json::object by{{"id", actor}, {"name", key.name}};
  if (const maas::User* user = d.user(key.user)) {
    by["type"] = "user";
    by["user"] = json::object{{"id", to_string(IdKind::kUser, user->id)}, {"email", user->email}};
  }
  shown["type"] = "api_key";
  shown["api_key"] = std::move(by);
  return shown;
}

// OpenAI has the details under the event's own name: `data` of what was made, `changes_requested`
// of what was changed.
json::object show_details(const AuditEvent& event) {
  json::object details, after;
  if (!event.target.empty()) details["id"] = event.target;
  for (const maas::AuditField& field : event.fields) after[field.name] = field.after;
  const bool made = event.type.ends_with(".created") || event.type.ends_with(".added");
  const bool changed = event.type.ends_with(".updated") || event.type.ends_with(".rotated");
  if (made) {
    details["data"] = std::move(after);
  } else if (changed) {
    details["changes_requested"] = std::move(after);
  }
  return details;
}

json::object show_event(const Directory& d, const AuditEvent& event) {
  json::object shown{{"id", event.id()},
                     {"object", "organization.audit_log"},
                     {"type", event.type},
                     {"effective_at", event.at_ns / kSecond}};
  if (const maas::Organization* org = d.organization(event.org))
    shown["organization_id"] = to_string(IdKind::kOrganization, org->id);
  if (const maas::Project* project = d.project(event.project)) {
    shown["project"] =
        json::object{{"id", to_string(IdKind::kProject, project->id)}, {"name", project->name}};
  }
  shown["actor"] = show_actor(d, event.actor);
  shown[event.type] = show_details(event);
  json::array changes;
  for (const maas::AuditField& field : event.fields) {
    changes.push_back(
        json::object{{"name", field.name}, {"before", field.before}, {"after", field.after}});
  }
  shown["changes"] = std::move(changes);
  return shown;
}

}  // namespace

Result<json::value> list_audit_logs(Desk& desk) {
  MILL_TRY(const auto limit, desk.query.integer("limit", 1, maas::kMaxPage));
  MILL_TRY(const auto after, desk.query.text("after"));
  MILL_TRY(const auto before, desk.query.text("before"));
  if (after && before) return fail(Code::kInvalid, "give 'after' or 'before', not both", "before");
  MILL_TRY(auto filter, read_filter(desk));
  if (!filter) return show_list({}, false);
  int64_t before_seq = INT64_MAX;
  if (after) {
    MILL_TRY(before_seq, maas::parse_audit_id(*after));  // the newest come first
  }
  if (before) {
    MILL_TRY(filter->after_seq, maas::parse_audit_id(*before));
  }
  MILL_TRY(
      const maas::AuditPage page,
      desk.office.keyring().audit(*filter, static_cast<size_t>(limit.value_or(20)), before_seq));
  return desk.read([&](const Directory& d) -> Result<json::value> {
    json::array data;
    for (const AuditEvent& event : page.events) data.push_back(show_event(d, event));
    return show_list(std::move(data), page.has_more);
  });
}

}  // namespace mill::gateway::desk
