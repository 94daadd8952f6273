// `"%s" % value`: Python's printf-style formatting.
#pragma once

#include "text/jinja/value.h"

namespace mill::text::jinja {

// What the format's own words and each argument contribute keeps its origin. Fails with kInvalid
// for a format that does not fit its arguments.
Result<Value> percent_format(Runtime& runtime, const Text& format, const Value& arguments);

}  // namespace mill::text::jinja
