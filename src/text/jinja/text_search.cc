#include <algorithm>
#include <limits>

#include "text/jinja/arguments.h"
#include "text/jinja/brace_format.h"
#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/methods.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

// The part of a text that find(…, start, end) and its kin look at.
struct Part {
  int64_t start, end;  // in code points
  size_t from, to;     // in bytes
  bool valid() const { return start <= end; }
};

Result<Part> part_of(const Bound& bound, const Text& text) {
  const int64_t length = text.length();
  int64_t places[2] = {0, length};
  for (size_t i = 0; i < 2; ++i) {
    if (!bound.has(i + 1) || bound[i + 1].is(Kind::kNone)) continue;
    MILL_TRY(int64_t at, bound.number(i + 1, 0));
    if (at < 0) at = std::max<int64_t>(at + length, 0);
    places[i] = at;
  }
  Part part{places[0], std::min(places[1], length), 0, 0};
  if (part.start > length) part.end = part.start - 1;  // not even an empty string is found there
  if (part.valid()) {
    part.from = text.offset_of(part.start);
    part.to = text.offset_of(part.end);
  }
  return part;
}

Result<int64_t> find_in(Runtime& runtime, const Text& text, Arguments& arguments, bool last) {
  MILL_TRY(const Bound bound, Bound::bind("find", arguments, {"", "", ""}, 1));
  MILL_TRY(const Text* const needle, bound.text(0));
  if (!needle) return fail(Code::kInvalid, "TypeError: find() wants a str");
  MILL_TRY(const Part part, part_of(bound, text));
  if (!part.valid()) return -1;
  MILL_TRY_DO(
      runtime.budget.make(static_cast<int64_t>(part.to - part.from + needle->bytes().size())));
  const std::string_view bytes = text.bytes().substr(part.from, part.to - part.from);
  const size_t found =
      last ? find_last(bytes, needle->bytes()) : find_first(bytes, needle->bytes());
  if (found == std::string_view::npos) return -1;
  if (text.ascii()) return part.start + static_cast<int64_t>(found);
  return part.start + count_code_points(bytes.substr(0, found));
}

template <bool kLast>
Result<Value> find_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const int64_t found, find_in(runtime, self.text(), arguments, kLast));
  return Value::integer(found);
}

template <bool kLast>
Result<Value> index_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const int64_t found, find_in(runtime, self.text(), arguments, kLast));
  if (found < 0) return fail(Code::kInvalid, "ValueError: substring not found");
  return Value::integer(found);
}

Result<Value> count_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("count", arguments, {"", "", ""}, 1));
  MILL_TRY(const Text* const needle, bound.text(0));
  if (!needle) return fail(Code::kInvalid, "TypeError: count() wants a str");
  MILL_TRY(const Part part, part_of(bound, self.text()));
  if (!part.valid()) return Value::integer(0);
  if (needle->empty()) return Value::integer(part.end - part.start + 1);
  const std::string_view bytes = self.text().bytes().substr(part.from, part.to - part.from);
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size()) * 2));
  int64_t count = 0;
  for (size_t at = find_first(bytes, needle->bytes()); at != std::string_view::npos;
       at = find_first(bytes, needle->bytes(), at + needle->bytes().size())) {
    ++count;
  }
  return Value::integer(count);
}

template <bool kEnd>
Result<Value> starts_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound,
           Bound::bind(kEnd ? "endswith" : "startswith", arguments, {"", "", ""}, 1));
  MILL_TRY(const Part part, part_of(bound, self.text()));
  const Items one = {bound[0]};
  const Items& wanted = bound[0].is(Kind::kTuple) ? bound[0].sequence().items : one;
  const std::string_view bytes = self.text().bytes().substr(part.from, part.to - part.from);
  for (const Value& affix : wanted) {
    if (affix.undefined()) return use_of_undefined(affix);
    if (!affix.is_text()) {
      return fail(
          Code::kInvalid,
          "TypeError: startswith first arg must be str or a tuple of str, not " + type_name(affix));
    }
    MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(affix.text().bytes().size())));
    if (!part.valid()) continue;
    if (kEnd ? bytes.ends_with(affix.text().bytes()) : bytes.starts_with(affix.text().bytes()))
      return Value::boolean(true);
  }
  return Value::boolean(false);
}

