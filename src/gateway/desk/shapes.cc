#include "gateway/desk/shapes.h"

#include <algorithm>

namespace mill::gateway::desk {
namespace {

using maas::Directory;
using maas::IdKind;
using maas::to_string;

constexpr int64_t kSecond = 1'000'000'000;

json::object owner_of_key(const Directory& directory, const maas::Key& key) {
  if (const maas::User* user = directory.user(key.user)) {
    return {{"type", "user"},
            {"user", json::object{{"id", to_string(IdKind::kUser, user->id)},
                                  {"email", user->email},
                                  {"name", user->name},
                                  {"created_at", seconds(user->added_ns)},
                                  {"role", text(name(user->role))}}}};
  }
  if (const auto* account = directory.service_account(key.service_account)) {
    return {
        {"type", "service_account"},
        {"service_account", json::object{{"id", to_string(IdKind::kServiceAccount, account->id)},
                                         {"name", account->name},
                                         {"created_at", seconds(account->created_ns)},
                                         {"role", "member"}}}};
  }
  const maas::Project* project = directory.project(key.project);
  json::object shown{{"type", nullptr}};  // nobody's but the project's
  if (project) {
    shown["project"] =
        json::object{{"id", to_string(IdKind::kProject, project->id)}, {"name", project->name}};
  }
  return shown;
}

json::object owner_of_admin_key(const Directory& directory, const maas::Key& key) {
  if (const maas::User* user = directory.user(key.user)) {
    return {{"type", "user"},
            {"object", "organization.user"},
            {"id", to_string(IdKind::kUser, user->id)},
            {"name", user->name},
            {"created_at", seconds(user->added_ns)},
            {"role", text(name(user->role))}};
  }
  if (const maas::Organization* org = directory.organization(key.org)) {
    return {{"type", "organization"},
            {"object", "organization"},
            {"id", to_string(IdKind::kOrganization, org->id)},
            {"name", org->name},
            {"created_at", seconds(org->created_ns)},
            {"role", "owner"}};
  }
  return {{"type", "operator"},
          {"object", "operator"},
          {"id", nullptr},
          {"name", "operator"},
          {"created_at", seconds(key.created_ns)},
          {"role", "owner"}};
}

template <class List, class Text>
json::array texts(const List& list, const Text& as_text) {
  json::array out;
  for (const auto& item : list) out.push_back(text(as_text(item)));
  return out;
}

}  // namespace

json::string text(std::string_view text) {
  return json::string(text.data(), text.size());
}

json::value seconds(int64_t ns) {
  if (ns == 0) return nullptr;
  return ns / kSecond;
}

std::string money(ledger::Nano amount) {
  std::string shown = ledger::format_amount(amount);
  const size_t point = shown.find('.');
  if (point == std::string::npos) return shown + ".00";
  if (shown.size() - point == 2) shown += '0';
  return shown;
}

json::object show(const Directory&, const maas::Organization& org) {
  return {{"id", to_string(IdKind::kOrganization, org.id)},
          {"object", "organization"},
          {"name", org.name},
          {"currency", ledger::to_string(org.currency)},
          {"created_at", seconds(org.created_ns)},
          {"archived_at", seconds(org.archived_ns)},
          {"status", org.archived_ns == 0 ? "active" : "archived"}};
}

json::object show(const Directory& directory, const maas::Project& project) {
  json::object shown{{"id", to_string(IdKind::kProject, project.id)},
                     {"object", "organization.project"},
                     {"name", project.name},
                     {"created_at", seconds(project.created_ns)},
                     {"archived_at", seconds(project.archived_ns)},
                     {"status", project.archived_ns == 0 ? "active" : "archived"},
                     {"tier", text(name(project.tier))},
                     {"weight", project.weight_milli / 1000.0}};
  if (project.weight_milli % 1000 == 0) shown["weight"] = project.weight_milli / 1000;
  if (const auto* org = directory.organization(project.org))
    shown["organization_id"] = to_string(IdKind::kOrganization, org->id);
  return shown;
}

json::object show(const Directory&, const maas::ServiceAccount& account) {
  json::object shown{{"object", "organization.project.service_account"},
                     {"id", to_string(IdKind::kServiceAccount, account.id)},
                     {"name", account.name},
                     {"role", "member"},
                     {"created_at", seconds(account.created_ns)}};
  if (account.deleted_ns != 0) shown["deleted_at"] = seconds(account.deleted_ns);
  return shown;
}

json::object show(const Directory&, const maas::User& user) {
  json::object shown{{"object", "organization.user"},
                     {"id", to_string(IdKind::kUser, user.id)},
                     {"name", user.name},
                     {"email", user.email},
                     {"role", text(name(user.role))},
                     {"added_at", seconds(user.added_ns)}};
  if (user.removed_ns != 0) shown["removed_at"] = seconds(user.removed_ns);
  return shown;
}

json::object show(const Directory& directory, const maas::Key& key) {
  const bool admin = key.kind == maas::KeyKind::kAdmin;
  json::object shown{
      {"object", admin ? "organization.admin_api_key" : "organization.project.api_key"},
      {"id", to_string(IdKind::kKey, key.id)},
      {"name", key.name},
      {"redacted_value", redacted(key.kind, key.tail)},
      {"created_at", seconds(key.created_ns)},
      {"expires_at", seconds(key.expires_ns)},
      {"last_used_at", nullptr}};
  if (admin) {
    shown["owner"] = owner_of_admin_key(directory, key);
  } else {
    shown["owner_project_access"] = "active";
    shown["owner"] = owner_of_key(directory, key);
    shown["models"] = texts(key.restrictions().models, [](const std::string& m) { return m; });
  }
  shown["ip_allow_list"] = texts(key.restrictions().networks,
                                 [](const maas::Cidr& network) { return to_string(network); });
  shown["revoked_at"] = seconds(key.revoked_ns);
  return shown;
}

json::object show_deleted(std::string_view object, std::string_view id) {
  return {{"id", text(id)}, {"object", std::string(object) + ".deleted"}, {"deleted", true}};
}

json::object show_list(json::array data, bool has_more) {
  json::value first, last;
  if (!data.empty()) {
    first = data.front().as_object().at("id");
    last = data.back().as_object().at("id");
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"first_id", std::move(first)},
          {"last_id", std::move(last)},
          {"has_more", has_more}};
}

