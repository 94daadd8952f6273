#include "text/jinja/compare.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/cursor.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

bool is_nan(const Value& value) {
  return value.is(Kind::kFloat) && std::isnan(value.real());
}

Result<bool> equal_items(Runtime& runtime, const Items& a, const Items& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    MILL_TRY(const bool same, equal(runtime, a[i], b[i]));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(Runtime& runtime, const Dict& a, const Dict& b) {
  if (a.pairs().size() != b.pairs().size()) return false;
  for (const auto& [key, value] : a.pairs()) {
    const Value* other = b.find(key);
    if (!other) return false;
    MILL_TRY(const bool same, equal(runtime, value, *other));
    if (!same) return false;
  }
  return true;
}

bool equal_ranges(const Range& a, const Range& b) {
  const int64_t size = a.size();
  if (size != b.size()) return false;
  return size == 0 || (a.start == b.start && (size == 1 || a.step == b.step));
}

// Sequences of two views (keys or items), for Python's comparison of views as sets.
Result<bool> equal_views(Runtime& runtime, const View& a, const View& b) {
  if (a.of == View::Of::kValues || a.of != b.of) return &a == &b;
  if (a.of == View::Of::kItems) return equal_dicts(runtime, a.dict.dict(), b.dict.dict());
  const Dict& left = a.dict.dict();
  const Dict& right = b.dict.dict();
  MILL_TRY_DO(runtime.budget.spend(static_cast<int64_t>(left.pairs().size())));
  return left.pairs().size() == right.pairs().size() &&
         std::all_of(left.pairs().begin(), left.pairs().end(),
                     [&](const auto& pair) { return right.find(pair.first) != nullptr; });
}

Result<bool> less_items(Runtime& runtime, const Items& a, const Items& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    MILL_TRY(const bool same, equal(runtime, a[i], b[i]));
    if (!same) return less(runtime, a[i], b[i]);
  }
  return a.size() < b.size();
}

tl::unexpected<Error> not_ordered(std::string_view sign, const Value& a, const Value& b) {
  return fail(Code::kInvalid, "TypeError: '" + std::string(sign) +
                                  "' not supported between instances of '" + type_name(a) +
                                  "' and '" + type_name(b) + "'");
}

// Which of the kinds that can be ordered with each other; 0 for none.
int order_class(const Value& value) {
  if (value.is_number()) return 1;
  if (value.is_text()) return 2;
  if (value.is(Kind::kList)) return 3;
  return value.is(Kind::kTuple) ? 4 : 0;
}

Result<bool> less_or(Runtime& runtime, std::string_view sign, const Value& a, const Value& b) {
  MILL_TRY_DO(runtime.budget.spend(1));
  if (a.undefined()) return use_of_undefined(a);
  if (b.undefined()) return use_of_undefined(b);
  const int kind = order_class(a);
  if (kind == 0 || kind != order_class(b)) return not_ordered(sign, a, b);
  if (kind == 1) return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) < 0;
  if (kind == 2) return a.text().bytes() < b.text().bytes();
  return less_items(runtime, a.sequence().items, b.sequence().items);
}

int rank(const Value& value) {
  if (value.is_number()) return 0;
  return static_cast<int>(value.kind()) + 1;
}

}  // namespace

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.truth_bit();
    case Kind::kInt:
      return value.whole() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kText:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.sequence().items.empty();
    case Kind::kDict:
      return !value.dict().pairs().empty();
    case Kind::kRange:
      return value.range().size() > 0;
    case Kind::kView:
      return !value.view().dict.dict().pairs().empty();
    default:
      return true;
  }
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_whole() && b.is_whole()) return a.whole() < b.whole() ? -1 : a.whole() > b.whole();
  // A long double holds every integer of 64 bits and every double exactly.
  const auto exact = [](const Value& v) {
    return v.is_whole() ? static_cast<long double>(v.whole()) : static_cast<long double>(v.real());
  };
  const long double x = exact(a), y = exact(b);
  return x < y ? -1 : x > y;
}

