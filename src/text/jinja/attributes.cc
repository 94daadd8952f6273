#include "text/jinja/attributes.h"

#include <algorithm>

#include "text/jinja/compare.h"
#include "text/jinja/macro.h"
#include "text/jinja/methods.h"
#include "text/jinja/number_text.h"
#include "text/jinja/repr.h"
#include "text/jinja/string_literal.h"

namespace mill::text::jinja {
namespace {

const Method* find_in(std::span<const Method> table, std::string_view name) {
  for (const Method& method : table) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

bool changes(const Value& object, std::string_view name) {
  static constexpr std::string_view kOfLists[] = {"append", "clear", "pop",    "reverse",
                                                  "insert", "sort",  "extend", "remove"};
  static constexpr std::string_view kOfDicts[] = {"clear", "pop", "popitem", "setdefault",
                                                  "update"};
  if (object.is(Kind::kList))
    return std::find(std::begin(kOfLists), std::end(kOfLists), name) != std::end(kOfLists);
  return object.is(Kind::kDict) &&
         std::find(std::begin(kOfDicts), std::end(kOfDicts), name) != std::end(kOfDicts);
}

// The attributes that every object of Python has, as far as templates are known to try them.
bool is_internal(std::string_view name) {
  static constexpr std::string_view kInternal[] = {
      "__call__",        "__class__",  "__delattr__",       "__dir__",     "__doc__",
      "__eq__",          "__format__", "__getattribute__",  "__getitem__", "__globals__",
      "__hash__",        "__init__",   "__init_subclass__", "__iter__",    "__len__",
      "__module__",      "__ne__",     "__new__",           "__reduce__",  "__reduce_ex__",
      "__repr__",        "__self__",   "__setattr__",       "__sizeof__",  "__str__",
      "__subclasshook__"};
  return std::find(std::begin(kInternal), std::end(kInternal), name) != std::end(kInternal);
}

Value unsafe(const Value& object, std::string_view name) {
  return make_undefined("SecurityError: access to attribute '" + std::string(name) + "' of '" +
                        type_name(object) + "' object is unsafe.");
}

Result<Value> loop_property(Loop& loop, std::string_view name) {
  if (name == "index") return Value::integer(loop.index0 + 1);
  if (name == "index0") return Value::integer(loop.index0);
  if (name == "first") return Value::boolean(loop.index0 == 0);
  if (name == "depth") return Value::integer(loop.depth0 + 1);
  if (name == "depth0") return Value::integer(loop.depth0);
  if (name == "previtem")
    return loop.index0 == 0 ? make_undefined("there is no previous item") : loop.before;
  if (name == "last" || name == "nextitem") {
    MILL_TRY(const bool more, loop.peek());
    if (name == "last") return Value::boolean(!more);
    return more ? *loop.after : make_undefined("there is no next item");
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    MILL_TRY(const int64_t length, loop.count());
    if (name == "length") return Value::integer(length);
    return Value::integer(length - loop.index0 - (name == "revindex" ? 0 : 1));
  }
  return Value();
}

Result<Value> macro_property(const Macro& macro, std::string_view name) {
  if (name == "name")
    return macro.body->name.empty() ? Value::none() : Value::text(macro.body->name);
  if (name == "arguments") return macro_arguments(macro);
  if (name == "catch_kwargs") return Value::boolean(macro.body->takes_named);
  if (name == "catch_varargs") return Value::boolean(macro.body->takes_rest);
  if (name == "caller") return Value::boolean(macro.body->takes_caller);
  return Value();
}

Value range_property(const Range& range, std::string_view name) {
  if (name == "start") return Value::integer(range.start);
  if (name == "stop") return Value::integer(range.stop);
  if (name == "step") return Value::integer(range.step);
  return {};
}

// What is no method: of loops, macros, ranges, groups, cyclers, joiners and namespaces.
Result<Value> plain_property(Runtime& runtime, const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kLoop:
      return loop_property(object.loop(), name);
    case Kind::kMacro:
      return macro_property(object.macro(), name);
    case Kind::kRange:
      return range_property(object.range(), name);
    case Kind::kNamespace: {
      MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(object.names().entries.size())));
      const Value* found = object.names().find(name);
      return found ? *found : Value();
    }
    case Kind::kTuple: {
      if (!object.sequence().group) return Value();
      if (name == "grouper") return object.sequence().items[0];
      return name == "list" ? object.sequence().items[1] : Value();
    }
    case Kind::kCycler:
      if (name == "current") return object.cycler().items[object.cycler().position];
      return name == "pos" ? Value::integer(static_cast<int64_t>(object.cycler().position))
                           : Value();
    case Kind::kJoiner:
      if (name == "sep") return object.joiner().separator;
      return name == "used" ? Value::boolean(object.joiner().used) : Value();
    default:
      return Value();
  }
}

std::string described(const Value& object) {
  return object.is(Kind::kNone) ? "None" : type_name(object) + " object";
}

