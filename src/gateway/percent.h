// Percent-escapes in the path of a request (RFC 3986 §2.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mill::gateway {

// Nothing when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace mill::gateway
