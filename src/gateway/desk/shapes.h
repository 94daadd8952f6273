// How things look on the wire: OpenAI's objects, with what is ours beside it. Instants are seconds
// since 1970, money is decimal text. Nothing here has a secret or its hash.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/desk/desk.h"
#include "maas/tenancy/directory.h"

namespace mill::gateway::desk {

json::value seconds(int64_t ns);           // null for 0
std::string money(ledger::Nano amount);    // "12.50"
json::string text(std::string_view text);  // as JSON's own

json::object show(const maas::Directory& directory, const maas::Organization& organization);
json::object show(const maas::Directory& directory, const maas::Project& project);
json::object show(const maas::Directory& directory, const maas::ServiceAccount& account);
json::object show(const maas::Directory& directory, const maas::User& user);
// Of either kind: organization.project.api_key or organization.admin_api_key.
json::object show(const maas::Directory& directory, const maas::Key& key);

// {"id":…,"object":"OBJECT.deleted","deleted":true}
json::object show_deleted(std::string_view object, std::string_view id);

// {"object":"list","data":[…],"first_id":…,"last_id":…,"has_more":…}; the ids are those of the
// items.
json::object show_list(json::array data, bool has_more);

// The part of a short list that the query's limit, after, before and order ask for. kInvalid for an
// id that is not in it.
Result<json::object> show_part(json::array all, const Query& query, int64_t usual_limit);

// limit, after and include_archived of the query.
Result<maas::PageRequest> page_of(const Query& query, int64_t usual_limit = 20);

template <class T>
json::object show_page(const maas::Directory& directory, const maas::PageOf<T>& page) {
  json::array data;
  for (const auto& item : page.items) data.push_back(show(directory, item.record));
  return show_list(std::move(data), page.has_more);
}

}  // namespace mill::gateway::desk
