#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"

namespace mill::text::jinja {

Result<Value> Interpreter::eval(const Expr& expr) {
  MILL_TRY_DO(runtime_.budget.spend(1));
  if (expr.kind == ExprKind::kConstant) return static_cast<const Constant&>(expr).value;
  line_ = expr.line;
  if (expr.kind == ExprKind::kName) return eval_name(static_cast<const Name&>(expr));
  const Level level(*this);
  MILL_TRY_DO(level.check());
  return eval_kind(expr);
}

Result<Value> Interpreter::eval_kind(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConstant:
      return static_cast<const Constant&>(expr).value;
    case ExprKind::kName:
      return eval_name(static_cast<const Name&>(expr));
    case ExprKind::kTuple:
    case ExprKind::kList:
      return eval_parts(static_cast<const Parts&>(expr));
    case ExprKind::kDict:
      return eval_dict(static_cast<const DictDisplay&>(expr));
    case ExprKind::kAttribute: {
      const auto& attribute = static_cast<const Attribute&>(expr);
      MILL_TRY(const Value object, eval(*attribute.object));
      return get_attribute(runtime_, object, attribute.name);
    }
    case ExprKind::kItem: {
      MILL_TRY(const Value object, eval(*static_cast<const Item&>(expr).object));
      MILL_TRY(const Value key, eval(*static_cast<const Item&>(expr).key));
      return get_item(runtime_, object, key);
    }
    case ExprKind::kSlice:
      return eval_slice(static_cast<const SliceOf&>(expr));
    case ExprKind::kCall:
      return eval_call(static_cast<const Call&>(expr), nullptr);
    case ExprKind::kFilter:
      return eval_filter(static_cast<const FilterCall&>(expr), nullptr);
    case ExprKind::kTest:
      return eval_test(static_cast<const TestCall&>(expr));
    case ExprKind::kUnary: {
      MILL_TRY(const Value operand, eval(*static_cast<const Unary&>(expr).operand));
      return apply(runtime_, static_cast<const Unary&>(expr).op, operand);
    }
    case ExprKind::kArithmetic:
      return eval_arithmetic(static_cast<const Arithmetic&>(expr));
    case ExprKind::kConcat:
      return eval_concat(static_cast<const Parts&>(expr));
    case ExprKind::kCompare:
      return eval_compare(static_cast<const Compare&>(expr));
    case ExprKind::kAnd:
      return eval_logic(static_cast<const Parts&>(expr), false);
    case ExprKind::kOr:
      return eval_logic(static_cast<const Parts&>(expr), true);
    case ExprKind::kConditional:
      return eval_conditional(static_cast<const Conditional&>(expr));
  }
  return Value::none();
}

Result<Value> Interpreter::eval_name(const Name& name) {
  const Value& value = at(name.slot);
  if (!value.missing()) return value;
  return make_undefined("'" + name.name + "' is undefined");
}

Result<Value> Interpreter::eval_parts(const Parts& parts) {
  Items items;
  items.reserve(parts.parts.size());
  for (const ExprPtr& part : parts.parts) {
    MILL_TRY(Value item, eval(*part));
    items.push_back(std::move(item));
  }
  return parts.kind == ExprKind::kList ? make_list(runtime_, std::move(items))
                                       : make_tuple(runtime_, std::move(items));
}

Result<Value> Interpreter::eval_dict(const DictDisplay& dict) {
  Pairs pairs;
  for (const auto& [key_expr, value_expr] : dict.entries) {
    MILL_TRY(Value key, eval(*key_expr));
    MILL_TRY(Value value, eval(*value_expr));
    pairs.emplace_back(std::move(key), std::move(value));
  }
  return make_dict(runtime_, std::move(pairs));
}

Result<Value> Interpreter::eval_slice(const SliceOf& expr) {
  MILL_TRY(const Value object, eval(*expr.object));
  SliceBounds bounds;
  if (expr.start) {
    MILL_TRY(bounds.start, eval(*expr.start));
  }
  if (expr.stop) {
    MILL_TRY(bounds.stop, eval(*expr.stop));
  }
  if (expr.step) {
    MILL_TRY(bounds.step, eval(*expr.step));
  }
  return slice(runtime_, object, bounds);
}

Result<Value> Interpreter::eval_filter(const FilterCall& filter, const Value* block) {
  const auto input_of = [&]() -> Result<Value> {
    if (!filter.input) return *block;
    if (block) return eval_filter(static_cast<const FilterCall&>(*filter.input), block);
    return eval(*filter.input);
  };
  if (!filter.filter) {
    return fail(Code::kInvalid,
                "TemplateRuntimeError: No filter named '" + filter.name + "' found.");
  }
  MILL_TRY(const Value input, input_of());
  MILL_TRY(Arguments arguments, eval_arguments(filter.arguments));
  line_ = filter.line;
  return filter.filter(runtime_, input, arguments);
}

Result<Value> Interpreter::eval_test(const TestCall& test) {
  if (!test.test)
    return fail(Code::kInvalid, "TemplateRuntimeError: No test named '" + test.name + "' found.");
  MILL_TRY(const Value input, eval(*test.input));
  MILL_TRY(Arguments arguments, eval_arguments(test.arguments));
  MILL_TRY(const bool holds, test.test(runtime_, input, arguments));
  return Value::boolean(holds);
}

Result<Value> Interpreter::eval_arithmetic(const Arithmetic& arithmetic) {
  MILL_TRY(Value result, eval(*arithmetic.first));
  for (const auto& [op, operand] : arithmetic.rest) {
    MILL_TRY(const Value right, eval(*operand));
    MILL_TRY(result, apply(runtime_, op, result, right));
  }
  return result;
}

Result<Value> Interpreter::eval_concat(const Parts& parts) {
  // Every part is computed before the first is printed.
  MILL_TRY(const Value items, eval_parts(parts));
  TextBuilder out(runtime_.budget);
  for (const Value& item : items.sequence().items) MILL_TRY_DO(append_str(runtime_, out, item));
  return make_text(out);
}

Result<Value> Interpreter::eval_compare(const Compare& compare) {
  MILL_TRY(Value left, eval(*compare.first));
  for (const auto& [op, operand] : compare.rest) {
    MILL_TRY(Value right, eval(*operand));
    MILL_TRY(const bool holds, apply(runtime_, op, left, right));
    if (!holds) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Result<Value> Interpreter::eval_logic(const Parts& parts, bool until) {
  Value value;
  for (const ExprPtr& part : parts.parts) {
    MILL_TRY(value, eval(*part));
    if (truth(value) == until) break;
  }
  return value;
}

Result<Value> Interpreter::eval_conditional(const Conditional& conditional) {
  MILL_TRY(const Value test, eval(*conditional.test));
  if (truth(test)) return eval(*conditional.then);
  if (conditional.otherwise) return eval(*conditional.otherwise);
  return make_undefined("the inline if-expression on line " + std::to_string(conditional.line) +
                        " evaluated to false and no else section was defined.");
}

}  // namespace mill::text::jinja
