#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/percent_format.h"
#include "text/jinja/repr.h"

namespace mill::text::jinja {
namespace {

std::string_view sign(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    case Operator::kPower:
      return "**";
  }
  return "?";
}

tl::unexpected<Error> type_error(Operator op, const Value& left, const Value& right) {
  if (op == Operator::kAdd && left.is_text()) {
    return fail(Code::kInvalid,
                "TypeError: can only concatenate str (not \"" + type_name(right) + "\") to str");
  }
  return fail(Code::kInvalid, "TypeError: unsupported operand type(s) for " +
                                  std::string(sign(op)) + ": '" + type_name(left) + "' and '" +
                                  type_name(right) + "'");
}

tl::unexpected<Error> zero_division() {
  return fail(Code::kInvalid, "ZeroDivisionError: division by zero");
}

Wide floor_divide(Wide a, Wide b) {
  const Wide quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

Result<Value> power(Wide base, Wide exponent) {
  Wide result = 1;
  if (base == 0 || base == 1) return make_integer(exponent == 0 ? 1 : base);
  if (base == -1) return make_integer(exponent % 2 == 0 ? 1 : -1);
  for (; exponent > 0; --exponent) {  // at most 64 rounds before it is too large
    result *= base;
    if (result > std::numeric_limits<uint64_t>::max() ||
        result < -std::numeric_limits<int64_t>::max() - 1)
      break;
  }
  return exponent > 0 ? make_integer(static_cast<Wide>(1) << 100) : make_integer(result);
}

Result<Value> whole_arithmetic(Operator op, Wide a, Wide b) {
  switch (op) {
    case Operator::kAdd:
      return make_integer(a + b);
    case Operator::kSubtract:
      return make_integer(a - b);
    case Operator::kMultiply: {
      Wide product = 0;
      if (__builtin_mul_overflow(a, b, &product)) product = static_cast<Wide>(1) << 100;
      return make_integer(product);
    }
    case Operator::kDivide:
      if (b == 0) return zero_division();
      return Value::real(
          static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b)));
    case Operator::kFloorDivide:
      if (b == 0) return zero_division();
      return make_integer(floor_divide(a, b));
    case Operator::kModulo:
      if (b == 0) return zero_division();
      return make_integer(a - floor_divide(a, b) * b);
    case Operator::kPower:
      if (b >= 0) return power(a, b);
      if (a == 0)
        return fail(Code::kInvalid, "ZeroDivisionError: 0.0 cannot be raised to a negative power");
      return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  return zero_division();
}

Result<Value> real_arithmetic(Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value::real(a + b);
    case Operator::kSubtract:
      return Value::real(a - b);
    case Operator::kMultiply:
      return Value::real(a * b);
    case Operator::kDivide:
      if (b == 0) return zero_division();
      return Value::real(a / b);
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0) return zero_division();
      double rest = std::fmod(a, b);
      double quotient = (a - rest) / b;
      if (rest != 0 && (rest < 0) != (b < 0)) {
        rest += b;
        quotient -= 1;
      }
      if (rest == 0) rest = std::copysign(0.0, b);
      if (op == Operator::kModulo) return Value::real(rest);
      if (quotient == 0) return Value::real(std::copysign(0.0, a / b));
      const double floored = std::floor(quotient);
      return Value::real(quotient - floored > 0.5 ? floored + 1 : floored);
    }
    case Operator::kPower: {
      if (a == 0 && b < 0)
        return fail(Code::kInvalid, "ZeroDivisionError: 0.0 cannot be raised to a negative power");
      if (a < 0 && std::isfinite(b) && b != std::floor(b))
        return fail(Code::kUnsupported, "a power that is a complex number");
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
        return fail(Code::kInvalid, "OverflowError: a power is too large");
      return Value::real(result);
    }
  }
  return zero_division();
}

Result<Value> concatenate(Runtime& runtime, const Value& left, const Value& right) {
  const bool markup = left.text().is_markup() || right.text().is_markup();
  TextBuilder out(runtime.budget);
  out.reserve(left.text().bytes().size() + right.text().bytes().size());
  for (const Value* side : {&left, &right}) {
    if (markup && !side->text().is_markup()) {
      append_escaped(out, side->text());
    } else {
      out.append(side->text());
    }
  }
  return make_text(out, markup);
}

Result<Value> join_items(Runtime& runtime, const Value& left, const Value& right) {
  const Items& a = left.sequence().items;
  const Items& b = right.sequence().items;
  MILL_TRY_DO(runtime.budget.spend(static_cast<int64_t>(a.size() + b.size())));
  Items items(a);
  items.insert(items.end(), b.begin(), b.end());
  return left.is(Kind::kList) ? make_list(runtime, std::move(items))
                              : make_tuple(runtime, std::move(items));
}

