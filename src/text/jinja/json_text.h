// json.dumps() of Python, which hub templates call as the filter `tojson`.
#pragma once

#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace mill::text::jinja {

struct JsonStyle {
  bool ascii_only = false;            // ensure_ascii
  bool sorted = false;                // sort_keys
  std::optional<std::string> indent;  // of one level; nothing: all on one line
  std::string between_items = ", ";
  std::string after_key = ": ";
};

// The text is trusted only if every string in the value is. Fails with kInvalid for what JSON can't
// say (an undefined value, an iterator, a macro …).
Result<Value> to_json(Runtime& runtime, const Value& value, const JsonStyle& style);

}  // namespace mill::text::jinja
