#include "text/jinja/scopes.h"

#include <map>
#include <set>

#include "text/jinja/lexer.h"
#include "text/jinja/symbols.h"

namespace mill::text::jinja {
namespace {

// Which of `names` the body reads before anything in it assigns them, nested scopes included.
class Undeclared {
 public:
  explicit Undeclared(std::set<std::string> names) : names_(std::move(names)) {}

  void visit(Body& body) {
    for (StmtPtr& stmt : body) visit(*stmt);
  }
  const std::set<std::string>& found() const { return found_; }

 private:
  void visit(Expr& expr) {
    if (expr.kind == ExprKind::kName) {
      const std::string& name = static_cast<Name&>(expr).name;
      if (names_.contains(name)) found_.insert(name);
    }
    for_each_child(expr, [this](ExprPtr& child) { visit(*child); });
  }
  void maybe(ExprPtr& expr) {
    if (expr) visit(*expr);
  }
  void assign(const Target& target) {
    for (const Target& part : target.parts) assign(part);
    if (target.kind == Target::Kind::kName) names_.erase(target.name);
  }
  void visit(MacroBody& macro) {
    for (Parameter& parameter : macro.parameters) names_.erase(parameter.name);
    for (Parameter& parameter : macro.parameters) maybe(parameter.standard);
    visit(macro.body);
  }
  void visit(Stmt& stmt) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
        for (ExprPtr& part : static_cast<Output&>(stmt).parts) visit(*part);
        return;
      case StmtKind::kIf:
        for (auto& [test, body] : static_cast<If&>(stmt).branches) {
          visit(*test);
          visit(body);
        }
        return visit(static_cast<If&>(stmt).otherwise);
      case StmtKind::kFor: {
        auto& loop = static_cast<For&>(stmt);
        assign(loop.target);
        visit(*loop.iterable);
        visit(loop.body);
        visit(loop.otherwise);
        return maybe(loop.test);
      }
      case StmtKind::kSet:
        assign(static_cast<Set&>(stmt).target);
        return visit(*static_cast<Set&>(stmt).value);
      case StmtKind::kSetBlock:
        assign(static_cast<SetBlock&>(stmt).target);
        maybe(static_cast<SetBlock&>(stmt).filter);
        return visit(static_cast<SetBlock&>(stmt).body);
      case StmtKind::kMacro:
        return visit(static_cast<MacroStmt&>(stmt).macro);
      case StmtKind::kCallBlock:
        maybe(static_cast<CallBlock&>(stmt).call);
        return visit(static_cast<CallBlock&>(stmt).macro);
      case StmtKind::kFilterBlock:
        visit(static_cast<FilterBlock&>(stmt).body);
        return visit(*static_cast<FilterBlock&>(stmt).filter);
      case StmtKind::kWith:
        for (auto& [target, value] : static_cast<With&>(stmt).bindings) assign(target);
        for (auto& [target, value] : static_cast<With&>(stmt).bindings) visit(*value);
        return visit(static_cast<With&>(stmt).body);
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        return;
    }
  }

  std::set<std::string> names_;
  std::set<std::string> found_;
};

class Resolver {
 public:
  Result<Program> run(Body body) {
    Program program;
    program.body = std::move(body);
    FunctionScope function{nullptr, 0, {}};
    function_ = &function;
    Symbols symbols(nullptr, &function);
    symbols.collect(program.body);
    MILL_TRY_DO(resolve(program.body, symbols, false));
    program.scope = loads(symbols);
    program.slots = function.slot_count;
    return program;
  }

 private:
  Slot slot(const Symbols& owner, const std::string& name) const {
    return {function_->depth - owner.function()->depth, owner.function()->index(owner.id(), name)};
  }
  Slot slot_of(const Symbols& symbols, const std::string& name) const {
    return slot(*symbols.owner(name), name);
  }

  // What is done on entering the scope. Call in the function that the scope belongs to.
  Scope loads(const Symbols& symbols) const {
    Scope scope;
    for (const auto& [name, from] : symbols.loads()) {
      ScopeLoad load{ScopeLoad::From::kNothing, slot(symbols, name), {}, {}};
      switch (from) {
        case Symbols::From::kParameter:
          continue;
        case Symbols::From::kNothing:
          break;
        case Symbols::From::kContext:
          load.from = ScopeLoad::From::kContext;
          load.name = name;
          break;
        case Symbols::From::kOuter:
          load.from = ScopeLoad::From::kOuter;
          load.outer = slot_of(*symbols.parent(), name);
          break;
      }
      scope.push_back(std::move(load));
    }
    return scope;
  }

