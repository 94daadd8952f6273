#include "gateway/who.h"

#include "gateway/cache_salts.h"

namespace mill::gateway {

std::string_view key_of(const net::HttpRequest& request) {
  const std::string_view bearer = credentials_of(request);
  if (!bearer.empty()) return bearer;
  return request.header("x-api-key").value_or(std::string_view());
}

Result<maas::Caller> identify(const maas::Office& office, const net::HttpExchange& http) {
  const std::string_view key = key_of(http.request());
  if (key.empty()) {
    return fail(Code::kPermission,
                "this server needs a key: send it as `Authorization: Bearer sk-...`", "key");
  }
  return office.keyring().identify(key, http.peer_address());
}

}  // namespace mill::gateway