Result<Value> replace_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("replace", arguments, {"", "", ""}, 2));
  MILL_TRY(const Text* const old, bound.text(0));
  MILL_TRY(const Text* with, bound.text(1));
  if (!old || !with) return fail(Code::kInvalid, "TypeError: replace() wants two strings");
  MILL_TRY(const int64_t count, bound.number(2, -1));
  Value escaped;
  if (self.text().is_markup()) {
    MILL_TRY(escaped, escape(runtime, bound[1]));
    with = &escaped.text();
  }
  return replace(runtime, self.text(), *old, *with, count);
}

Result<Value> join_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("join", arguments, {""}, 1));
  if (!self.text().is_markup()) return join(runtime, self.text(), bound[0], false);
  MILL_TRY(Items items, to_items(runtime, bound[0]));
  for (Value& item : items) {
    MILL_TRY(item, escape(runtime, item));
  }
  MILL_TRY(const Value list, make_list(runtime, std::move(items)));
  return join(runtime, self.text(), list, false);
}

template <bool kSuffix>
Result<Value> remove_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("removeprefix", arguments, {""}, 1));
  MILL_TRY(const Text* const affix, bound.text(0));
  if (!affix) return fail(Code::kInvalid, "TypeError: removeprefix() wants a str");
  const Text& text = self.text();
  const size_t size = text.bytes().size(), cut = affix->bytes().size();
  if (kSuffix)
    return make_slice(runtime, text, 0, text.bytes().ends_with(affix->bytes()) ? size - cut : size);
  return make_slice(runtime, text, text.bytes().starts_with(affix->bytes()) ? cut : 0, size);
}

Result<Value> format_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  return brace_format(runtime, self.text(), arguments);
}

Result<Value> format_map_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("format_map", arguments, {""}, 1));
  if (!bound[0].is(Kind::kDict))
    return fail(Code::kInvalid, "TypeError: format_map() wants a dict");
  Arguments spread;
  for (const auto& [key, value] : bound[0].dict().pairs()) {
    if (key.is_text()) spread.named.emplace_back(std::string(key.text().bytes()), value);
  }
  return brace_format(runtime, self.text(), spread);
}

Result<Value> unsupported_method(Runtime&, const Value&, Arguments&) {
  return fail(Code::kUnsupported,
              "a method of str that chat templates do not need (encode, translate, casefold)");
}

}  // namespace

Result<Value> replace(Runtime& runtime, const Text& text, const Text& old, const Text& with,
                      int64_t count) {
  const std::string_view bytes = text.bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size())));
  if (count < 0) count = std::numeric_limits<int64_t>::max();
  TextBuilder out(runtime.budget);
  size_t at = 0;
  for (; count > 0 && !out.over(); --count) {
    if (old.empty()) {  // between all code points, and at both ends
      out.append(with);
      if (at >= bytes.size()) break;
      const size_t next = at + decode(bytes, at).bytes;
      out.append(text, at, next);
      at = next;
      continue;
    }
    const size_t found = find_first(bytes, old.bytes(), at);
    if (found == std::string_view::npos) break;
    out.append(text, at, found);
    out.append(with);
    at = found + old.bytes().size();
  }
  if (at < bytes.size()) out.append(text, at, bytes.size());
  return make_text(out, text.is_markup());
}

Result<Value> join(Runtime& runtime, const Text& separator, const Value& items, bool convert) {
  MILL_TRY(Cursor cursor, Cursor::over(runtime, items));
  TextBuilder out(runtime.budget);
  Value item;
  for (bool first = true;; first = false) {
    MILL_TRY(const bool any, cursor.next(item));
    if (!any) break;
    if (!first) out.append(separator);
    if (!convert && !item.is_text()) {
      return fail(Code::kInvalid,
                  "TypeError: sequence item: expected str instance, " + type_name(item) + " found");
    }
    MILL_TRY_DO(append_str(runtime, out, item));
  }
  return make_text(out, separator.is_markup());
}

std::span<const Method> text_search_methods() {
  static const Method kMethods[] = {
      {"find", find_method<false>},
      {"rfind", find_method<true>},
      {"index", index_method<false>},
      {"rindex", index_method<true>},
      {"count", count_method},
      {"startswith", starts_method<false>},
      {"endswith", starts_method<true>},
      {"replace", replace_method},
      {"join", join_method},
      {"removeprefix", remove_method<false>},
      {"removesuffix", remove_method<true>},
      {"format", format_method},
      {"format_map", format_map_method},
      {"encode", unsupported_method},
      {"translate", unsupported_method},
      {"maketrans", unsupported_method},
      {"casefold", unsupported_method},
  };
  return kMethods;
}

}  // namespace mill::text::jinja
