#include "text/jinja/parser.h"

namespace mill::text::jinja {
namespace {

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
      return "an integer";
    case TokenKind::kFloat:
      return "a float";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return token.text;
  }
}

}  // namespace

bool Parser::at_word_of(Words words) const {
  return at(TokenKind::kName) && std::find(words.begin(), words.end(), now().text) != words.end();
}

bool Parser::skip_operator(std::string_view op) {
  if (!at_operator(op)) return false;
  next();
  return true;
}

bool Parser::skip_word(std::string_view word) {
  if (!at_word(word)) return false;
  next();
  return true;
}

tl::unexpected<Error> Parser::unexpected(std::string_view wanted) const {
  return syntax_error(now().line,
                      "expected " + std::string(wanted) + ", got '" + describe(now()) + "'");
}

Status Parser::expect_operator(std::string_view op) {
  if (skip_operator(op)) return {};
  return unexpected("'" + std::string(op) + "'");
}

Status Parser::expect_word(std::string_view word) {
  if (skip_word(word)) return {};
  return unexpected("'" + std::string(word) + "'");
}

Status Parser::expect(TokenKind kind) {
  if (!at(kind)) return unexpected("'" + describe({kind, 0, {}}) + "'");
  next();
  return {};
}

Result<std::string> Parser::expect_name() {
  if (!at(TokenKind::kName)) return unexpected("a name");
  return next().text;
}

Result<ExprPtr> Parser::sealed(ExprPtr expr) {
  int32_t highest = 0;
  for_each_child(*expr, [&highest](ExprPtr& child) { highest = std::max(highest, child->height); });
  expr->height = highest + 1;
  if (expr->height > depth_) {
    return fail(Code::kTooLarge,
                "line " + std::to_string(expr->line) + ": an expression is nested too deeply");
  }
  return expr;
}

bool Parser::at_end_of_tuple() const {
  return at(TokenKind::kVariableEnd) || at(TokenKind::kBlockEnd) || at_operator(")");
}

Result<ExprPtr> Parser::tuple(TupleStyle style) {
  auto parts = std::make_unique<Parts>(ExprKind::kTuple, now().line);
  bool is_tuple = false;
  for (;;) {
    if (!parts->parts.empty()) MILL_TRY_DO(expect_operator(","));
    if (at_end_of_tuple()) break;
    MILL_TRY(ExprPtr part, expression(style.conditional));
    parts->parts.push_back(std::move(part));
    if (!at_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!parts->parts.empty()) return std::move(parts->parts[0]);
    if (!style.parentheses) return unexpected("an expression");
  }
  return sealed(std::move(parts));
}

Result<ExprPtr> Parser::expression(bool conditional) {
  const Nesting nesting(*this);
  MILL_TRY_DO(nesting.check());
  return conditional ? parse_conditional() : parse_or();
}

Result<ExprPtr> Parser::parse_conditional() {
  MILL_TRY(ExprPtr expr, parse_or());
  while (at_word("if")) {
    auto node = std::make_unique<Conditional>(next().line);
    node->then = std::move(expr);
    MILL_TRY(node->test, parse_or());
    if (skip_word("else")) {
      const Nesting nesting(*this);
      MILL_TRY_DO(nesting.check());
      MILL_TRY(node->otherwise, parse_conditional());
    }
    MILL_TRY(expr, sealed(std::move(node)));
  }
  return expr;
}

