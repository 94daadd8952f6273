#include "gateway/who.h"

#include "gateway/cache_salts.h"
#include "gateway/client_address.h"
#include "gateway/gateway.h"

namespace mill::gateway {

Result<maas::Caller> identify(const Options& options, const net::HttpExchange& http) {
  const maas::Office& office = *options.office;
  const std::string_view key = credentials_of(http.request());
  if (key.empty()) {
    return fail(Code::kPermission,
                "this server needs a key: send it as `Authorization: Bearer sk-...`", "key");
  }
  // The address matters to few keys, and costs a system call.
  Result<maas::Caller> caller = office.keyring().identify(key, {});
  if (caller || caller.error().param != "ip") return caller;
  return office.keyring().identify(
      key, client_address(http.request(), http.peer_address(), options.trusted_proxies));
}

}  // namespace mill::gateway
