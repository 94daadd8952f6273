#include "gateway/courier/targets.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/http_post.h"

namespace mill::gateway {

bool WebhookTargets::may_connect(std::string_view ip) const {
  const auto address = maas::parse_ip(ip);
  if (!address) return false;
  return maas::is_public(*address) ||
         std::any_of(networks.begin(), networks.end(),
                     [&](const maas::Cidr& network) { return network.contains(*address); });
}

Status WebhookTargets::check(std::string_view url) const {
  MILL_TRY(const std::string host, net::host_to_post_to(url));
  const bool literal = maas::parse_ip(host).has_value();
  const bool local = host == "localhost" || host.ends_with(".localhost");
  if ((literal && !may_connect(host)) ||
      (local && !may_connect("127.0.0.1") && !may_connect("::1"))) {
    return fail(Code::kInvalid,
                fmt::format("url points at {}, which is not of the public Internet; the operator "
                            "allows other networks by --webhook-networks",
                            host),
                "url");
  }
  return {};
}

}  // namespace mill::gateway
