// A template as a tree. Made by the parser, completed by the scopes (which give every name its
// slot), then never changed: any number of renderings read it at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/filters.h"
#include "text/jinja/tests.h"
#include "text/jinja/value.h"

namespace mill::text::jinja {

// Where a variable lives: `hops` functions outwards, number `index` of that function's variables.
struct Slot {
  int32_t hops = 0;
  int32_t index = 0;
};

enum class ExprKind : uint8_t {
  kConstant,
  kName,
  kTuple,
  kList,
  kDict,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kUnary,
  kArithmetic,
  kConcat,
  kCompare,
  kAnd,
  kOr,
  kConditional,
};

struct Expr {
  Expr(ExprKind what, int32_t where) : kind(what), line(where) {}
  virtual ~Expr() = default;
  const ExprKind kind;
  const int32_t line;
  int32_t height = 1;  // of the tree below, bounded by the parser
};
using ExprPtr = std::unique_ptr<Expr>;

struct Constant : Expr {
  Constant(int32_t where, Value constant)
      : Expr(ExprKind::kConstant, where), value(std::move(constant)) {}
  Value value;
};

struct Name : Expr {
  Name(int32_t where, std::string word) : Expr(ExprKind::kName, where), name(std::move(word)) {}
  std::string name;
  Slot slot;
};

// Tuples, lists, concatenations (~), and, or: nothing but parts.
struct Parts : Expr {
  using Expr::Expr;
  std::vector<ExprPtr> parts;
};

struct DictDisplay : Expr {
  explicit DictDisplay(int32_t where) : Expr(ExprKind::kDict, where) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};

struct Attribute : Expr {
  explicit Attribute(int32_t where) : Expr(ExprKind::kAttribute, where) {}
  ExprPtr object;
  std::string name;
};

struct Item : Expr {
  explicit Item(int32_t where) : Expr(ExprKind::kItem, where) {}
  ExprPtr object, key;
};

struct SliceOf : Expr {
  explicit SliceOf(int32_t where) : Expr(ExprKind::kSlice, where) {}
  ExprPtr object, start, stop, step;  // the last three may be absent
};

struct ArgumentList {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr spread, spread_named;  // *x and **x, may be absent
};

struct Call : Expr {
  explicit Call(int32_t where) : Expr(ExprKind::kCall, where) {}
  ExprPtr callee;
  ArgumentList arguments;
};

struct FilterCall : Expr {
  explicit FilterCall(int32_t where) : Expr(ExprKind::kFilter, where) {}
  ExprPtr input;  // absent in a filter block: the block's text
  std::string name;
  Filter filter = nullptr;  // null: unknown, an error when it is reached
  ArgumentList arguments;
};

struct TestCall : Expr {
  explicit TestCall(int32_t where) : Expr(ExprKind::kTest, where) {}
  ExprPtr input;
  std::string name;
  Test test = nullptr;  // null: unknown, an error when it is reached
  ArgumentList arguments;
};

enum class UnaryOp : uint8_t { kNot, kMinus, kPlus };
struct Unary : Expr {
  Unary(int32_t where, UnaryOp sign) : Expr(ExprKind::kUnary, where), op(sign) {}
  const UnaryOp op;
  ExprPtr operand;
};

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower
};
// a + b - c: applied from the left, however long.
struct Arithmetic : Expr {
  explicit Arithmetic(int32_t where) : Expr(ExprKind::kArithmetic, where) {}
  ExprPtr first;
  std::vector<std::pair<Operator, ExprPtr>> rest;
};

enum class CompareOp : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn
};
// a < b <= c: every neighbouring pair must hold.
struct Compare : Expr {
  explicit Compare(int32_t where) : Expr(ExprKind::kCompare, where) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};

struct Conditional : Expr {
  explicit Conditional(int32_t where) : Expr(ExprKind::kConditional, where) {}
  ExprPtr test, then, otherwise;  // the last may be absent
};

