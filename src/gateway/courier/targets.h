// Where webhooks may go. Whoever administrates an organization types the address, so without a
// check this server would send into its operator's own network whatever he is told to (SSRF).
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "maas/tenancy/cidr.h"

namespace mill::gateway {

struct WebhookTargets {
  std::vector<maas::Cidr> networks;  // allowed besides the public Internet

  // Whether something may be sent to the address `ip`, asked when it is about to be.
  bool may_connect(std::string_view ip) const;
  // What can be said when a webhook is set: kInvalid, param "url". A name is looked up later.
  Status check(std::string_view url) const;
};

}  // namespace mill::gateway
