// What a name, an e-mail address or the name of a model may look like. Pure; any thread.
#pragma once

#include <string_view>

#include "base/result.h"

namespace mill::maas {

inline constexpr size_t kMaxName = 128;   // bytes
inline constexpr size_t kMaxEmail = 254;  // RFC 5321
inline constexpr size_t kMaxModel = 128;

// Valid UTF-8 (RFC 3629) without control characters (also not those of U+0080 … U+009F).
bool is_plain_utf8(std::string_view text);

// kInvalid, with `field` as param: empty, blank at an end, too long, no UTF-8, control characters.
Status check_name(std::string_view text, const char* field, size_t longest = kMaxName);
// One '@' with something on both sides, no spaces.
Status check_email(std::string_view text);
// "requests_per_minute": lower-case letters, digits and '_', at most 64.
Status check_limit_name(std::string_view text);

}  // namespace mill::maas
