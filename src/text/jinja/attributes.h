// object.name and object[key], as jinja2's sandbox resolves them.
#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

// object.name: a method or property of the object, else its item of that name, else an undefined
// value. What the sandbox forbids (a method that changes its object, names with underscores) is an
// undefined value that fails with a SecurityError when it is used.
Result<Value> get_attribute(Runtime& runtime, const Value& object, std::string_view name);
// object[key]: the item first, then the attribute.
Result<Value> get_item(Runtime& runtime, const Value& object, const Value& key);
// The method or property alone; missing where there is none.
Result<Value> get_property(Runtime& runtime, const Value& object, std::string_view name);

// A path as filters take it in `attribute`: "a.b.0", an integer, or none. Looked up item by item.
struct AttributePath {
  Items parts;
  static Result<AttributePath> read(const Value& attribute);
  // `standard`, where not missing, stands for what is undefined on the way.
  Result<Value> of(Runtime& runtime, const Value& item, const Value& standard = Value()) const;
};

}  // namespace mill::text::jinja