namespace {

// Where the item of that id is; `all.size()` for none.
size_t place_of(const json::array& all, const std::string& id) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const json::value& item) {
    return item.get_object().at("id") == json::value(id);
  });
  return static_cast<size_t>(found - all.begin());
}

}  // namespace

Result<json::object> show_part(json::array all, const Query& query, int64_t usual_limit) {
  MILL_TRY(const auto given, query.integer("limit", 1, maas::kMaxPage));
  MILL_TRY(const auto order, query.text("order"));
  MILL_TRY(const auto after, query.text("after"));
  MILL_TRY(const auto before, query.text("before"));
  if (order && *order != "asc" && *order != "desc")
    return fail(Code::kInvalid, "'order' must be asc or desc", "order");
  if (after && before) return fail(Code::kInvalid, "give 'after' or 'before', not both", "before");
  if (order && *order == "desc") std::reverse(all.begin(), all.end());
  const auto limit = static_cast<size_t>(given.value_or(usual_limit));
  size_t from = 0, to = all.size();
  if (const auto& id = after ? after : before; id && !id->empty()) {
    const size_t place = place_of(all, *id);
    const char* const name = after ? "after" : "before";
    if (place == all.size())
      return fail(Code::kInvalid, std::string("'") + name + "' is not in this list", name);
    (after ? from : to) = after ? place + 1 : place;
  }
  const bool more = to - from > limit;
  if (more && before) from = to - limit;
  if (more && !before) to = from + limit;
  json::array data;
  for (size_t i = from; i < to; ++i) data.push_back(std::move(all[i]));
  return show_list(std::move(data), more);
}

Result<maas::PageRequest> page_of(const Query& query, int64_t usual_limit) {
  MILL_TRY(const auto limit, query.integer("limit", 1, maas::kMaxPage));
  MILL_TRY(auto after, query.text("after"));
  MILL_TRY(const bool ended, query.flag("include_archived"));
  return maas::PageRequest{.after = std::move(after).value_or(""),
                           .limit = static_cast<size_t>(limit.value_or(usual_limit)),
                           .include_ended = ended};
}

}  // namespace mill::gateway::desk