  // `soft`: right inside of an if, where an unknown filter is an error only when it is reached.
  Status resolve(Expr& expr, const Symbols& symbols, bool soft) {
    if (expr.kind == ExprKind::kName) {
      auto& name = static_cast<Name&>(expr);
      name.slot = slot_of(symbols, name.name);
    }
    if (!soft && expr.kind == ExprKind::kFilter && !static_cast<FilterCall&>(expr).filter) {
      return syntax_error(expr.line,
                          "No filter named '" + static_cast<FilterCall&>(expr).name + "'");
    }
    if (!soft && expr.kind == ExprKind::kTest && !static_cast<TestCall&>(expr).test) {
      return syntax_error(expr.line, "No test named '" + static_cast<TestCall&>(expr).name + "'");
    }
    Status status;
    const bool inner = soft || expr.kind == ExprKind::kConditional;
    for_each_child(expr, [&](ExprPtr& child) {
      if (status) status = resolve(*child, symbols, inner);
    });
    return status;
  }
  Status resolve_maybe(ExprPtr& expr, const Symbols& symbols, bool soft) {
    if (!expr) return {};
    return resolve(*expr, symbols, soft);
  }
  void resolve(Target& target, const Symbols& symbols) {
    for (Target& part : target.parts) resolve(part, symbols);
    if (target.kind != Target::Kind::kTuple) target.slot = slot_of(symbols, target.name);
  }
  Status resolve(Body& body, Symbols& symbols, bool soft) {
    for (StmtPtr& stmt : body) MILL_TRY_DO(resolve(*stmt, symbols, soft));
    return {};
  }