Result<Value> repeat(Runtime& runtime, const Value& what, Wide times) {
  times = std::clamp<Wide>(times, 0, std::numeric_limits<int64_t>::max());
  const auto count = static_cast<int64_t>(times);
  if (what.is_text()) {
    TextBuilder out(runtime.budget);
    const Text& text = what.text();
    for (int64_t i = 0; i < count && !text.empty() && !out.over(); ++i) out.append(text);
    return make_text(out, text.is_markup());
  }
  const Items& items = what.sequence().items;
  Items repeated;
  for (int64_t i = 0; i < count && !items.empty(); ++i) {
    MILL_TRY_DO(runtime.budget.spend(2 * static_cast<int64_t>(items.size())));
    repeated.insert(repeated.end(), items.begin(), items.end());
  }
  return what.is(Kind::kList) ? make_list(runtime, std::move(repeated))
                              : make_tuple(runtime, std::move(repeated));
}

bool repeatable(const Value& value) {
  return value.is_text() || value.is_sequence();
}

int64_t clamped(Wide whole) {
  return static_cast<int64_t>(std::clamp<Wide>(whole, std::numeric_limits<int64_t>::min(),
                                               std::numeric_limits<int64_t>::max()));
}

// Numbers in [low, high] of a sequence of `size`, as Python clamps them.
struct Walk {
  int64_t start, stop, step, count;
};

Result<int64_t> bound(const Value& value, int64_t size, int64_t low, int64_t high,
                      int64_t standard) {
  if (value.missing() || value.is(Kind::kNone)) return standard;
  if (!value.is_whole()) {
    if (value.undefined()) return use_of_undefined(value);
    return fail(Code::kInvalid, "TypeError: slice indices must be integers or None");
  }
  Wide at = value.whole();
  if (at < 0) at += size;
  return static_cast<int64_t>(std::clamp<Wide>(at, low, high));
}

Result<Walk> walk_of(const SliceBounds& bounds, int64_t size) {
  int64_t step = 1;
  if (!bounds.step.missing() && !bounds.step.is(Kind::kNone)) {
    if (bounds.step.undefined()) return use_of_undefined(bounds.step);
    if (!bounds.step.is_whole())
      return fail(Code::kInvalid, "TypeError: slice indices must be integers or None");
    step = static_cast<int64_t>(
        std::clamp<Wide>(bounds.step.whole(), -(Wide{1} << 62), Wide{1} << 62));
  }
  if (step == 0) return fail(Code::kInvalid, "ValueError: slice step cannot be zero");
  const bool forward = step > 0;
  const int64_t low = forward ? 0 : -1, high = forward ? size : size - 1;
  MILL_TRY(const int64_t start, bound(bounds.start, size, low, high, forward ? low : high));
  MILL_TRY(const int64_t stop, bound(bounds.stop, size, low, high, forward ? high : low));
  const Range range{start, stop, step};
  return Walk{start, stop, step, range.size()};
}

Result<Value> slice_text(Runtime& runtime, const Text& text, const Walk& walk) {
  if (walk.count == 0) return make_slice(runtime, text, 0, 0);
  if (walk.step == 1) {
    MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(text.bytes().size())));
    return make_slice(runtime, text, text.offset_of(walk.start),
                      text.offset_of(walk.start + walk.count));
  }
  std::vector<size_t> offsets;
  if (!text.ascii()) {
    MILL_TRY_DO(runtime.budget.make(text.length() * 8));
    for (size_t at = 0; at < text.bytes().size(); at += decode(text.bytes(), at).bytes)
      offsets.push_back(at);
    offsets.push_back(text.bytes().size());
  }
  TextBuilder out(runtime.budget);
  for (int64_t i = 0; i < walk.count && !out.over(); ++i) {
    const auto index = static_cast<size_t>(walk.start + i * walk.step);
    if (text.ascii()) {
      out.append(text, index, index + 1);
    } else {
      out.append(text, offsets[index], offsets[index + 1]);
    }
  }
  return make_text(out, text.is_markup());
}

}  // namespace

