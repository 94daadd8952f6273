// `"{} {name:>8}".format(…)`: Python's str.format in the sandbox.
#pragma once

#include "text/jinja/value.h"

namespace mill::text::jinja {

// What the format's own words and each argument contribute keeps its origin. Fails with kInvalid
// for a format that does not fit its arguments.
Result<Value> brace_format(Runtime& runtime, const Text& format, const Arguments& arguments);

// format(value, spec): the mini-language of widths, alignments and number formats.
Status append_formatted(Runtime& runtime, TextBuilder& out, const Value& value,
                        std::string_view spec);

}  // namespace mill::text::jinja
