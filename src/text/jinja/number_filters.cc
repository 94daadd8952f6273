#include <cmath>
#include <limits>

#include "text/jinja/arguments.h"
#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/filters.h"
#include "text/jinja/number_text.h"
#include "text/jinja/operators.h"

namespace mill::text::jinja {
namespace {

Result<Value> truncated(double real) {
  if (!(std::fabs(real) < 2e19))
    return fail(Code::kInvalid, "OverflowError: an integer does not fit in 64 bits");
  return make_integer(static_cast<Wide>(real));
}

Result<Value> int_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("int", arguments, {"default", "base"}));
  MILL_TRY(const int64_t base, bound.number(1, 10));
  const Value standard = bound.has(0) ? bound[0] : Value::integer(0);
  if (input.undefined()) return use_of_undefined(input);
  if (input.is_whole()) return make_integer(input.whole());
  if (input.is_number())
    return std::isnan(input.real()) ? Result<Value>(standard) : truncated(input.real());
  if (!input.is_text()) return standard;
  const std::string_view text = input.text().bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(text.size()) * 4));
  if (base == 0 || (base >= 2 && base <= 36)) {
    if (auto whole = read_integer(text, static_cast<int>(base))) return *whole;
  }
  const auto real = read_real(text);
  if (!real || !std::isfinite(*real)) return standard;
  return truncated(*real);
}

Result<Value> float_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("float", arguments, {"default"}));
  if (input.undefined()) return use_of_undefined(input);
  if (input.is_number()) return Value::real(input.real());
  const Value standard = bound.has(0) ? bound[0] : Value::real(0);
  if (!input.is_text()) return standard;
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(input.text().bytes().size()) * 4));
  const auto real = read_real(input.text().bytes());
  return real ? Value::real(*real) : standard;
}

Result<Value> abs_filter(Runtime&, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("abs", arguments, {}));
  if (input.is_whole()) return make_integer(input.whole() < 0 ? -input.whole() : input.whole());
  if (input.is_number()) return Value::real(std::fabs(input.real()));
  return fail(Code::kInvalid, "TypeError: bad operand type for abs(): '" + type_name(input) + "'");
}

Result<Value> round_whole(Wide whole, int64_t digits) {
  if (digits >= 0) return make_integer(whole);
  if (digits < -20) return Value::integer(0);
  Wide unit = 1;
  for (; digits < 0; ++digits) unit *= 10;
  Wide quotient = whole / unit, rest = whole % unit;
  if (rest < 0) {
    rest += unit;
    --quotient;
  }
  if (rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0)) ++quotient;
  return make_integer(quotient * unit);
}

Result<Value> round_real(double real, int64_t digits) {
  if (!std::isfinite(real) || digits > 330) return Value::real(real);
  if (digits < -310) return Value::real(std::copysign(0.0, real));
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    return Value::real(std::nearbyint(real / unit) * unit);
  }
  char text[700];
  std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), real);
  return Value::real(std::strtod(text, nullptr));
}

Result<Value> round_filter(Runtime&, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("round", arguments, {"precision", "method"}));
  MILL_TRY(const Text* const method, bound.text(1));
  const std::string_view how = method ? method->bytes() : "common";
  if ((bound.has(1) && !method) || (how != "common" && how != "ceil" && how != "floor")) {
    return fail(Code::kInvalid, "FilterArgumentError: method must be common, ceil or floor");
  }
  if (!input.is_number()) {
    return fail(Code::kInvalid,
                "TypeError: type " + type_name(input) + " doesn't define __round__ method");
  }
  if (how == "common") {
    if (bound.has(0) && bound[0].is(Kind::kNone)) {
      return input.is_whole() ? make_integer(input.whole())
                              : truncated(std::nearbyint(input.real()));
    }
    MILL_TRY(const int64_t digits, bound.number(0, 0));
    return input.is_whole() ? round_whole(input.whole(), digits) : round_real(input.real(), digits);
  }
  MILL_TRY(const int64_t digits, bound.number(0, 0));
  const double unit = std::pow(10.0, static_cast<double>(digits));
  const double scaled = input.real() * unit;
  if (!std::isfinite(scaled))
    return fail(Code::kInvalid, "OverflowError: cannot convert float infinity to integer");
  return Value::real((how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Result<Value> sum_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("sum", arguments, {"attribute", "start"}));
  MILL_TRY(const AttributePath path, AttributePath::read(bound[0]));
  Value total = bound.has(1) ? bound[1] : Value::integer(0);
  if (total.is_text())
    return fail(Code::kInvalid, "TypeError: sum() can't sum strings [use ''.join(seq) instead]");
  MILL_TRY(Cursor cursor, Cursor::over(runtime, input));
  Value item;
  for (;;) {
    MILL_TRY(const bool any, cursor.next(item));
    if (!any) return total;
    MILL_TRY(const Value value, path.of(runtime, item));
    MILL_TRY(total, apply(runtime, Operator::kAdd, total, value));
  }
}

}  // namespace

std::span<const NamedFilter> number_filters() {
  static const NamedFilter kFilters[] = {
      {"abs", abs_filter},     {"float", float_filter}, {"int", int_filter},
      {"round", round_filter}, {"sum", sum_filter},
  };
  return kFilters;
}

}  // namespace mill::text::jinja
