#include "text/jinja/filters.h"

#include "text/jinja/arguments.h"
#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/json_text.h"

namespace mill::text::jinja {
namespace {

Result<Value> default_filter(Runtime&, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("default", arguments, {"default_value", "boolean"}));
  if (!input.undefined() && !(bound.flag(1, false) && !truth(input))) return input;
  return bound.has(0) ? bound[0] : Value::text("");
}

Result<Value> attr_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("attr", arguments, {"name"}, 1));
  if (!bound[0].is_text())
    return fail(Code::kInvalid, "TypeError: attr() wants the name of an attribute");
  MILL_TRY(const Value found, get_property(runtime, input, bound[0].text().bytes()));
  if (!found.missing()) return found;
  return make_undefined("'" + type_name(input) + " object' has no attribute '" +
                        std::string(bound[0].text().bytes()) + "'");
}

Status read_separators(const Value& separators, JsonStyle& style) {
  const bool pair = separators.is_sequence() && separators.sequence().items.size() == 2;
  if (!pair || !separators.sequence().items[0].is_text() ||
      !separators.sequence().items[1].is_text()) {
    return fail(Code::kInvalid, "TypeError: separators of tojson() must be two strings");
  }
  style.between_items = std::string(separators.sequence().items[0].text().bytes());
  style.after_key = std::string(separators.sequence().items[1].text().bytes());
  return {};
}

// As transformers defines it, not as jinja2 does: no HTML escapes, and json.dumps' parameters.
Result<Value> tojson_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound,
           Bound::bind("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ascii_only = bound.flag(0, false);
  style.sorted = bound.flag(3, false);
  if (bound.has(1) && !bound[1].is(Kind::kNone)) {
    if (bound[1].is_text()) {
      style.indent = std::string(bound[1].text().bytes());
    } else {
      MILL_TRY(const int64_t width, bound.number(1, 0));
      if (width > 1000) return fail(Code::kTooLarge, "the indent of tojson() is too large");
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
    style.between_items = ",";
  }
  if (bound.has(2) && !bound[2].is(Kind::kNone)) MILL_TRY_DO(read_separators(bound[2], style));
  return to_json(runtime, input, style);
}

constexpr NamedFilter kValueFilters[] = {
    {"attr", attr_filter},
    {"d", default_filter},
    {"default", default_filter},
    {"tojson", tojson_filter},
};

}  // namespace

Filter find_filter(std::string_view name) {
  for (const auto table :
       {std::span<const NamedFilter>(kValueFilters), text_filters(), number_filters(),
        sequence_filters(), order_filters(), select_filters()}) {
    for (const NamedFilter& known : table) {
      if (known.name == name) return known.filter;
    }
  }
  return nullptr;
}

}  // namespace mill::text::jinja
