// The filters: `value | name(arguments)`.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

using Filter = Result<Value> (*)(Runtime&, const Value& input, Arguments& arguments);

struct NamedFilter {
  std::string_view name;
  Filter filter;
};

// One table per file; find_filter looks them up.
std::span<const NamedFilter> text_filters();
std::span<const NamedFilter> number_filters();
std::span<const NamedFilter> sequence_filters();
std::span<const NamedFilter>
order_filters();  // sort, unique, groupby, min …: by the order of values
std::span<const NamedFilter> select_filters();

// Null for a filter that jinja2 does not have.
Filter find_filter(std::string_view name);

}  // namespace mill::text::jinja
