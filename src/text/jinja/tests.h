// The tests: `value is name(arguments)`.
#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

using Test = Result<bool> (*)(Runtime&, const Value& input, Arguments& arguments);

// Null for a test that jinja2 does not have.
Test find_test(std::string_view name);

}  // namespace mill::text::jinja
