// Who may use /admin: whoever has the key; without one, programs on this machine.
#pragma once

#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace mill::gateway {

// With a `key`: the request must carry it as a bearer token, wherever it comes from. Without: the
// peer must be on this machine (`loopback`), and the request neither passed on by a proxy nor made
// by a web page, which a browser on this machine would send on a stranger's behalf. Fails with
// kPermission and says what would help. The time it takes does not depend on how much of a wrong
// key is right.
Status check_admin(const net::HttpRequest& request, bool loopback, std::string_view key);

}  // namespace mill::gateway
