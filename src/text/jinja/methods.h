// The methods of values: those of Python's str, list, tuple, dict and range that the sandbox
// allows.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

struct Method {
  std::string_view name;
  Native call;
};

// One table per file; attributes.cc looks them up.
std::span<const Method> text_case_methods();
std::span<const Method> text_split_methods();
std::span<const Method> text_search_methods();
std::span<const Method> text_layout_methods();
std::span<const Method> sequence_methods();  // of lists, tuples and ranges
std::span<const Method> dict_methods();
std::span<const Method> loop_methods();
std::span<const Method> cycler_methods();

// Null for a method that values of this kind don't have.
const Method* find_method(const Value& self, std::string_view name);

}  // namespace mill::text::jinja