Result<ExprPtr> Parser::word_chain(std::string_view word, ExprKind kind,
                                   Result<ExprPtr> (Parser::*operand)()) {
  MILL_TRY(ExprPtr first, (this->*operand)());
  if (!at_word(word)) return first;
  auto node = std::make_unique<Parts>(kind, now().line);
  node->parts.push_back(std::move(first));
  while (skip_word(word)) {
    MILL_TRY(ExprPtr part, (this->*operand)());
    node->parts.push_back(std::move(part));
  }
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_or() {
  return word_chain("or", ExprKind::kOr, &Parser::parse_and);
}
Result<ExprPtr> Parser::parse_and() {
  return word_chain("and", ExprKind::kAnd, &Parser::parse_not);
}

Result<ExprPtr> Parser::parse_not() {
  if (!at_word("not")) return parse_compare();
  const Nesting nesting(*this);
  MILL_TRY_DO(nesting.check());
  auto node = std::make_unique<Unary>(next().line, UnaryOp::kNot);
  MILL_TRY(node->operand, parse_not());
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_compare() {
  static const std::vector<std::pair<std::string_view, CompareOp>> kOperators = {
      {"==", CompareOp::kEqual},  {"!=", CompareOp::kNotEqual},
      {"<", CompareOp::kLess},    {"<=", CompareOp::kLessEqual},
      {">", CompareOp::kGreater}, {">=", CompareOp::kGreaterEqual}};
  auto node = std::make_unique<Compare>(now().line);
  MILL_TRY(node->first, parse_sum());
  for (;;) {
    std::optional<CompareOp> op;
    for (const auto& [sign, known] : kOperators) {
      if (at_operator(sign)) op = known;
    }
    if (at_word("in")) op = CompareOp::kIn;
    if (at_word("not") && look().kind == TokenKind::kName && look().text == "in") {
      next();
      op = CompareOp::kNotIn;
    }
    if (!op) break;
    next();
    MILL_TRY(ExprPtr operand, parse_sum());
    node->rest.emplace_back(*op, std::move(operand));
  }
  if (node->rest.empty()) return std::move(node->first);
  return sealed(std::move(node));
}

template <class Node, class Op>
Result<ExprPtr> Parser::chain(const std::vector<std::pair<std::string_view, Op>>& operators,
                              Result<ExprPtr> (Parser::*operand)()) {
  auto node = std::make_unique<Node>(now().line);
  MILL_TRY(node->first, (this->*operand)());
  for (;;) {
    const auto found = std::find_if(operators.begin(), operators.end(),
                                    [this](const auto& entry) { return at_operator(entry.first); });
    if (found == operators.end()) break;
    next();
    MILL_TRY(ExprPtr right, (this->*operand)());
    node->rest.emplace_back(found->second, std::move(right));
  }
  if (node->rest.empty()) return std::move(node->first);
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_sum() {
  static const std::vector<std::pair<std::string_view, Operator>> kOperators = {
      {"+", Operator::kAdd}, {"-", Operator::kSubtract}};
  return chain<Arithmetic>(kOperators, &Parser::parse_concat);
}

Result<ExprPtr> Parser::parse_concat() {
  MILL_TRY(ExprPtr first, parse_product());
  if (!at_operator("~")) return first;
  auto node = std::make_unique<Parts>(ExprKind::kConcat, now().line);
  node->parts.push_back(std::move(first));
  while (skip_operator("~")) {
    MILL_TRY(ExprPtr part, parse_product());
    node->parts.push_back(std::move(part));
  }
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_product() {
  static const std::vector<std::pair<std::string_view, Operator>> kOperators = {
      {"*", Operator::kMultiply},
      {"/", Operator::kDivide},
      {"//", Operator::kFloorDivide},
      {"%", Operator::kModulo}};
  return chain<Arithmetic>(kOperators, &Parser::parse_power);
}

Result<ExprPtr> Parser::parse_power() {
  static const std::vector<std::pair<std::string_view, Operator>> kOperators = {
      {"**", Operator::kPower}};
  auto node = std::make_unique<Arithmetic>(now().line);
  MILL_TRY(node->first, parse_unary());
  while (skip_operator("**")) {
    MILL_TRY(ExprPtr right, parse_unary());
    node->rest.emplace_back(Operator::kPower, std::move(right));
  }
  if (node->rest.empty()) return std::move(node->first);
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_unary(bool filters) {
  ExprPtr expr;
  if (at_operator("-") || at_operator("+")) {
    const Nesting nesting(*this);
    MILL_TRY_DO(nesting.check());
    const UnaryOp op = at_operator("-") ? UnaryOp::kMinus : UnaryOp::kPlus;
    auto node = std::make_unique<Unary>(next().line, op);
    MILL_TRY(node->operand, parse_unary(false));
    MILL_TRY(expr, sealed(std::move(node)));
  } else {
    MILL_TRY(expr, parse_primary());
  }
  MILL_TRY(expr, parse_postfix(std::move(expr)));
  return filters ? parse_filters_and_tests(std::move(expr)) : Result<ExprPtr>(std::move(expr));
}

Result<ExprPtr> Parser::parse_primary() {
  const Token& token = now();
  const int32_t line = token.line;
  switch (token.kind) {
    case TokenKind::kName: {
      next();
      const std::string& word = token.text;
      if (word == "true" || word == "True")
        return std::make_unique<Constant>(line, Value::boolean(true));
      if (word == "false" || word == "False")
        return std::make_unique<Constant>(line, Value::boolean(false));
      if (word == "none" || word == "None") return std::make_unique<Constant>(line, Value::none());
      return std::make_unique<Name>(line, word);
    }
    case TokenKind::kString: {
      std::string joined;
      while (at(TokenKind::kString)) joined += next().text;
      return std::make_unique<Constant>(line, Value::text(joined));
    }
    case TokenKind::kInteger: {
      next();
      MILL_TRY(Value integer, make_integer(token.integer));
      return std::make_unique<Constant>(line, std::move(integer));
    }
    case TokenKind::kFloat:
      next();
      return std::make_unique<Constant>(line, Value::real(token.real));
    default:
      break;
  }
  if (skip_operator("(")) {
    const Nesting nesting(*this);
    MILL_TRY_DO(nesting.check());
    MILL_TRY(ExprPtr inner, tuple({.parentheses = true}));
    MILL_TRY_DO(expect_operator(")"));
    return inner;
  }
  if (at_operator("[")) return parse_list();
  if (at_operator("{")) return parse_dict();
  return syntax_error(line, "unexpected '" + describe(token) + "'");
}

Result<ExprPtr> Parser::parse_list() {
  auto node = std::make_unique<Parts>(ExprKind::kList, next().line);
  while (!at_operator("]")) {
    if (!node->parts.empty()) MILL_TRY_DO(expect_operator(","));
    if (at_operator("]")) break;
    MILL_TRY(ExprPtr part, expression());
    node->parts.push_back(std::move(part));
  }
  next();
  return sealed(std::move(node));
}

Result<ExprPtr> Parser::parse_dict() {
  auto node = std::make_unique<DictDisplay>(next().line);
  while (!at_operator("}")) {
    if (!node->entries.empty()) MILL_TRY_DO(expect_operator(","));
    if (at_operator("}")) break;
    MILL_TRY(ExprPtr key, expression());
    MILL_TRY_DO(expect_operator(":"));
    MILL_TRY(ExprPtr value, expression());
    node->entries.emplace_back(std::move(key), std::move(value));
  }
  next();
  return sealed(std::move(node));
}

}  // namespace mill::text::jinja
