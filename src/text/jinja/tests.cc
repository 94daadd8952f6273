#include "text/jinja/tests.h"

#include "text/jinja/arguments.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

// A test that only looks at its input.
template <bool (*kHolds)(const Value&)>
Result<bool> plain_test(Runtime&, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("test", arguments, {}));
  return kHolds(input);
}

bool is_defined(const Value& v) {
  return !v.undefined();
}
bool is_undefined(const Value& v) {
  return v.undefined();
}
bool is_none(const Value& v) {
  return v.is(Kind::kNone);
}
bool is_boolean(const Value& v) {
  return v.is(Kind::kBool);
}
bool is_true(const Value& v) {
  return v.is(Kind::kBool) && v.truth_bit();
}
bool is_false(const Value& v) {
  return v.is(Kind::kBool) && !v.truth_bit();
}
bool is_integer(const Value& v) {
  return v.is(Kind::kInt);
}
bool is_float(const Value& v) {
  return v.is(Kind::kFloat);
}
bool is_number(const Value& v) {
  return v.is_number();
}
bool is_string(const Value& v) {
  return v.is_text();
}
bool is_mapping(const Value& v) {
  return v.is(Kind::kDict);
}
bool is_iterable(const Value& v) {
  return iterable(v);
}
bool is_escaped(const Value& v) {
  return v.is_text() && v.text().is_markup();
}

// Python: has a length and can be asked for items.
bool is_sequence(const Value& v) {
  return v.undefined() || v.is_text() || v.is_sequence() || v.is(Kind::kDict) || v.is(Kind::kRange);
}

bool is_callable(const Value& v) {
  return v.is(Kind::kFunction) || v.is(Kind::kMacro) || v.is(Kind::kLoop) || v.is(Kind::kJoiner) ||
         v.undefined();
}

template <bool kUpper>
Result<bool> case_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("test", arguments, {}));
  MILL_TRY(const Value text, to_str(runtime, input));
  MILL_TRY_DO(runtime.budget.make(text.text().length() * 4));
  return has_case(text.text(), kUpper);
}

Result<bool> remainder_is(Runtime& runtime, const Value& input, const Value& divisor,
                          int64_t wanted) {
  MILL_TRY(const Value rest, apply(runtime, Operator::kModulo, input, divisor));
  return equal(runtime, rest, Value::integer(wanted));
}

template <int64_t kRest>
Result<bool> parity_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("test", arguments, {}));
  return remainder_is(runtime, input, Value::integer(2), kRest);
}

Result<bool> divisibleby_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("divisibleby", arguments, {"num"}, 1));
  return remainder_is(runtime, input, bound[0], 0);
}

Result<bool> sameas_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("sameas", arguments, {"other"}, 1));
  const Value& other = bound[0];
  if (input.kind() != other.kind()) return false;
  if (input.identity() || other.identity()) {
    // Python has one object for the same short string of the source; equal strings come close.
    return input.identity() == other.identity() ||
           (input.is_text() && input.text().bytes() == other.text().bytes());
  }
  return equal(runtime, input, other);
}

Result<bool> in_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("in", arguments, {"seq"}, 1));
  return contains(runtime, bound[0], input);
}

template <Comparison kComparison>
Result<bool> compare_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("test", arguments, {""}, 1));
  return compare(runtime, kComparison, input, bound[0]);
}

Status check_hashable(const Value& value) {
  if (hashable(value)) return {};
  return fail(Code::kInvalid, "TypeError: unhashable type: '" + type_name(value) + "'");
}

Result<bool> filter_test(Runtime&, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("filter", arguments, {}));
  MILL_TRY_DO(check_hashable(input));
  return input.is_text() && find_filter(input.text().bytes()) != nullptr;
}

Result<bool> test_test(Runtime&, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("test", arguments, {}));
  MILL_TRY_DO(check_hashable(input));
  return input.is_text() && find_test(input.text().bytes()) != nullptr;
}

struct NamedTest {
  std::string_view name;
  Test test;
};

constexpr NamedTest kTests[] = {
    {"!=", compare_test<Comparison::kNotEqual>},
    {"<", compare_test<Comparison::kLess>},
    {"<=", compare_test<Comparison::kLessEqual>},
    {"==", compare_test<Comparison::kEqual>},
    {">", compare_test<Comparison::kGreater>},
    {">=", compare_test<Comparison::kGreaterEqual>},
    {"boolean", plain_test<is_boolean>},
    {"callable", plain_test<is_callable>},
    {"defined", plain_test<is_defined>},
    {"divisibleby", divisibleby_test},
    {"eq", compare_test<Comparison::kEqual>},
    {"equalto", compare_test<Comparison::kEqual>},
    {"escaped", plain_test<is_escaped>},
    {"even", parity_test<0>},
    {"false", plain_test<is_false>},
    {"filter", filter_test},
    {"float", plain_test<is_float>},
    {"ge", compare_test<Comparison::kGreaterEqual>},
    {"greaterthan", compare_test<Comparison::kGreater>},
    {"gt", compare_test<Comparison::kGreater>},
    {"in", in_test},
    {"integer", plain_test<is_integer>},
    {"iterable", plain_test<is_iterable>},
    {"le", compare_test<Comparison::kLessEqual>},
    {"lessthan", compare_test<Comparison::kLess>},
    {"lower", case_test<false>},
    {"lt", compare_test<Comparison::kLess>},
    {"mapping", plain_test<is_mapping>},
    {"ne", compare_test<Comparison::kNotEqual>},
    {"none", plain_test<is_none>},
    {"number", plain_test<is_number>},
    {"odd", parity_test<1>},
    {"sameas", sameas_test},
    {"sequence", plain_test<is_sequence>},
    {"string", plain_test<is_string>},
    {"test", test_test},
    {"true", plain_test<is_true>},
    {"undefined", plain_test<is_undefined>},
    {"upper", case_test<true>},
};

}  // namespace

Test find_test(std::string_view name) {
  for (const NamedTest& known : kTests) {
    if (known.name == name) return known.test;
  }
  return nullptr;
}

}  // namespace mill::text::jinja