Result<Value> apply(Runtime& runtime, Operator op, const Value& left, const Value& right) {
  if (left.is_number() && right.is_number()) {
    if (left.is_whole() && right.is_whole())
      return whole_arithmetic(op, left.whole(), right.whole());
    return real_arithmetic(op, left.real(), right.real());
  }
  if (op == Operator::kModulo && left.is_text()) return percent_format(runtime, left.text(), right);
  if (left.undefined()) return use_of_undefined(left);
  if (right.undefined()) return use_of_undefined(right);
  if (op == Operator::kAdd) {
    if (left.is_text() && right.is_text()) return concatenate(runtime, left, right);
    if (left.is_sequence() && left.kind() == right.kind()) return join_items(runtime, left, right);
  }
  if (op == Operator::kMultiply) {
    if (repeatable(left) && right.is_whole()) return repeat(runtime, left, right.whole());
    if (left.is_whole() && repeatable(right)) return repeat(runtime, right, left.whole());
  }
  if (op == Operator::kSubtract && (left.is(Kind::kView) || right.is(Kind::kView))) {
    return fail(Code::kUnsupported, "the chat template computes with sets");
  }
  return type_error(op, left, right);
}

Result<Value> apply(Runtime&, UnaryOp op, const Value& operand) {
  if (op == UnaryOp::kNot) return Value::boolean(!truth(operand));
  if (operand.undefined()) return use_of_undefined(operand);
  const bool minus = op == UnaryOp::kMinus;
  if (operand.is_whole()) return make_integer(minus ? -operand.whole() : operand.whole());
  if (operand.is_number()) return Value::real(minus ? -operand.real() : operand.real());
  return fail(Code::kInvalid, std::string("TypeError: bad operand type for unary ") +
                                  (minus ? "-" : "+") + ": '" + type_name(operand) + "'");
}

Result<bool> apply(Runtime& runtime, CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::kEqual:
      return compare(runtime, Comparison::kEqual, left, right);
    case CompareOp::kNotEqual:
      return compare(runtime, Comparison::kNotEqual, left, right);
    case CompareOp::kLess:
      return compare(runtime, Comparison::kLess, left, right);
    case CompareOp::kLessEqual:
      return compare(runtime, Comparison::kLessEqual, left, right);
    case CompareOp::kGreater:
      return compare(runtime, Comparison::kGreater, left, right);
    case CompareOp::kGreaterEqual:
      return compare(runtime, Comparison::kGreaterEqual, left, right);
    case CompareOp::kIn:
      return contains(runtime, right, left);
    case CompareOp::kNotIn: {
      MILL_TRY(const bool in, contains(runtime, right, left));
      return !in;
    }
  }
  return false;
}

Result<int64_t> to_index(const Value& value, std::string_view what) {
  if (value.undefined()) return use_of_undefined(value);
  if (!value.is_whole()) {
    return fail(Code::kInvalid,
                "TypeError: " + std::string(what) + " must be an integer, not " + type_name(value));
  }
  if (value.whole() > std::numeric_limits<int64_t>::max()) {
    return fail(Code::kInvalid, "OverflowError: " + std::string(what) + " is too large");
  }
  return static_cast<int64_t>(value.whole());
}

Result<Value> slice(Runtime& runtime, const Value& object, const SliceBounds& bounds) {
  if (object.undefined()) return use_of_undefined(object);
  if (object.is_text()) {
    MILL_TRY(const Walk walk, walk_of(bounds, object.text().length()));
    return slice_text(runtime, object.text(), walk);
  }
  if (object.is(Kind::kRange)) {
    const Range& range = object.range();
    MILL_TRY(const Walk walk, walk_of(bounds, range.size()));
    const auto at = [&range](int64_t index) {
      const Wide place = static_cast<Wide>(range.start) + static_cast<Wide>(index) * range.step;
      return clamped(place);
    };
    const Range part{at(walk.start), at(walk.stop),
                     clamped(static_cast<Wide>(walk.step) * range.step)};
    return Value(Kind::kRange, std::make_shared<Range>(part));
  }
  if (!object.is_sequence()) {
    return fail(Code::kInvalid,
                "TypeError: '" + type_name(object) + "' object is not subscriptable");
  }
  const Items& items = object.sequence().items;
  MILL_TRY(const Walk walk, walk_of(bounds, static_cast<int64_t>(items.size())));
  MILL_TRY_DO(runtime.budget.spend(walk.count));
  Items taken;
  taken.reserve(static_cast<size_t>(walk.count));
  for (int64_t i = 0; i < walk.count; ++i)
    taken.push_back(items[static_cast<size_t>(walk.start + i * walk.step)]);
  return object.is(Kind::kList) ? make_list(runtime, std::move(taken))
                                : make_tuple(runtime, std::move(taken));
}

}  // namespace mill::text::jinja
