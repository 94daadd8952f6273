// Small types that many rooms share.
#pragma once

#include <cstdint>
#include <string>

namespace mill {

using TokenId = int32_t;  // an index into a model's vocabulary
inline constexpr TokenId kNoToken = -1;

// The id a request carries through logs, replies (X-Request-Id) and, later, the ledger.
using RequestId = std::string;

}  // namespace mill