  Status resolve(Stmt& stmt, Symbols& symbols, bool soft) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
        for (ExprPtr& part : static_cast<Output&>(stmt).parts) {
          MILL_TRY_DO(resolve(*part, symbols, soft));
        }
        return {};
      case StmtKind::kIf:
        for (auto& [test, body] : static_cast<If&>(stmt).branches) {
          MILL_TRY_DO(resolve(*test, symbols, true));
          MILL_TRY_DO(resolve(body, symbols, true));
        }
        return resolve(static_cast<If&>(stmt).otherwise, symbols, true);
      case StmtKind::kFor:
        return resolve_for(static_cast<For&>(stmt), symbols, soft);
      case StmtKind::kSet:
        resolve(static_cast<Set&>(stmt).target, symbols);
        return resolve(*static_cast<Set&>(stmt).value, symbols, soft);
      case StmtKind::kSetBlock: {
        auto& set = static_cast<SetBlock&>(stmt);
        Symbols inner(&symbols, function_);
        inner.collect(set.body);
        if (set.filter) inner.collect(*set.filter);
        MILL_TRY_DO(resolve(set.body, inner, false));
        MILL_TRY_DO(resolve_maybe(set.filter, inner, false));
        resolve(set.target, symbols);
        set.scope = loads(inner);
        return {};
      }
      case StmtKind::kMacro: {
        auto& macro = static_cast<MacroStmt&>(stmt);
        macro.slot = slot_of(symbols, macro.macro.name);
        return resolve_macro(macro.macro, symbols, stmt.line);
      }
      case StmtKind::kCallBlock: {
        auto& call = static_cast<CallBlock&>(stmt);
        MILL_TRY_DO(resolve_maybe(call.call, symbols, soft));
        return resolve_macro(call.macro, symbols, stmt.line);
      }
      case StmtKind::kFilterBlock: {
        auto& block = static_cast<FilterBlock&>(stmt);
        Symbols inner(&symbols, function_);
        inner.collect(block.body);
        inner.collect(*block.filter);
        MILL_TRY_DO(resolve(block.body, inner, false));
        MILL_TRY_DO(resolve(*block.filter, inner, false));
        block.scope = loads(inner);
        return {};
      }
      case StmtKind::kWith: {
        auto& with = static_cast<With&>(stmt);
        Symbols inner(&symbols, function_);
        for (auto& [target, value] : with.bindings) inner.declare(target);
        inner.collect(with.body);
        for (auto& [target, value] : with.bindings) {
          MILL_TRY_DO(resolve(*value, symbols, soft));
          resolve(target, inner);
        }
        MILL_TRY_DO(resolve(with.body, inner, false));
        with.scope = loads(inner);
        return {};
      }
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        return {};
    }
    return {};
  }

  Status resolve_for(For& loop, Symbols& symbols, bool soft) {
    if (assigns_loop(loop.target) || assigns_loop(loop.body) || assigns_loop(loop.otherwise)) {
      return syntax_error(loop.line, "Can't assign to special loop variable in for-loop target");
    }
    MILL_TRY_DO(resolve(*loop.iterable, symbols, soft));
    if (loop.test) {
      Symbols test(&symbols, function_);
      test.declare(loop.test_target);
      test.collect(*loop.test);
      MILL_TRY_DO(resolve(*loop.test, test, false));
      resolve(loop.test_target, test);
      loop.test_scope = loads(test);
    }
    FunctionScope* const outer = function_;
    FunctionScope own{outer, outer->depth + 1, {}};
    if (loop.recursive) function_ = &own;
    Symbols body(&symbols, function_);
    body.declare("loop");
    body.declare(loop.target);
    body.collect(loop.body);
    Symbols otherwise(&symbols, function_);
    otherwise.collect(loop.otherwise);
    const Status resolved = [&]() -> Status {
      MILL_TRY_DO(resolve(loop.body, body, false));
      return resolve(loop.otherwise, otherwise, false);
    }();
    if (resolved) {
      resolve(loop.target, body);
      loop.loop = slot_of(body, "loop");
      loop.body_scope = loads(body);
      loop.else_scope = loads(otherwise);
      loop.slots = own.slot_count;
    }
    function_ = outer;
    return resolved;
  }

  Status resolve_macro(MacroBody& macro, Symbols& symbols, int32_t line) {
    FunctionScope* const outer = function_;
    FunctionScope own{outer, outer->depth + 1, {}};
    function_ = &own;
    Symbols inner(&symbols, &own);
    const Status resolved = resolve_inside(macro, inner, line);
    macro.slots = own.slot_count;
    function_ = outer;
    return resolved;
  }

  Status resolve_inside(MacroBody& macro, Symbols& inner, int32_t line) {
    Undeclared undeclared({"caller", "kwargs", "varargs"});
    undeclared.visit(macro.body);
    const auto reads = [&](const char* name) { return undeclared.found().contains(name); };
    const Parameter* explicit_caller = nullptr;
    std::set<std::string> taken;
    for (const Parameter& parameter : macro.parameters) {
      inner.declare(parameter.name);
      taken.insert(parameter.name);
      if (parameter.name == "caller") explicit_caller = &parameter;
    }
    if (reads("caller") && explicit_caller && !explicit_caller->standard) {
      return syntax_error(line,
                          "the special \"caller\" argument must be omitted or be given a default");
    }
    macro.takes_caller = reads("caller");
    macro.takes_named = reads("kwargs") && !taken.contains("kwargs");
    macro.takes_rest = reads("varargs") && !taken.contains("varargs");
    if (macro.takes_caller && !explicit_caller) inner.declare("caller");
    if (macro.takes_named) inner.declare("kwargs");
    if (macro.takes_rest) inner.declare("varargs");
    for (Parameter& parameter : macro.parameters) {
      if (parameter.standard) inner.collect(*parameter.standard);
    }
    inner.collect(macro.body);
    for (Parameter& parameter : macro.parameters) {
      parameter.slot = slot_of(inner, parameter.name);
      MILL_TRY_DO(resolve_maybe(parameter.standard, inner, false));
    }
    if (macro.takes_caller) macro.caller = slot_of(inner, "caller");
    if (macro.takes_named) macro.named = slot_of(inner, "kwargs");
    if (macro.takes_rest) macro.rest = slot_of(inner, "varargs");
    MILL_TRY_DO(resolve(macro.body, inner, false));
    macro.scope = loads(inner);
    return {};
  }

  FunctionScope* function_ = nullptr;
};

}  // namespace

Result<Program> resolve_scopes(Body body) {
  return Resolver().run(std::move(body));
}

}  // namespace mill::text::jinja
