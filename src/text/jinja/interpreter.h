// Renders a program once. Single-threaded, made for one rendering and then dropped.
#pragma once

#include <boost/json/fwd.hpp>
#include <memory>
#include <vector>

#include "text/chat_template.h"
#include "text/jinja/ast.h"
#include "text/jinja/macro.h"
#include "text/jinja/variables.h"

namespace mill::text::jinja {

class Interpreter {
 public:
  // All of them must outlive the interpreter.
  Interpreter(const Program& program, const boost::json::object& variables,
              const TemplateLimits& limits, int64_t unix_time);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Fails with kInvalid when the template raises, kUnsupported, or kTooLarge over a budget; the
  // message starts with the line.
  Result<Rendered> run();

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class Level;    // one level of nested statements and expressions, as long as it lives
  class Capture;  // output goes to a buffer of its own, as long as it lives
  class Inside;   // the variables of another function are the current ones, as long as it lives

  // Statements (interpreter_statements.cc).
  Result<Flow> run(const Body& body);
  Result<Flow> run(const Stmt& stmt);
  Status run_output(const Output& output);
  Result<Flow> run_if(const If& branches);
  Status run_set(const Set& set);
  Result<Flow> run_set_block(const SetBlock& set);
  Status run_macro(const MacroStmt& macro);
  Status run_call_block(const CallBlock& call);
  Result<Flow> run_filter_block(const FilterBlock& block);
  Result<Flow> run_with(const With& with);
  Status write(const Value& value);
  Status write_text(const Value& value);  // what call and filter blocks give must be a string
  Status assign(const Target& target, const Value& value);

  // Loops (interpreter_loops.cc).
  Result<Flow> run_for(const For& loop);
  Result<Flow> run_items(const For& loop, const Value& iterable, int32_t depth0,
                         std::shared_ptr<Activation> around);
  Result<Flow> run_body(const For& loop, Loop& state, bool& completed);
  Result<std::shared_ptr<Loop>> open_loop(const For& loop, const Value& iterable,
                                          std::shared_ptr<Activation> around);
  Result<Value> call_loop(const Value& loop, Arguments& arguments);

  // Expressions (interpreter_expressions.cc).
  Result<Value> eval(const Expr& expr);
  Result<Value> eval_kind(const Expr& expr);
  Result<Value> eval_name(const Name& name);
  Result<Value> eval_parts(const Parts& parts);
  Result<Value> eval_dict(const DictDisplay& dict);
  Result<Value> eval_slice(const SliceOf& slice);
  Result<Value> eval_filter(const FilterCall& call, const Value* block);
  Result<Value> eval_test(const TestCall& call);
  Result<Value> eval_arithmetic(const Arithmetic& arithmetic);
  Result<Value> eval_concat(const Parts& parts);
  Result<Value> eval_compare(const Compare& compare);
  Result<Value> eval_logic(const Parts& parts, bool until);
  Result<Value> eval_conditional(const Conditional& conditional);

  // Calls (interpreter_calls.cc).
  Result<Value> eval_call(const Call& call, const Value* caller);
  Result<Value> call(const Value& callee, Arguments& arguments);
  Result<Arguments> eval_arguments(const ArgumentList& list);
  Result<Value> call_macro(const Macro& macro, Arguments& arguments);
  Status bind(const Macro& macro, Arguments& arguments);
  Value make_macro(const MacroBody& body);

  Value& at(Slot slot);
  Status enter(const Scope& scope);
  Result<std::shared_ptr<Activation>> activate(int32_t slots, std::shared_ptr<Activation> outer);

  const Program& program_;
  const TemplateLimits& limits_;
  Runtime runtime_;
  Variables variables_;
  std::shared_ptr<Activation> activation_;
  std::vector<std::shared_ptr<Activation>> captured_;
  TextBuilder* out_ = nullptr;
  int32_t level_ = 0;
  int32_t calls_ = 0;  // macros and recursive loops that are running
  int32_t line_ = 1;
};

// How much deeper than one tree statements and expressions may nest, over all running macros.
inline constexpr int32_t kMostTrees = 5;

class Interpreter::Level {
 public:
  explicit Level(Interpreter& in) : in_(in) { ++in_.level_; }
  ~Level() { --in_.level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  Status check() const {
    if (in_.level_ <= in_.limits_.depth * kMostTrees) return {};
    return fail(Code::kTooLarge, "the chat template nests too deeply");
  }

 private:
  Interpreter& in_;
};

class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& in) : in_(in), outer_(in.out_), buffer_(in.runtime_.budget) {
    in.out_ = &buffer_;
  }
  ~Capture() { in_.out_ = outer_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  Result<Value> take() { return make_text(buffer_); }

 private:
  Interpreter& in_;
  TextBuilder* outer_;
  TextBuilder buffer_;
};

class Interpreter::Inside {
 public:
  Inside(Interpreter& in, std::shared_ptr<Activation> activation)
      : in_(in), outer_(std::exchange(in.activation_, std::move(activation))) {}
  ~Inside() { in_.activation_ = std::move(outer_); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Interpreter& in_;
  std::shared_ptr<Activation> outer_;
};

}  // namespace mill::text::jinja
