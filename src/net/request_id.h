// The name of a request in logs and replies (X-Request-Id).
#pragma once

#include <string_view>

#include "base/ids.h"

namespace mill::net {

// Fresh and unguessable: "req_" and 128 random bits in hex. Any thread.
RequestId new_request_id();
// 64 random bits from the same source.
uint64_t random_bits();
// A client's own id is kept when it is 1 to 128 of [A-Za-z0-9_-], so that it can't forge a log line
// or a header.
bool is_sane_request_id(std::string_view id);

}  // namespace mill::net
