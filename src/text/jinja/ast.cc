#include "text/jinja/ast.h"

namespace mill::text::jinja {

void for_each_child(Expr& expr, const std::function<void(ExprPtr&)>& visit) {
  const auto maybe = [&visit](ExprPtr& child) {
    if (child) visit(child);
  };
  switch (expr.kind) {
    case ExprKind::kConstant:
    case ExprKind::kName:
      return;
    case ExprKind::kTuple:
    case ExprKind::kList:
    case ExprKind::kConcat:
    case ExprKind::kAnd:
    case ExprKind::kOr:
      for (ExprPtr& part : static_cast<Parts&>(expr).parts) visit(part);
      return;
    case ExprKind::kDict:
      for (auto& [key, value] : static_cast<DictDisplay&>(expr).entries) {
        visit(key);
        visit(value);
      }
      return;
    case ExprKind::kAttribute:
      visit(static_cast<Attribute&>(expr).object);
      return;
    case ExprKind::kItem:
      visit(static_cast<Item&>(expr).object);
      visit(static_cast<Item&>(expr).key);
      return;
    case ExprKind::kSlice: {
      auto& slice = static_cast<SliceOf&>(expr);
      visit(slice.object);
      maybe(slice.start);
      maybe(slice.stop);
      maybe(slice.step);
      return;
    }
    case ExprKind::kCall:
      visit(static_cast<Call&>(expr).callee);
      for_each_child(static_cast<Call&>(expr).arguments, visit);
      return;
    case ExprKind::kFilter:
      maybe(static_cast<FilterCall&>(expr).input);
      for_each_child(static_cast<FilterCall&>(expr).arguments, visit);
      return;
    case ExprKind::kTest:
      visit(static_cast<TestCall&>(expr).input);
      for_each_child(static_cast<TestCall&>(expr).arguments, visit);
      return;
    case ExprKind::kUnary:
      visit(static_cast<Unary&>(expr).operand);
      return;
    case ExprKind::kArithmetic:
      visit(static_cast<Arithmetic&>(expr).first);
      for (auto& [op, operand] : static_cast<Arithmetic&>(expr).rest) visit(operand);
      return;
    case ExprKind::kCompare:
      visit(static_cast<Compare&>(expr).first);
      for (auto& [op, operand] : static_cast<Compare&>(expr).rest) visit(operand);
      return;
    case ExprKind::kConditional:
      visit(static_cast<Conditional&>(expr).test);
      visit(static_cast<Conditional&>(expr).then);
      maybe(static_cast<Conditional&>(expr).otherwise);
      return;
  }
}

}  // namespace mill::text::jinja
