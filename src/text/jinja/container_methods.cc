#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/methods.h"

namespace mill::text::jinja {
namespace {

Result<Value> count_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("count", arguments, {""}, 1));
  MILL_TRY(Cursor cursor, Cursor::over(runtime, self));
  int64_t count = 0;
  Value item;
  for (;;) {
    MILL_TRY(const bool any, cursor.next(item));
    if (!any) return Value::integer(count);
    MILL_TRY(const bool same, equal(runtime, item, bound[0]));
    count += same ? 1 : 0;
  }
}

Status check_one(const Arguments& arguments) {
  if (arguments.positional.size() <= 1) return {};
  return fail(Code::kInvalid, "TypeError: range.index() takes exactly one argument");
}

Result<Value> index_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  if (self.is(Kind::kRange)) MILL_TRY_DO(check_one(arguments));
  MILL_TRY(const Bound bound, Bound::bind("index", arguments, {"", "", ""}, 1));
  MILL_TRY(const int64_t size, length_of(runtime, self));
  MILL_TRY(int64_t start, bound.number(1, 0));
  MILL_TRY(int64_t stop, bound.number(2, size));
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (stop < 0) stop += size;
  MILL_TRY(Cursor cursor, Cursor::over(runtime, self));
  Value item;
  for (int64_t i = 0;; ++i) {
    MILL_TRY(const bool any, cursor.next(item));
    if (!any || i >= stop)
      return fail(Code::kInvalid, "ValueError: the value is not in the " + type_name(self));
    if (i < start) continue;
    MILL_TRY(const bool same, equal(runtime, item, bound[0]));
    if (same) return Value::integer(i);
  }
}

Result<Value> copy_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("copy", arguments, {}));
  return self;  // can't be changed: one is as good as the other
}

Result<Value> get_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("get", arguments, {"", ""}, 1));
  if (!hashable(bound[0]))
    return fail(Code::kInvalid, "TypeError: unhashable type: '" + type_name(bound[0]) + "'");
  if (const Value* found = self.dict().find(bound[0])) return *found;
  return bound.has(1) ? bound[1] : Value::none();
}

template <View::Of kOf>
Result<Value> view_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("items", arguments, {}));
  return make_view(runtime, self, kOf);
}

Result<Value> cycle_method(Runtime&, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty())
    return fail(Code::kInvalid, "TypeError: cycle() takes no keyword arguments");
  if (arguments.positional.empty())
    return fail(Code::kInvalid, "TypeError: no items for cycling given");
  const auto turn = static_cast<size_t>(std::max<int64_t>(self.loop().index0, 0));
  return arguments.positional[turn % arguments.positional.size()];
}

Result<Value> changed_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty())
    return fail(Code::kInvalid, "TypeError: changed() takes no keyword arguments");
  MILL_TRY(Value now, make_tuple(runtime, std::move(arguments.positional)));
  Loop& loop = self.loop();
  if (!loop.last_changed.missing()) {
    MILL_TRY(const bool same, equal(runtime, loop.last_changed, now));
    if (same) return Value::boolean(false);
  }
  loop.last_changed = std::move(now);
  return Value::boolean(true);
}

Result<Value> next_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("next", arguments, {}));
  Cycler& cycler = self.cycler();
  const Value item = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return item;
}

Result<Value> reset_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("reset", arguments, {}));
  self.cycler().position = 0;
  return Value::none();
}

}  // namespace

std::span<const Method> sequence_methods() {
  static const Method kMethods[] = {
      {"count", count_method}, {"index", index_method}, {"copy", copy_method}};
  return kMethods;
}

std::span<const Method> dict_methods() {
  static const Method kMethods[] = {
      {"get", get_method},
      {"items", view_method<View::Of::kItems>},
      {"keys", view_method<View::Of::kKeys>},
      {"values", view_method<View::Of::kValues>},
      {"copy", copy_method},
  };
  return kMethods;
}

std::span<const Method> loop_methods() {
  static const Method kMethods[] = {{"cycle", cycle_method}, {"changed", changed_method}};
  return kMethods;
}

std::span<const Method> cycler_methods() {
  static const Method kMethods[] = {{"next", next_method}, {"reset", reset_method}};
  return kMethods;
}

}  // namespace mill::text::jinja
