// The escapes in a string of a template, and strings written the way Python's repr() does.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::text::jinja {

// What stands between the quotes, with its escapes resolved as Python's "unicode-escape" does.
// Fails with kInvalid for a broken escape and kUnsupported for \N{…} and surrogates.
Result<std::string> unescape(std::string_view literal);

// repr(text), quotes included; `ascii_only` as ascii(text).
void append_quoted(std::string& out, std::string_view text, bool ascii_only = false);

}  // namespace mill::text::jinja
