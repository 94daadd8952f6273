// Going through what can be iterated, item by item, each for a step of the budget.
#pragma once

#include "text/jinja/value.h"

namespace mill::text::jinja {

class Cursor {
 public:
  // Fails with kInvalid for a value that can't be iterated. The runtime must outlive the cursor.
  static Result<Cursor> over(Runtime& runtime, const Value& iterable);
  // False at the end. Fails where the budget ends, or where the iterator holds an error.
  Result<bool> next(Value& item);

 private:
  Cursor(Runtime& runtime, Value source) : runtime_(&runtime), source_(std::move(source)) {}
  Result<bool> next_character(Value& item);
  Result<bool> next_of_view(Value& item);

  Runtime* runtime_;
  Value source_;
  size_t at_ = 0;  // number of the next item; in a text its byte
};

bool iterable(const Value& value);
// list(value): every item. Reads an iterator to its end.
Result<Items> to_items(Runtime& runtime, const Value& iterable);
// len(value). Fails with kInvalid for what has no length.
Result<int64_t> length_of(Runtime& runtime, const Value& value);
// reversed(value), or an error for what Python can't reverse (an iterator).
Result<Items> to_reversed_items(Runtime& runtime, const Value& value);

}  // namespace mill::text::jinja