Value no_attribute(const Value& object, std::string_view name) {
  std::string quoted;
  append_quoted(quoted, name);
  return make_undefined("'" + described(object) + "' has no attribute " + quoted);
}

Result<Value> no_item(Runtime& runtime, const Value& object, const Value& key) {
  if (key.is_text()) return no_attribute(object, key.text().bytes());
  if (!key.is_number()) return make_undefined(described(object) + " has no such element");
  TextBuilder shown(runtime.budget);
  MILL_TRY_DO(append_repr(runtime, shown, key));
  MILL_TRY(const Text text, shown.take());
  return make_undefined(described(object) + " has no element " + std::string(text.bytes()));
}

// object[key] where it exists; missing elsewhere.
Result<Value> item_of(Runtime& runtime, const Value& object, const Value& key) {
  MILL_TRY_DO(runtime.budget.spend(1));
  if (object.is(Kind::kDict)) {
    const Value* found = hashable(key) ? object.dict().find(key) : nullptr;
    return found ? *found : Value();
  }
  if (!key.is_whole()) return Value();
  Wide index = key.whole();
  const auto inside = [&index](int64_t size) {
    if (index < 0) index += size;
    return index >= 0 && index < size;
  };
  if (object.is_text()) {
    const Text& text = object.text();
    if (!inside(text.length())) return Value();
    if (!text.ascii()) MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(text.bytes().size())));
    const size_t from = text.offset_of(static_cast<int64_t>(index));
    return make_slice(runtime, text, from, text.offset_of(static_cast<int64_t>(index) + 1));
  }
  if (object.is_sequence()) {
    const Items& items = object.sequence().items;
    return inside(static_cast<int64_t>(items.size())) ? items[static_cast<size_t>(index)] : Value();
  }
  if (object.is(Kind::kRange)) {
    const Range& range = object.range();
    return inside(range.size())
               ? Value::integer(range.start + static_cast<int64_t>(index) * range.step)
               : Value();
  }
  return Value();
}

}  // namespace

const Method* find_method(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::kText:
      for (const auto table : {text_search_methods(), text_split_methods(), text_case_methods(),
                               text_layout_methods()}) {
        if (const Method* found = find_in(table, name)) return found;
      }
      return nullptr;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
      if (name == "copy" && !self.is(Kind::kList)) return nullptr;
      return find_in(sequence_methods(), name);
    case Kind::kDict:
      return find_in(dict_methods(), name);
    case Kind::kLoop:
      return find_in(loop_methods(), name);
    case Kind::kCycler:
      return find_in(cycler_methods(), name);
    default:
      return nullptr;
  }
}

Result<Value> get_property(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.undefined()) {
    if (name == "__class__" || name == "__init__") return unsafe(object, name);
    return use_of_undefined(object);
  }
  if (is_internal(name)) return unsafe(object, name);
  if (const Method* method = find_method(object, name)) {
    return make_function(runtime, method->name, method->call, object);
  }
  if (changes(object, name)) return unsafe(object, name);
  MILL_TRY(const Value found, plain_property(runtime, object, name));
  if (!found.missing() && name.starts_with('_')) return unsafe(object, name);
  return found;
}

Result<Value> get_attribute(Runtime& runtime, const Value& object, std::string_view name) {
  MILL_TRY(Value found, get_property(runtime, object, name));
  if (!found.missing()) return found;
  MILL_TRY_DO(runtime.budget.spend(1));
  if (object.is(Kind::kDict)) {
    if (const Value* item = object.dict().find(name)) return *item;
  }
  return no_attribute(object, name);
}

Result<Value> get_item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.undefined()) return use_of_undefined(object);
  MILL_TRY(Value found, item_of(runtime, object, key));
  if (!found.missing()) return found;
  if (key.is_text()) {
    MILL_TRY(found, get_property(runtime, object, key.text().bytes()));
    if (!found.missing()) return found;
  }
  return no_item(runtime, object, key);
}

Result<AttributePath> AttributePath::read(const Value& attribute) {
  AttributePath path;
  if (attribute.missing() || attribute.is(Kind::kNone)) return path;
  if (!attribute.is_text()) {
    path.parts.push_back(attribute);
    return path;
  }
  std::string_view rest = attribute.text().bytes();
  for (;;) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool number =
        !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    if (number) {
      auto whole = *read_integer(part, 10);
      if (!whole) return fail(whole.error());
      path.parts.push_back(std::move(*whole));
    } else {
      path.parts.push_back(Value::text(part));
    }
    if (dot == std::string_view::npos) return path;
    rest.remove_prefix(dot + 1);
  }
}

Result<Value> AttributePath::of(Runtime& runtime, const Value& item, const Value& standard) const {
  Value found = item;
  for (const Value& part : parts) {
    MILL_TRY(found, get_item(runtime, found, part));
    if (found.undefined() && !standard.missing()) found = standard;
  }
  return found;
}

}  // namespace mill::text::jinja