// Calls visit(ExprPtr&) for each expression right below `expr`.
template <class Visit>
void for_each_child(ArgumentList& arguments, Visit visit) {
  for (ExprPtr& argument : arguments.positional) visit(argument);
  for (auto& [name, argument] : arguments.named) visit(argument);
  if (arguments.spread) visit(arguments.spread);
  if (arguments.spread_named) visit(arguments.spread_named);
}
void for_each_child(Expr& expr, const std::function<void(ExprPtr&)>& visit);

// What a value is assigned to: a name, ns.attribute, or several of them.
struct Target {
  enum class Kind : uint8_t { kName, kAttribute, kTuple } kind = Kind::kName;
  int32_t line = 0;
  std::string name;
  std::string attribute;
  Slot slot;
  std::vector<Target> parts;
};

enum class StmtKind : uint8_t {
  kOutput,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kBreak,
  kContinue,
};

struct Stmt {
  Stmt(StmtKind what, int32_t where) : kind(what), line(where) {}
  virtual ~Stmt() = default;
  const StmtKind kind;
  const int32_t line;
};
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

// What happens to the variables of a scope when it is entered (jinja2's idtracking).
struct ScopeLoad {
  enum class From : uint8_t { kNothing, kContext, kOuter } from;
  Slot slot;
  Slot outer;        // kOuter: whose value it starts with
  std::string name;  // kContext: the variable or global it starts with
};
using Scope = std::vector<ScopeLoad>;

struct Output : Stmt {
  explicit Output(int32_t where) : Stmt(StmtKind::kOutput, where) {}
  std::vector<ExprPtr> parts;  // text between tags is a Constant
};

struct If : Stmt {
  explicit If(int32_t where) : Stmt(StmtKind::kIf, where) {}
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};

struct For : Stmt {
  explicit For(int32_t where) : Stmt(StmtKind::kFor, where) {}
  Target target, test_target;  // the same names, in the scope of the body and of the test
  ExprPtr iterable, test;      // the test may be absent
  Body body, otherwise;
  bool recursive = false;
  Slot loop;
  Scope body_scope, test_scope, else_scope;
  int32_t slots = 0;  // recursive: the loop is a function of its own
};

struct Set : Stmt {
  explicit Set(int32_t where) : Stmt(StmtKind::kSet, where) {}
  Target target;
  ExprPtr value;
};

struct SetBlock : Stmt {
  explicit SetBlock(int32_t where) : Stmt(StmtKind::kSetBlock, where) {}
  Target target;
  ExprPtr filter;  // a chain of FilterCall on the text; may be absent
  Body body;
  Scope scope;
};

struct Parameter {
  std::string name;
  ExprPtr standard;  // may be absent
  Slot slot;
};

// A macro, or the body of a call block (which has no name).
struct MacroBody {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  Scope scope;
  int32_t slots = 0;
  bool takes_caller = false, takes_named = false, takes_rest = false;
  Slot caller, named, rest;
};

struct MacroStmt : Stmt {
  explicit MacroStmt(int32_t where) : Stmt(StmtKind::kMacro, where) {}
  MacroBody macro;
  Slot slot;
};

struct CallBlock : Stmt {
  explicit CallBlock(int32_t where) : Stmt(StmtKind::kCallBlock, where) {}
  MacroBody macro;
  ExprPtr call;  // a Call; absent in a generation block, whose text goes straight out
};

struct FilterBlock : Stmt {
  explicit FilterBlock(int32_t where) : Stmt(StmtKind::kFilterBlock, where) {}
  ExprPtr filter;
  Body body;
  Scope scope;
};

struct With : Stmt {
  explicit With(int32_t where) : Stmt(StmtKind::kWith, where) {}
  std::vector<std::pair<Target, ExprPtr>> bindings;
  Body body;
  Scope scope;
};

struct Program {
  Body body;
  Scope scope;
  int32_t slots = 0;
};

}  // namespace mill::text::jinja
