// The functions that every template can call: range, namespace, dict, cycler, joiner and the hub's
// raise_exception and strftime_now.
#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

// Missing for a name that is no global.
Value find_global(std::string_view name);

// Sets an attribute of a namespace. Fails with kInvalid for names with an underscore in front, as
// the hub's sandbox does.
Status set_attribute(Runtime& runtime, Namespace& names, std::string_view name, Value value);

// datetime.strftime() of a moment in UTC, in the C locale.
Result<std::string> format_time(int64_t unix_time, std::string_view format);

}  // namespace mill::text::jinja
