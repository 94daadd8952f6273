#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/globals.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/repr.h"

namespace mill::text::jinja {

Interpreter::Interpreter(const Program& program, const boost::json::object& variables,
                         const TemplateLimits& limits, int64_t unix_time)
    : program_(program),
      limits_(limits),
      runtime_{Budget(limits.steps, limits.depth), unix_time, {}},
      variables_(variables) {}

Interpreter::~Interpreter() {
  // Namespaces and variables of functions can hold themselves, in circles: empty them one by one.
  for (const auto& names : runtime_.namespaces) names->entries.clear();
  for (const auto& activation : captured_) {
    activation->slots.clear();
    activation->outer.reset();
  }
}

Result<Rendered> Interpreter::run() {
  const auto render = [this]() -> Result<Rendered> {
    TextBuilder out(runtime_.budget);
    out_ = &out;
    MILL_TRY(activation_, activate(program_.slots, nullptr));
    MILL_TRY_DO(enter(program_.scope));
    MILL_TRY_DO(run(program_.body));
    MILL_TRY(const Text text, out.take());
    Rendered rendered;
    text.pieces(0, text.bytes().size(), [&rendered](std::string_view piece, bool trusted) {
      rendered.append(piece, trusted);
    });
    return rendered;
  };
  Result<Rendered> rendered = render();
  if (!rendered) {
    rendered.error().message =
        "chat template, line " + std::to_string(line_) + ": " + rendered.error().message;
  }
  return rendered;
}

Result<std::shared_ptr<Activation>> Interpreter::activate(int32_t slots,
                                                          std::shared_ptr<Activation> outer) {
  MILL_TRY_DO(runtime_.budget.spend(slots + 3));
  auto made = std::make_shared<Activation>();
  made->slots.resize(static_cast<size_t>(slots));
  made->outer = std::move(outer);
  return made;
}

Value& Interpreter::at(Slot slot) {
  Activation* activation = activation_.get();
  for (int32_t hops = slot.hops; hops > 0; --hops) activation = activation->outer.get();
  return activation->slots[static_cast<size_t>(slot.index)];
}

Status Interpreter::enter(const Scope& scope) {
  for (const ScopeLoad& load : scope) {
    switch (load.from) {
      case ScopeLoad::From::kNothing:
        at(load.slot) = Value();
        break;
      case ScopeLoad::From::kOuter:
        at(load.slot) = at(load.outer);
        break;
      case ScopeLoad::From::kContext: {
        MILL_TRY(at(load.slot), variables_.find(runtime_, load.name));
        break;
      }
    }
  }
  return {};
}

Status Interpreter::write(const Value& value) {
  MILL_TRY_DO(append_str(runtime_, *out_, value));
  if (static_cast<int64_t>(out_->size()) <= limits_.output_bytes) return {};
  return fail(Code::kTooLarge, "the rendered chat template is over the limit of its output");
}

Status Interpreter::write_text(const Value& value) {
  if (value.is_text()) return write(value);
  return fail(Code::kInvalid,
              "TypeError: sequence item: expected str instance, " + type_name(value) + " found");
}

Result<Interpreter::Flow> Interpreter::run(const Body& body) {
  const Level level(*this);
  MILL_TRY_DO(level.check());
  for (const StmtPtr& stmt : body) {
    MILL_TRY(const Flow flow, run(*stmt));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run(const Stmt& stmt) {
  MILL_TRY_DO(runtime_.budget.spend(1));
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::kIf:
      return run_if(static_cast<const If&>(stmt));
    case StmtKind::kFor:
      return run_for(static_cast<const For&>(stmt));
    case StmtKind::kSetBlock:
      return run_set_block(static_cast<const SetBlock&>(stmt));
    case StmtKind::kFilterBlock:
      return run_filter_block(static_cast<const FilterBlock&>(stmt));
    case StmtKind::kWith:
      return run_with(static_cast<const With&>(stmt));
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kOutput:
      MILL_TRY_DO(run_output(static_cast<const Output&>(stmt)));
      break;
    case StmtKind::kSet:
      MILL_TRY_DO(run_set(static_cast<const Set&>(stmt)));
      break;
    case StmtKind::kMacro:
      MILL_TRY_DO(run_macro(static_cast<const MacroStmt&>(stmt)));
      break;
    case StmtKind::kCallBlock:
      MILL_TRY_DO(run_call_block(static_cast<const CallBlock&>(stmt)));
      break;
  }
  return Flow::kNext;
}

Status Interpreter::run_output(const Output& output) {
  for (const ExprPtr& part : output.parts) {
    if (part->kind == ExprKind::kConstant) {
      MILL_TRY_DO(write(static_cast<const Constant&>(*part).value));
      continue;
    }
    MILL_TRY(const Value value, eval(*part));
    MILL_TRY_DO(write(value));
  }
  return {};
}

Result<Interpreter::Flow> Interpreter::run_if(const If& branches) {
  for (const auto& [test, body] : branches.branches) {
    MILL_TRY(const Value value, eval(*test));
    if (truth(value)) return run(body);
  }
  return run(branches.otherwise);
}

Status Interpreter::assign(const Target& target, const Value& value) {
  switch (target.kind) {
    case Target::Kind::kName:
      at(target.slot) = value;
      return {};
    case Target::Kind::kAttribute: {
      const Value names = at(target.slot);
      if (!names.is(Kind::kNamespace)) {
        return fail(Code::kInvalid,
                    "TemplateRuntimeError: cannot assign attribute on non-namespace object");
      }
      return set_attribute(runtime_, names.names(), target.attribute, value);
    }
    case Target::Kind::kTuple:
      break;
  }
  MILL_TRY(const Items items, to_items(runtime_, value));
  if (items.size() != target.parts.size()) {
    return fail(Code::kInvalid, "ValueError: expected " + std::to_string(target.parts.size()) +
                                    " values to unpack, got " + std::to_string(items.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) MILL_TRY_DO(assign(target.parts[i], items[i]));
  return {};
}

Status Interpreter::run_set(const Set& set) {
  MILL_TRY(const Value value, eval(*set.value));
  return assign(set.target, value);
}

Result<Interpreter::Flow> Interpreter::run_set_block(const SetBlock& set) {
  MILL_TRY_DO(enter(set.scope));
  Value text;
  {
    Capture capture(*this);
    MILL_TRY(const Flow flow, run(set.body));
    if (flow != Flow::kNext) return flow;
    MILL_TRY(text, capture.take());
  }
  if (set.filter) {
    MILL_TRY(text, eval_filter(static_cast<const FilterCall&>(*set.filter), &text));
  }
  MILL_TRY_DO(assign(set.target, text));
  return Flow::kNext;
}

Status Interpreter::run_macro(const MacroStmt& macro) {
  MILL_TRY_DO(runtime_.budget.spend(4));
  at(macro.slot) = make_macro(macro.macro);
  return {};
}

Status Interpreter::run_call_block(const CallBlock& block) {
  MILL_TRY_DO(runtime_.budget.spend(4));
  const Value caller = make_macro(block.macro);
  if (!block.call) {
    Arguments none;
    MILL_TRY(const Value text, call_macro(caller.macro(), none));
    return write(text);
  }
  MILL_TRY(const Value value, eval_call(static_cast<const Call&>(*block.call), &caller));
  return write_text(value);
}

Result<Interpreter::Flow> Interpreter::run_filter_block(const FilterBlock& block) {
  MILL_TRY_DO(enter(block.scope));
  Value text;
  {
    Capture capture(*this);
    MILL_TRY(const Flow flow, run(block.body));
    if (flow != Flow::kNext) return flow;
    MILL_TRY(text, capture.take());
  }
  MILL_TRY(const Value filtered, eval_filter(static_cast<const FilterCall&>(*block.filter), &text));
  MILL_TRY_DO(write_text(filtered));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_with(const With& with) {
  MILL_TRY_DO(enter(with.scope));
  for (const auto& [target, expr] : with.bindings) {
    MILL_TRY(const Value value, eval(*expr));
    MILL_TRY_DO(assign(target, value));
  }
  return run(with.body);
}

}  // namespace mill::text::jinja
