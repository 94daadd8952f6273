#include "text/jinja/cursor.h"

#include <algorithm>

#include "text/jinja/characters.h"

namespace mill::text::jinja {

bool iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kText:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kView:
    case Kind::kIterator:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

Result<Cursor> Cursor::over(Runtime& runtime, const Value& value) {
  if (!iterable(value)) {
    return fail(Code::kInvalid, "TypeError: '" + type_name(value) + "' object is not iterable");
  }
  if (value.is(Kind::kLoop)) {
    return fail(Code::kUnsupported, "the chat template iterates over the variable loop");
  }
  return Cursor(runtime, value);
}

Result<bool> Cursor::next_character(Value& item) {
  const Text& text = source_.text();
  if (at_ >= text.bytes().size()) return false;
  const size_t end = at_ + decode(text.bytes(), at_).bytes;
  TextBuilder character(runtime_->budget);
  character.append(text, at_, end);
  MILL_TRY_DO(runtime_->budget.spend(3));
  MILL_TRY(item, make_text(character));  // of a Markup too: plain strings
  at_ = end;
  return true;
}

Result<bool> Cursor::next_of_view(Value& item) {
  const View& view = source_.view();
  const Pairs& pairs = view.dict.dict().pairs();
  if (at_ >= pairs.size()) return false;
  const auto& [key, value] = pairs[at_++];
  switch (view.of) {
    case View::Of::kKeys:
      item = key;
      break;
    case View::Of::kValues:
      item = value;
      break;
    case View::Of::kItems: {
      MILL_TRY(item, make_tuple(*runtime_, {key, value}));
      break;
    }
  }
  return true;
}

Result<bool> Cursor::next(Value& item) {
  MILL_TRY_DO(runtime_->budget.spend(1));
  switch (source_.kind()) {
    case Kind::kText:
      return next_character(item);
    case Kind::kView:
      return next_of_view(item);
    case Kind::kList:
    case Kind::kTuple: {
      const Items& items = source_.sequence().items;
      if (at_ >= items.size()) return false;
      item = items[at_++];
      return true;
    }
    case Kind::kDict: {
      const Pairs& pairs = source_.dict().pairs();
      if (at_ >= pairs.size()) return false;
      item = pairs[at_++].first;
      return true;
    }
    case Kind::kRange: {
      const Range& range = source_.range();
      if (static_cast<int64_t>(at_) >= range.size()) return false;
      item = Value::integer(range.start + static_cast<int64_t>(at_++) * range.step);
      return true;
    }
    case Kind::kIterator: {
      Iterator& iterator = source_.iterator();
      if (iterator.next < iterator.items.size()) {
        item = iterator.items[iterator.next++];
        return true;
      }
      if (!iterator.failure) return false;
      const Error error = *iterator.failure;
      iterator.failure.reset();
      return fail(error);
    }
    default:
      return false;  // undefined: nothing in it
  }
}

Result<Items> to_items(Runtime& runtime, const Value& value) {
  MILL_TRY(Cursor cursor, Cursor::over(runtime, value));
  Items items;
  Value item;
  for (;;) {
    MILL_TRY(const bool any, cursor.next(item));
    if (!any) return items;
    MILL_TRY_DO(runtime.budget.spend(1));
    items.push_back(std::move(item));
  }
}

Result<int64_t> length_of(Runtime& runtime, const Value& value) {
  MILL_TRY_DO(runtime.budget.spend(1));
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kText:
      return value.text().length();
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.sequence().items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().pairs().size());
    case Kind::kRange:
      return value.range().size();
    case Kind::kView:
      return static_cast<int64_t>(value.view().dict.dict().pairs().size());
    case Kind::kLoop:
      return value.loop().count();
    default:
      return fail(Code::kInvalid,
                  "TypeError: object of type '" + type_name(value) + "' has no len()");
  }
}

Result<Items> to_reversed_items(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kIterator) || value.is(Kind::kLoop) || !iterable(value)) {
    return fail(Code::kInvalid, "TypeError: '" + type_name(value) + "' object is not reversible");
  }
  MILL_TRY(Items items, to_items(runtime, value));
  std::reverse(items.begin(), items.end());
  return items;
}

}  // namespace mill::text::jinja
