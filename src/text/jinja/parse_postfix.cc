#include "text/jinja/parser.h"

namespace mill::text::jinja {

Result<ExprPtr> Parser::parse_postfix(ExprPtr expr) {
  for (;;) {
    if (at_operator(".")) {
      MILL_TRY(expr, parse_attribute(std::move(expr)));
    } else if (at_operator("[")) {
      MILL_TRY(expr, parse_subscript(std::move(expr)));
    } else if (at_operator("(")) {
      MILL_TRY(expr, parse_call(std::move(expr)));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> Parser::parse_filters_and_tests(ExprPtr expr) {
  for (;;) {
    if (skip_operator("|")) {
      MILL_TRY(expr, parse_filter(std::move(expr)));
    } else if (at_word("is")) {
      MILL_TRY(expr, parse_test(std::move(expr)));
    } else if (at_operator("(")) {
      MILL_TRY(expr, parse_call(std::move(expr)));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> Parser::parse_attribute(ExprPtr object) {
  const int32_t line = next().line;
  if (at(TokenKind::kInteger)) {
    auto node = std::make_unique<Item>(line);
    node->object = std::move(object);
    MILL_TRY(Value index, make_integer(next().integer));
    node->key = std::make_unique<Constant>(line, std::move(index));
    return sealed(std::move(node));
  }
  if (!at(TokenKind::kName)) return unexpected("a name or a number");
  auto node = std::make_unique<Attribute>(line);
  node->object = std::move(object);
  node->name = next().text;
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_subscript(ExprPtr object) {
  const int32_t line = next().line;
  auto slice = std::make_unique<SliceOf>(line);
  auto keys = std::make_unique<Parts>(ExprKind::kTuple, line);
  bool sliced = false;
  while (!at_operator("]")) {
    if (!keys->parts.empty() || sliced) MILL_TRY_DO(expect_operator(","));
    if (sliced)
      return fail(Code::kUnsupported,
                  "line " + std::to_string(line) + ": a slice among several keys");
    if (!at_operator(":")) {
      MILL_TRY(ExprPtr key, expression());
      keys->parts.push_back(std::move(key));
    }
    if (!skip_operator(":")) continue;
    sliced = true;
    if (keys->parts.size() > 1)
      return fail(Code::kUnsupported,
                  "line " + std::to_string(line) + ": a slice among several keys");
    if (!keys->parts.empty()) slice->start = std::move(keys->parts[0]);
    keys->parts.clear();
    const auto absent = [this] { return at_operator(":") || at_operator("]") || at_operator(","); };
    if (!absent()) {
      MILL_TRY(slice->stop, expression());
    }
    if (skip_operator(":") && !absent()) {
      MILL_TRY(slice->step, expression());
    }
  }
  next();
  if (sliced) {
    slice->object = std::move(object);
    return sealed(std::move(slice));
  }
  auto node = std::make_unique<Item>(line);
  node->object = std::move(object);
  if (keys->parts.size() == 1) {
    node->key = std::move(keys->parts[0]);
  } else {
    MILL_TRY(node->key, sealed(std::move(keys)));
  }
  return sealed(std::move(node));
}

Result<ArgumentList> Parser::parse_arguments() {
  const int32_t line = now().line;
  MILL_TRY_DO(expect_operator("("));
  ArgumentList list;
  bool comma = false;
  const auto broken = [line] {
    return syntax_error(line, "invalid syntax for function call expression");
  };
  while (!at_operator(")")) {
    if (comma) {
      MILL_TRY_DO(expect_operator(","));
      if (at_operator(")")) break;
    }
    if (skip_operator("*")) {
      if (list.spread || list.spread_named) return broken();
      MILL_TRY(list.spread, expression());
    } else if (skip_operator("**")) {
      if (list.spread_named) return broken();
      MILL_TRY(list.spread_named, expression());
    } else if (at(TokenKind::kName) && look().kind == TokenKind::kOperator && look().text == "=") {
      if (list.spread_named) return broken();
      std::string name = next().text;
      next();
      for (const auto& [known, value] : list.named) {
        if (known == name) return syntax_error(line, "keyword argument repeated: " + name);
      }
      MILL_TRY(ExprPtr value, expression());
      list.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (list.spread || list.spread_named || !list.named.empty()) return broken();
      MILL_TRY(ExprPtr value, expression());
      list.positional.push_back(std::move(value));
    }
    comma = true;
  }
  MILL_TRY_DO(expect_operator(")"));
  return list;
}

Result<ExprPtr> Parser::parse_call(ExprPtr callee) {
  auto node = std::make_unique<Call>(now().line);
  node->callee = std::move(callee);
  MILL_TRY(node->arguments, parse_arguments());
  return sealed(std::move(node));
}

Result<std::string> Parser::dotted_name() {
  MILL_TRY(std::string name, expect_name());
  while (skip_operator(".")) {
    MILL_TRY(const std::string part, expect_name());
    name += "." + part;
  }
  return name;
}

Result<ExprPtr> Parser::parse_filter(ExprPtr input) {
  auto node = std::make_unique<FilterCall>(now().line);
  node->input = std::move(input);
  MILL_TRY(node->name, dotted_name());
  node->filter = find_filter(node->name);
  if (at_operator("(")) {
    MILL_TRY(node->arguments, parse_arguments());
  }
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_filter_chain(ExprPtr input) {
  MILL_TRY(ExprPtr expr, parse_filter(std::move(input)));
  while (skip_operator("|")) {
    MILL_TRY(expr, parse_filter(std::move(expr)));
  }
  return expr;
}

Result<ExprPtr> Parser::parse_test(ExprPtr input) {
  auto node = std::make_unique<TestCall>(next().line);
  node->input = std::move(input);
  const bool negated = skip_word("not");
  MILL_TRY(node->name, dotted_name());
  node->test = find_test(node->name);
  const bool operand = at(TokenKind::kName) || at(TokenKind::kString) || at(TokenKind::kInteger) ||
                       at(TokenKind::kFloat) || at_operator("[") || at_operator("{");
  if (at_operator("(")) {
    MILL_TRY(node->arguments, parse_arguments());
  } else if (operand && !at_word_of({"else", "or", "and"})) {
    if (at_word("is")) return syntax_error(now().line, "You cannot chain multiple tests with is");
    MILL_TRY(ExprPtr argument, parse_primary());
    MILL_TRY(argument, parse_postfix(std::move(argument)));
    node->arguments.positional.push_back(std::move(argument));
  }
  if (!negated) return sealed(std::move(node));
  auto negation = std::make_unique<Unary>(node->line, UnaryOp::kNot);
  MILL_TRY(negation->operand, sealed(std::move(node)));
  return sealed(std::move(negation));
}

}  // namespace mill::text::jinja
