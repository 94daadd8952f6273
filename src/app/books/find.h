// Organizations, projects and keys by id or by name, as people type them.
#pragma once

#include <string>

#include "app/books/admin_client.h"
#include "base/result.h"

namespace mill::app {

// All fail with kNotFound, or kInvalid where a name is that of several: then the sentence has their
// ids.
//
// The id of the organization `name`; "" stays "", and then the server takes the only one there is.
Result<std::string> find_organization(const AdminClient& client, const std::string& name);
// The same, but "" is the only one there is.
Result<std::string> need_organization(const AdminClient& client, const std::string& name);

// "/v1/organization/projects/proj_…"; "" is the organization's only one. `organization` is an id or
// "".
Result<std::string> project_path(const AdminClient& client, const std::string& organization,
                                 const std::string& name);
// "/v1/organization/projects/proj_…/api_keys/key_…", looked for in `project`, or where that is ""
// in all of the organization's.
Result<std::string> key_path(const AdminClient& client, const std::string& organization,
                             const std::string& project, const std::string& name);
// "/v1/organization/admin_api_keys/key_…"
Result<std::string> admin_key_path(const AdminClient& client, const std::string& organization,
                                   const std::string& name);

// `target` within an organization; "" leaves it to the server.
std::string in_organization(const std::string& target, const std::string& organization);

}  // namespace mill::app
