// str() and repr() of values.
#pragma once

#include "text/jinja/value.h"

namespace mill::text::jinja {

// Appends str(value), as {{ value }} prints it. A string keeps the origin of its bytes; a container
// is the template's own words only if every string in it is.
Status append_str(Runtime& runtime, TextBuilder& out, const Value& value);
// Appends repr(value); `ascii_only` as ascii(value).
Status append_repr(Runtime& runtime, TextBuilder& out, const Value& value, bool ascii_only = false);
// str(value) as a text value; a text stays as it is (a Markup too).
Result<Value> to_str(Runtime& runtime, const Value& value);

// True when every string in the value is the template's own.
bool all_trusted(Runtime& runtime, const Value& value);

// Appends `text` with & < > ' " as HTML entities, as Markup does.
void append_escaped(TextBuilder& out, const Text& text);
// escape(value): a Markup.
Result<Value> escape(Runtime& runtime, const Value& value);

}  // namespace mill::text::jinja
