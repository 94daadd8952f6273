// The operators of expressions, with Python's semantics.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/value.h"

namespace mill::text::jinja {

// Fails with kInvalid for kinds that the operator does not know, an undefined operand, a division
// by zero, or an integer beyond 64 bits.
Result<Value> apply(Runtime& runtime, Operator op, const Value& left, const Value& right);
Result<Value> apply(Runtime& runtime, UnaryOp op, const Value& operand);
Result<bool> apply(Runtime& runtime, CompareOp op, const Value& left, const Value& right);

// object[start:stop:step]; an absent part is kMissing.
struct SliceBounds {
  Value start, stop, step;
};
Result<Value> slice(Runtime& runtime, const Value& object, const SliceBounds& bounds);

// The number as an index or count (int or bool), or an error that names `what`.
Result<int64_t> to_index(const Value& value, std::string_view what);

}  // namespace mill::text::jinja
