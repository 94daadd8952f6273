// Python's truth, equality and order of values.
#pragma once

#include "text/jinja/value.h"

namespace mill::text::jinja {

bool truth(const Value& value);
Result<bool> equal(Runtime&, const Value& a, const Value& b);
// a < b. Fails with kInvalid for kinds that Python does not order.
Result<bool> less(Runtime&, const Value& a, const Value& b);
// `item in container`. Reads an iterator up to the item, as Python does.
Result<bool> contains(Runtime&, const Value& container, const Value& item);

enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
Result<bool> compare(Runtime&, Comparison comparison, const Value& a, const Value& b);

// A total order of hashable values in which exactly the values that Python calls equal keys are
// equal: negative, 0 or positive.  Requires: both are hashable
int key_order(const Value& a, const Value& b);
int key_order(const Value& a, std::string_view text);
int compare_numbers(const Value& a, const Value& b);  // Requires: numbers, none of them NaN

// The failure of using an undefined value.
tl::unexpected<Error> use_of_undefined(const Value& undefined);

}  // namespace mill::text::jinja
