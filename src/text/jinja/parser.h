// From tokens to a tree: Jinja2's grammar, as far as chat templates go.
//
// Recursion, and the height of every tree, is bounded by `depth`: no source overflows the stack.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace mill::text::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, int32_t depth) : tokens_(std::move(tokens)), depth_(depth) {}

  // Fails with kInvalid (the line and what is wrong), kUnsupported (a construct that is not built,
  // by name) or kTooLarge (nested too deeply).
  Result<Body> parse();

 private:
  using Words = std::initializer_list<std::string_view>;
  class Nesting;  // one level of recursion, as long as it lives

  // Tokens.
  const Token& now() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& next() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool at(TokenKind kind) const { return now().kind == kind; }
  bool at_operator(std::string_view op) const {
    return at(TokenKind::kOperator) && now().text == op;
  }
  bool at_word(std::string_view word) const { return at(TokenKind::kName) && now().text == word; }
  bool at_word_of(Words words) const;
  bool skip_operator(std::string_view op);
  bool skip_word(std::string_view word);
  Status expect_operator(std::string_view op);
  Status expect_word(std::string_view word);
  Status expect(TokenKind kind);
  Result<std::string> expect_name();
  tl::unexpected<Error> unexpected(std::string_view wanted) const;

  // Statements (parse_statements.cc).
  Status body_until(Words ends, Body& out);  // up to the tag's name; `ends` empty: to the end
  Status statements(Words ends, Body& out);  // after a tag: its end, then body_until
  Status closed_statements(std::string_view end, Body& out);  // and past the closing word
  Result<StmtPtr> statement();
  Result<StmtPtr> parse_if();
  Result<StmtPtr> parse_for();
  Result<StmtPtr> parse_set();
  Result<StmtPtr> parse_macro();
  Result<StmtPtr> parse_call_block();
  Result<StmtPtr> parse_generation();
  Result<StmtPtr> parse_filter_block();
  Result<StmtPtr> parse_with();
  Result<StmtPtr> parse_print();
  Result<StmtPtr> parse_loop_control();
  Status parse_signature(MacroBody& macro);
  Status parse_macro_body(std::string_view end, MacroBody& macro);
  Result<Target> parse_target(bool attributes);
  Result<Target> parse_one_target(bool attributes);

  // Expressions (parse_expressions.cc).
  struct TupleStyle {
    bool conditional = true;   // `a if b else c` may stand in it
    bool parentheses = false;  // an empty tuple is fine
  };
  Result<ExprPtr> tuple(TupleStyle style);
  Result<ExprPtr> expression(bool conditional = true);
  Result<ExprPtr> parse_conditional();
  Result<ExprPtr> parse_or();
  Result<ExprPtr> parse_and();
  Result<ExprPtr> parse_not();
  Result<ExprPtr> parse_compare();
  Result<ExprPtr> parse_sum();
  Result<ExprPtr> parse_concat();
  Result<ExprPtr> parse_product();
  Result<ExprPtr> parse_power();
  Result<ExprPtr> parse_unary(bool filters = true);
  Result<ExprPtr> parse_primary();
  Result<ExprPtr> parse_list();
  Result<ExprPtr> parse_dict();
  Result<ExprPtr> parse_postfix(ExprPtr object);
  Result<ExprPtr> parse_filters_and_tests(ExprPtr object);
  Result<ExprPtr> parse_attribute(ExprPtr object);
  Result<ExprPtr> parse_subscript(ExprPtr object);
  Result<ExprPtr> parse_call(ExprPtr callee);
  Result<ExprPtr> parse_filter(ExprPtr input);  // after the bar
  Result<ExprPtr> parse_filter_chain(ExprPtr input);
  Result<ExprPtr> parse_test(ExprPtr input);
  Result<ArgumentList> parse_arguments();
  Result<std::string> dotted_name();
  bool at_end_of_tuple() const;
  template <class Node, class Op>
  Result<ExprPtr> chain(const std::vector<std::pair<std::string_view, Op>>& operators,
                        Result<ExprPtr> (Parser::*operand)());
  Result<ExprPtr> word_chain(std::string_view word, ExprKind kind,
                             Result<ExprPtr> (Parser::*operand)());
  // Gives a finished node its height. Fails when the tree is too high.
  Result<ExprPtr> sealed(ExprPtr expr);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int32_t depth_;
  int32_t nesting_ = 0;
  int32_t loops_ = 0;  // around the current statement, in the same macro
};

class Parser::Nesting {
 public:
  explicit Nesting(Parser& parser) : parser_(parser) { ++parser_.nesting_; }
  ~Nesting() { --parser_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  Status check() const {
    if (parser_.nesting_ <= parser_.depth_) return {};
    return fail(Code::kTooLarge,
                "line " + std::to_string(parser_.now().line) + ": nested too deeply");
  }

 private:
  Parser& parser_;
};

}  // namespace mill::text::jinja
