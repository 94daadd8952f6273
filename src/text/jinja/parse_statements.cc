#include "text/jinja/parser.h"

namespace mill::text::jinja {

Result<Body> Parser::parse() {
  Body body;
  MILL_TRY_DO(body_until({}, body));
  return body;
}

Status Parser::body_until(Words ends, Body& out) {
  const Nesting nesting(*this);
  MILL_TRY_DO(nesting.check());
  std::unique_ptr<Output> output;
  const auto add = [&](ExprPtr part) {
    if (!output) output = std::make_unique<Output>(part->line);
    output->parts.push_back(std::move(part));
  };
  const auto flush = [&] {
    if (output) out.push_back(std::move(output));
  };
  while (!at(TokenKind::kEnd)) {
    if (at(TokenKind::kData)) {
      const Token& data = next();
      add(std::make_unique<Constant>(data.line, Value::text(data.text)));
    } else if (at(TokenKind::kVariableBegin)) {
      next();
      MILL_TRY(ExprPtr expr, tuple({}));
      MILL_TRY_DO(expect(TokenKind::kVariableEnd));
      add(std::move(expr));
    } else {
      flush();
      MILL_TRY_DO(expect(TokenKind::kBlockBegin));
      if (at_word_of(ends)) return {};
      MILL_TRY(StmtPtr made, statement());
      out.push_back(std::move(made));
      MILL_TRY_DO(expect(TokenKind::kBlockEnd));
    }
  }
  flush();
  if (ends.size() == 0) return {};
  return syntax_error(
      now().line, "Unexpected end of template: looking for '" + std::string(*ends.begin()) + "'");
}

Status Parser::statements(Words ends, Body& out) {
  skip_operator(":");
  MILL_TRY_DO(expect(TokenKind::kBlockEnd));
  return body_until(ends, out);
}

Status Parser::closed_statements(std::string_view end, Body& out) {
  MILL_TRY_DO(statements({end}, out));
  next();
  return {};
}

Result<StmtPtr> Parser::statement() {
  if (!at(TokenKind::kName)) return syntax_error(now().line, "tag name expected");
  using Parse = Result<StmtPtr> (Parser::*)();
  static const std::vector<std::pair<std::string_view, Parse>> kTags = {
      {"if", &Parser::parse_if},
      {"for", &Parser::parse_for},
      {"set", &Parser::parse_set},
      {"macro", &Parser::parse_macro},
      {"call", &Parser::parse_call_block},
      {"filter", &Parser::parse_filter_block},
      {"with", &Parser::parse_with},
      {"print", &Parser::parse_print},
      {"break", &Parser::parse_loop_control},
      {"continue", &Parser::parse_loop_control},
      {"generation", &Parser::parse_generation},
  };
  for (const auto& [word, parse] : kTags) {
    if (at_word(word)) return (this->*parse)();
  }
  if (at_word_of({"block", "extends", "include", "import", "from", "autoescape"})) {
    return fail(Code::kUnsupported, "line " + std::to_string(now().line) + ": the tag '" +
                                        now().text + "' is not supported in chat templates");
  }
  return syntax_error(now().line, "Encountered unknown tag '" + now().text + "'");
}

Result<StmtPtr> Parser::parse_if() {
  auto node = std::make_unique<If>(next().line);
  for (;;) {
    MILL_TRY(ExprPtr test, tuple({.conditional = false}));
    Body body;
    MILL_TRY_DO(statements({"elif", "else", "endif"}, body));
    node->branches.emplace_back(std::move(test), std::move(body));
    const std::string word = next().text;
    if (word == "elif") continue;
    if (word == "else") MILL_TRY_DO(closed_statements("endif", node->otherwise));
    return node;
  }
}

Result<StmtPtr> Parser::parse_for() {
  auto node = std::make_unique<For>(next().line);
  MILL_TRY(node->target, parse_target(false));
  MILL_TRY_DO(expect_word("in"));
  MILL_TRY(node->iterable, tuple({.conditional = false}));
  if (skip_word("if")) {
    MILL_TRY(node->test, expression());
  }
  node->recursive = skip_word("recursive");
  node->test_target = node->target;
  const int32_t around = loops_;
  loops_ = around + 1;
  const Status body = statements({"endfor", "else"}, node->body);
  loops_ = node->recursive ? 0 : around;
  MILL_TRY_DO(body);
  if (next().text == "else") MILL_TRY_DO(closed_statements("endfor", node->otherwise));
  loops_ = around;
  return node;
}

Result<StmtPtr> Parser::parse_set() {
  const int32_t line = next().line;
  MILL_TRY(Target target, parse_target(true));
  if (skip_operator("=")) {
    auto node = std::make_unique<Set>(line);
    node->target = std::move(target);
    MILL_TRY(node->value, tuple({}));
    return node;
  }
  auto node = std::make_unique<SetBlock>(line);
  node->target = std::move(target);
  if (skip_operator("|")) {
    MILL_TRY(node->filter, parse_filter_chain(nullptr));
  }
  MILL_TRY_DO(closed_statements("endset", node->body));
  return node;
}

Status Parser::parse_signature(MacroBody& macro) {
  MILL_TRY_DO(expect_operator("("));
  while (!at_operator(")")) {
    if (!macro.parameters.empty()) MILL_TRY_DO(expect_operator(","));
    const int32_t line = now().line;
    Parameter parameter;
    MILL_TRY(parameter.name, expect_name());
    if (skip_operator("=")) {
      MILL_TRY(parameter.standard, expression());
    } else if (!macro.parameters.empty() && macro.parameters.back().standard) {
      return syntax_error(line, "non-default argument follows default argument");
    }
    for (const Parameter& known : macro.parameters) {
      if (known.name == parameter.name)
        return syntax_error(line, "duplicate argument '" + known.name + "'");
    }
    macro.parameters.push_back(std::move(parameter));
  }
  return expect_operator(")");
}

Status Parser::parse_macro_body(std::string_view end, MacroBody& macro) {
  const int32_t around = std::exchange(loops_, 0);
  const Status body = closed_statements(end, macro.body);
  loops_ = around;
  return body;
}

Result<StmtPtr> Parser::parse_macro() {
  auto node = std::make_unique<MacroStmt>(next().line);
  MILL_TRY(node->macro.name, expect_name());
  MILL_TRY_DO(parse_signature(node->macro));
  MILL_TRY_DO(parse_macro_body("endmacro", node->macro));
  return node;
}

Result<StmtPtr> Parser::parse_call_block() {
  auto node = std::make_unique<CallBlock>(next().line);
  if (at_operator("(")) MILL_TRY_DO(parse_signature(node->macro));
  MILL_TRY(node->call, expression());
  if (node->call->kind != ExprKind::kCall) return syntax_error(node->line, "expected call");
  MILL_TRY_DO(parse_macro_body("endcall", node->macro));
  return node;
}

Result<StmtPtr> Parser::parse_generation() {
  auto node = std::make_unique<CallBlock>(next().line);
  MILL_TRY_DO(parse_macro_body("endgeneration", node->macro));
  return node;
}

Result<StmtPtr> Parser::parse_filter_block() {
  auto node = std::make_unique<FilterBlock>(next().line);
  MILL_TRY(node->filter, parse_filter_chain(nullptr));
  MILL_TRY_DO(closed_statements("endfilter", node->body));
  return node;
}

Result<StmtPtr> Parser::parse_with() {
  auto node = std::make_unique<With>(next().line);
  while (!at(TokenKind::kBlockEnd)) {
    if (!node->bindings.empty()) MILL_TRY_DO(expect_operator(","));
    MILL_TRY(Target target, parse_target(false));
    MILL_TRY_DO(expect_operator("="));
    MILL_TRY(ExprPtr value, expression());
    node->bindings.emplace_back(std::move(target), std::move(value));
  }
  MILL_TRY_DO(closed_statements("endwith", node->body));
  return node;
}

Result<StmtPtr> Parser::parse_print() {
  auto node = std::make_unique<Output>(next().line);
  while (!at(TokenKind::kBlockEnd)) {
    if (!node->parts.empty()) MILL_TRY_DO(expect_operator(","));
    MILL_TRY(ExprPtr part, expression());
    node->parts.push_back(std::move(part));
  }
  return node;
}

Result<StmtPtr> Parser::parse_loop_control() {
  const Token& word = next();
  if (loops_ == 0) return syntax_error(word.line, "'" + word.text + "' outside loop");
  return std::make_unique<Stmt>(word.text == "break" ? StmtKind::kBreak : StmtKind::kContinue,
                                word.line);
}

Result<Target> Parser::parse_target(bool attributes) {
  Target tuple{.kind = Target::Kind::kTuple, .line = now().line};
  bool is_tuple = false;
  for (;;) {
    if (!tuple.parts.empty()) MILL_TRY_DO(expect_operator(","));
    if (at_end_of_tuple()) break;
    MILL_TRY(Target part, parse_one_target(attributes));
    tuple.parts.push_back(std::move(part));
    if (!at_operator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return tuple;
  if (tuple.parts.empty()) return unexpected("a name to assign to");
  return std::move(tuple.parts[0]);
}

Result<Target> Parser::parse_one_target(bool attributes) {
  const int32_t line = now().line;
  if (skip_operator("(")) {
    const Nesting nesting(*this);
    MILL_TRY_DO(nesting.check());
    MILL_TRY(Target inner, parse_target(false));
    MILL_TRY_DO(expect_operator(")"));
    return inner;
  }
  if (!at(TokenKind::kName) || at_word_of({"true", "false", "none", "True", "False", "None"})) {
    return syntax_error(line, "can't assign to what is not a name");
  }
  Target target{.line = line, .name = next().text};
  if (attributes && skip_operator(".")) {
    target.kind = Target::Kind::kAttribute;
    MILL_TRY(target.attribute, expect_name());
  }
  return target;
}

}  // namespace mill::text::jinja
