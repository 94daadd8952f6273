#include "gateway/who.h"

#include "gateway/cache_salts.h"

namespace mill::gateway {

Result<maas::Caller> identify(const maas::Office& office, const net::HttpExchange& http) {
  const std::string_view key = credentials_of(http.request());
  if (key.empty()) {
    return fail(Code::kPermission,
                "this server needs a key: send it as `Authorization: Bearer sk-...`", "key");
  }
  // The address matters to few keys, and costs a system call.
  Result<maas::Caller> caller = office.keyring().identify(key, {});
  if (caller || caller.error().param != "ip") return caller;
  return office.keyring().identify(key, http.peer_address());
}

}  // namespace mill::gateway