Result<bool> equal(Runtime& runtime, const Value& a, const Value& b) {
  MILL_TRY_DO(runtime.budget.spend(1));
  if (a.is_number() && b.is_number()) {
    return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kText:
      MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(a.text().bytes().size())));
      return a.text().bytes() == b.text().bytes();
    case Kind::kList:
    case Kind::kTuple:
      return equal_items(runtime, a.sequence().items, b.sequence().items);
    case Kind::kDict:
      return equal_dicts(runtime, a.dict(), b.dict());
    case Kind::kRange:
      return equal_ranges(a.range(), b.range());
    case Kind::kView:
      return equal_views(runtime, a.view(), b.view());
    case Kind::kFunction: {
      if (a.identity() == b.identity()) return true;
      const Function& left = a.function();
      const Function& right = b.function();
      return left.call == right.call && left.self.identity() == right.self.identity() &&
             !left.self.missing();
    }
    default:
      return a.identity() == b.identity();
  }
}

Result<bool> less(Runtime& runtime, const Value& a, const Value& b) {
  return less_or(runtime, "<", a, b);
}

Result<bool> compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b) {
  switch (comparison) {
    case Comparison::kEqual:
      return equal(runtime, a, b);
    case Comparison::kNotEqual: {
      MILL_TRY(const bool same, equal(runtime, a, b));
      return !same;
    }
    case Comparison::kLess:
      return less_or(runtime, "<", a, b);
    case Comparison::kGreater:
      return less_or(runtime, ">", b, a);
    case Comparison::kLessEqual:
    case Comparison::kGreaterEqual: {
      const bool swapped = comparison == Comparison::kGreaterEqual;
      const Value& low = swapped ? b : a;
      const Value& high = swapped ? a : b;
      MILL_TRY(const bool under, less_or(runtime, swapped ? ">=" : "<=", low, high));
      if (under) return true;
      return equal(runtime, low, high);
    }
  }
  return false;
}

Result<bool> contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.is_text()) {
    if (!item.is_text()) {
      return fail(Code::kInvalid, "TypeError: 'in <string>' requires string as left operand, not " +
                                      type_name(item));
    }
    MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(container.text().bytes().size())));
    return find_first(container.text().bytes(), item.text().bytes()) != std::string_view::npos;
  }
  const bool keys = container.is(Kind::kView) && container.view().of == View::Of::kKeys;
  if (container.is(Kind::kDict) || keys) {
    if (!hashable(item)) {
      return fail(Code::kInvalid, "TypeError: unhashable type: '" + type_name(item) + "'");
    }
    MILL_TRY_DO(runtime.budget.spend(1));
    const Dict& dict = keys ? container.view().dict.dict() : container.dict();
    return dict.find(item) != nullptr;
  }
  MILL_TRY(Cursor cursor, Cursor::over(runtime, container));
  Value next;
  for (;;) {
    MILL_TRY(const bool any, cursor.next(next));
    if (!any) return false;
    MILL_TRY(const bool same, equal(runtime, next, item));
    if (same) return true;
  }
}

int key_order(const Value& a, std::string_view text) {
  if (!a.is_text()) return rank(a) < static_cast<int>(Kind::kText) + 1 ? -1 : 1;
  return a.text().bytes().compare(text);
}

int key_order(const Value& a, const Value& b) {
  if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
  if (a.is_number()) {
    if (is_nan(a) || is_nan(b)) return static_cast<int>(is_nan(a)) - static_cast<int>(is_nan(b));
    return compare_numbers(a, b);
  }
  if (a.is_text()) return a.text().bytes().compare(b.text().bytes());
  if (a.is(Kind::kNone) || a.undefined() || a.missing()) return 0;
  if (a.is(Kind::kTuple)) {
    const Items& left = a.sequence().items;
    const Items& right = b.sequence().items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      const int order = key_order(left[i], right[i]);
      if (order != 0) return order;
    }
    return left.size() < right.size() ? -1 : left.size() > right.size();
  }
  return a.identity() < b.identity() ? -1 : a.identity() > b.identity();
}

tl::unexpected<Error> use_of_undefined(const Value& undefined) {
  return fail(Code::kInvalid, undefined.undefined_info().message);
}

}  // namespace mill::text::jinja
