#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/attributes.h"
#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

Result<Value> length_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("len", arguments, {}));
  MILL_TRY(const int64_t length, length_of(runtime, input));
  return Value::integer(length);
}

Result<Value> first_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("first", arguments, {}));
  MILL_TRY(Cursor cursor, Cursor::over(runtime, input));
  Value item;
  MILL_TRY(const bool any, cursor.next(item));
  return any ? item : make_undefined("No first item, sequence was empty.");
}

Result<Value> last_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("last", arguments, {}));
  if (input.is_text() || input.is_sequence() || input.is(Kind::kRange)) {
    MILL_TRY(const int64_t length, length_of(runtime, input));
    if (length > 0) return get_item(runtime, input, Value::integer(-1));
  }
  MILL_TRY(const Items items, to_reversed_items(runtime, input));
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items[0];
}

Result<Value> list_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("list", arguments, {}));
  MILL_TRY(Items items, to_items(runtime, input));
  return make_list(runtime, std::move(items));
}

Result<Value> items_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("items", arguments, {}));
  if (input.undefined()) return make_iterator(runtime, {});
  if (!input.is(Kind::kDict))
    return fail(Code::kInvalid, "TypeError: Can only get item pairs from a mapping.");
  MILL_TRY(const Value view, make_view(runtime, input, View::Of::kItems));
  MILL_TRY(Items pairs, to_items(runtime, view));
  return make_iterator(runtime, std::move(pairs));
}

Result<Value> join_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("join", arguments, {"d", "attribute"}));
  Value items = input;
  if (bound.has(1) && !bound[1].is(Kind::kNone)) {
    MILL_TRY(const AttributePath path, AttributePath::read(bound[1]));
    MILL_TRY(Items values, to_items(runtime, input));
    for (Value& value : values) {
      MILL_TRY(value, path.of(runtime, value));
    }
    MILL_TRY(items, make_list(runtime, std::move(values)));
  }
  Value separator = Value::text("");
  if (bound.has(0)) {
    MILL_TRY(separator, to_str(runtime, bound[0]));
  }
  Text plain = separator.text();
  plain.set_markup(false);
  return join(runtime, plain, items, true);
}

Result<Value> reversed_text(Runtime& runtime, const Text& text) {
  TextBuilder out(runtime.budget);
  for (size_t end = text.bytes().size(); end > 0 && !out.over();) {
    const size_t start = end - decode_before(text.bytes(), end).bytes;
    out.append(text, start, end);
    end = start;
  }
  return make_text(out, text.is_markup());
}

Result<Value> reverse_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("reverse", arguments, {}));
  if (input.is_text()) return reversed_text(runtime, input.text());
  if (!iterable(input))
    return fail(Code::kInvalid, "FilterArgumentError: argument must be iterable");
  MILL_TRY(Items items, to_items(runtime, input));
  std::reverse(items.begin(), items.end());
  // What Python's reversed() does not take becomes a list.
  if (input.is(Kind::kIterator)) return make_list(runtime, std::move(items));
  return make_iterator(runtime, std::move(items));
}

Result<Value> batch_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("batch", arguments, {"linecount", "fill_with"}, 1));
  MILL_TRY(const Items items, to_items(runtime, input));
  const bool fill = bound.has(1) && !bound[1].is(Kind::kNone);
  // A count that is no integer is compared and never reached.
  const Wide count = bound[0].is_whole() ? bound[0].whole() : -1;
  Items batches, batch;
  const auto flush = [&]() -> Status {
    MILL_TRY(Value made, make_list(runtime, std::move(batch)));
    batches.push_back(std::move(made));
    batch = {};
    return {};
  };
  for (const Value& item : items) {
    if (static_cast<Wide>(batch.size()) == count) MILL_TRY_DO(flush());
    batch.push_back(item);
  }
  while (fill && !batch.empty() && static_cast<Wide>(batch.size()) < count) {
    MILL_TRY_DO(runtime.budget.spend(1));
    batch.push_back(bound[1]);
  }
  if (!batch.empty()) MILL_TRY_DO(flush());
  return make_iterator(runtime, std::move(batches));
}

Result<Value> slice_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("slice", arguments, {"slices", "fill_with"}, 1));
  MILL_TRY(const Items items, to_items(runtime, input));
  MILL_TRY(const int64_t slices, bound.number(0, 1));
  if (slices == 0)
    return fail(Code::kInvalid, "ZeroDivisionError: integer division or modulo by zero");
  const bool fill = bound.has(1) && !bound[1].is(Kind::kNone);
  const auto size = static_cast<int64_t>(items.size());
  Items parts;
  int64_t start = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const bool longer = i < size % slices;
    const int64_t end = start + size / slices + (longer ? 1 : 0);
    Items part(items.begin() + start, items.begin() + end);
    if (fill && !longer) part.push_back(bound[1]);
    MILL_TRY(Value made, make_list(runtime, std::move(part)));
    parts.push_back(std::move(made));
    start = end;
  }
  return make_iterator(runtime, std::move(parts));
}

}  // namespace

std::span<const NamedFilter> sequence_filters() {
  static const NamedFilter kFilters[] = {
      {"batch", batch_filter},   {"count", length_filter}, {"first", first_filter},
      {"items", items_filter},   {"join", join_filter},    {"last", last_filter},
      {"length", length_filter}, {"list", list_filter},    {"reverse", reverse_filter},
      {"slice", slice_filter},
  };
  return kFilters;
}

}  // namespace mill::text::jinja
