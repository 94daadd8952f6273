#include "app/books/find.h"

#include <fmt/format.h>

#include <vector>

namespace mill::app {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& item, const char* member) {
  const json::value* value = item.is_object() ? item.get_object().if_contains(member) : nullptr;
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// The id of the item that `name` is the id or the name of; the only one where `name` is "".
Result<std::string> pick(const json::object& list, const std::string& name, std::string_view what) {
  std::vector<std::string> ids;
  for (const json::value& item : list.at("data").as_array()) {
    const std::string id = text_of(item, "id");
    if (!name.empty() && id == name) return id;
    if (name.empty() || text_of(item, "name") == name) ids.push_back(id);
  }
  if (ids.size() == 1) return ids[0];
  if (name.empty()) {
    if (ids.empty()) return fail(Code::kNotFound, fmt::format("there is no {} yet", what));
    return fail(Code::kInvalid, fmt::format("there are {} {}s: name one", ids.size(), what));
  }
  if (ids.empty()) return fail(Code::kNotFound, fmt::format("there is no {} '{}'", what, name));
  return fail(Code::kInvalid, fmt::format("there are {} {}s named '{}': give the id of one: {}",
                                          ids.size(), what, name, fmt::join(ids, ", ")));
}

}  // namespace

std::string in_organization(const std::string& target, const std::string& organization) {
  return with(target, "organization_id", organization);
}

Result<std::string> need_organization(const AdminClient& client, const std::string& name) {
  if (name.starts_with("org-")) return name;
  MILL_TRY(const json::object list, client.all("/v1/organizations"));
  return pick(list, name, "organization");
}

Result<std::string> find_organization(const AdminClient& client, const std::string& name) {
  if (name.empty()) return std::string();
  return need_organization(client, name);
}

Result<std::string> project_path(const AdminClient& client, const std::string& organization,
                                 const std::string& name) {
  const std::string path = "/v1/organization/projects";
  if (name.starts_with("proj_")) return path + "/" + escaped(name);
  MILL_TRY(const json::object list, client.all(in_organization(path, organization)));
  MILL_TRY(const std::string id, pick(list, name, "project"));
  return path + "/" + escaped(id);
}

Result<std::string> key_path(const AdminClient& client, const std::string& organization,
                             const std::string& project, const std::string& name) {
  std::vector<std::string> places;
  if (!project.empty()) {
    MILL_TRY(places.emplace_back(), project_path(client, organization, project));
  } else {
    MILL_TRY(const json::object list,
             client.all(in_organization("/v1/organization/projects", organization)));
    for (const json::value& item : list.at("data").as_array())
      places.push_back("/v1/organization/projects/" + escaped(text_of(item, "id")));
  }
  std::vector<std::string> found;
  for (const std::string& place : places) {
    MILL_TRY(const json::object keys, client.all(place + "/api_keys"));
    for (const json::value& key : keys.at("data").as_array()) {
      const std::string id = text_of(key, "id");
      if (id == name) return place + "/api_keys/" + escaped(id);
      if (text_of(key, "name") == name) found.push_back(place + "/api_keys/" + escaped(id));
    }
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) return fail(Code::kNotFound, fmt::format("there is no key '{}'", name));
  for (std::string& path : found) path = path.substr(path.rfind('/') + 1);
  return fail(Code::kInvalid, fmt::format("there are {} keys named '{}': give the id of one: {}",
                                          found.size(), name, fmt::join(found, ", ")));
}

Result<std::string> admin_key_path(const AdminClient& client, const std::string& organization,
                                   const std::string& name) {
  const std::string path = "/v1/organization/admin_api_keys";
  if (name.starts_with("key_")) return path + "/" + escaped(name);
  MILL_TRY(const json::object list, client.all(in_organization(path, organization)));
  MILL_TRY(const std::string id, pick(list, name, "admin key"));
  return path + "/" + escaped(id);
}

}  // namespace mill::app
