#include "text/jinja/arguments.h"
#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/filters.h"
#include "text/jinja/tests.h"

namespace mill::text::jinja {
namespace {

tl::unexpected<Error> argument_error(std::string_view what) {
  return fail(Code::kInvalid, "FilterArgumentError: " + std::string(what));
}

// Runs `step` on every item and keeps what it adds to `kept`. An error is kept for who reads that
// far, as a generator would; a used up budget ends the rendering.
template <class Step>
Result<Value> generated(Runtime& runtime, const Value& input, Step step) {
  Items kept;
  const auto run = [&]() -> Status {
    MILL_TRY(Cursor cursor, Cursor::over(runtime, input));
    Value item;
    for (;;) {
      MILL_TRY(const bool any, cursor.next(item));
      if (!any) return {};
      MILL_TRY_DO(step(item, kept));
    }
  };
  if (!truth(input)) return make_iterator(runtime, {});
  const Status status = run();
  if (status) return make_iterator(runtime, std::move(kept));
  if (status.error().code == Code::kTooLarge) return fail(status.error());
  return make_iterator(runtime, std::move(kept), status.error());
}

Result<Value> failing(Runtime& runtime, const Value& input, tl::unexpected<Error> error) {
  if (!truth(input)) return make_iterator(runtime, {});
  return make_iterator(runtime, {}, std::move(error).value());
}

Result<Value> map_attribute(Runtime& runtime, const Value& input, Arguments& arguments) {
  Value attribute, standard;
  for (auto& [name, value] : arguments.named) {
    if (name == "attribute") {
      attribute = value;
    } else if (name == "default") {
      if (!value.is(Kind::kNone)) standard = value;
    } else {
      return failing(runtime, input, argument_error("Unexpected keyword argument '" + name + "'"));
    }
  }
  MILL_TRY(const AttributePath path, AttributePath::read(attribute));
  return generated(runtime, input, [&](const Value& item, Items& kept) -> Status {
    MILL_TRY(Value value, path.of(runtime, item, standard));
    kept.push_back(std::move(value));
    return {};
  });
}

bool names_attribute(const Arguments& arguments) {
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") return true;
  }
  return false;
}

Result<Value> map_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  if (arguments.positional.empty() && names_attribute(arguments))
    return map_attribute(runtime, input, arguments);
  if (arguments.positional.empty())
    return failing(runtime, input, argument_error("map requires a filter argument"));
  const Value name = arguments.positional[0];
  const Filter filter = name.is_text() ? find_filter(name.text().bytes()) : nullptr;
  if (!filter) {
    const std::string shown = name.is_text() ? std::string(name.text().bytes()) : type_name(name);
    return failing(runtime, input,
                   fail(Code::kInvalid, "TemplateRuntimeError: No filter named '" + shown + "'."));
  }
  arguments.positional.erase(arguments.positional.begin());
  return generated(runtime, input, [&](const Value& item, Items& kept) -> Status {
    Arguments copy = arguments;
    MILL_TRY(Value value, filter(runtime, item, copy));
    kept.push_back(std::move(value));
    return {};
  });
}

// select, reject and their kin by attribute.
template <bool kKeep, bool kAttribute>
Result<Value> select_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  AttributePath path;
  Items& positional = arguments.positional;
  if (kAttribute) {
    if (positional.empty())
      return failing(runtime, input, argument_error("Missing parameter for attribute name"));
    MILL_TRY(path, AttributePath::read(positional[0]));
    positional.erase(positional.begin());
  }
  Test test = nullptr;
  if (!positional.empty()) {
    const Value name = positional[0];
    test = name.is_text() ? find_test(name.text().bytes()) : nullptr;
    if (!test) {
      const std::string shown = name.is_text() ? std::string(name.text().bytes()) : type_name(name);
      return failing(runtime, input,
                     fail(Code::kInvalid, "TemplateRuntimeError: No test named '" + shown + "'."));
    }
    positional.erase(positional.begin());
  }
  return generated(runtime, input, [&](const Value& item, Items& kept) -> Status {
    MILL_TRY(const Value value, path.of(runtime, item));
    Arguments copy = arguments;
    MILL_TRY(const bool passes, test ? test(runtime, value, copy) : Result<bool>(truth(value)));
    if (passes == kKeep) kept.push_back(item);
    return {};
  });
}

}  // namespace

std::span<const NamedFilter> select_filters() {
  static const NamedFilter kFilters[] = {
      {"map", map_filter},
      {"reject", select_filter<false, false>},
      {"rejectattr", select_filter<false, true>},
      {"select", select_filter<true, false>},
      {"selectattr", select_filter<true, true>},
  };
  return kFilters;
}

}  // namespace mill::text::jinja
