#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/methods.h"

namespace mill::text::jinja {

Result<Value> Interpreter::eval_call(const Call& expr, const Value* caller) {
  // A method is called right away, without a value for it.
  Value object;
  const Method* method = nullptr;
  Value callee;
  if (expr.callee->kind == ExprKind::kAttribute) {
    const auto& attribute = static_cast<const Attribute&>(*expr.callee);
    MILL_TRY(object, eval(*attribute.object));
    method = find_method(object, attribute.name);
    if (!method) {
      MILL_TRY(callee, get_attribute(runtime_, object, attribute.name));
    }
  } else {
    MILL_TRY(callee, eval(*expr.callee));
  }
  MILL_TRY(Arguments arguments, eval_arguments(expr.arguments));
  if (caller) arguments.named.emplace_back("caller", *caller);
  const int32_t line = line_ = expr.line;
  Result<Value> result =
      method ? method->call(runtime_, object, arguments) : call(callee, arguments);
  if (result) line_ = line;
  return result;
}

Result<Arguments> Interpreter::eval_arguments(const ArgumentList& list) {
  Arguments arguments;
  for (const ExprPtr& expr : list.positional) {
    MILL_TRY(Value value, eval(*expr));
    arguments.positional.push_back(std::move(value));
  }
  if (list.spread) {
    MILL_TRY(const Value spread, eval(*list.spread));
    MILL_TRY(Items items, to_items(runtime_, spread));
    std::move(items.begin(), items.end(), std::back_inserter(arguments.positional));
  }
  for (const auto& [name, expr] : list.named) {
    MILL_TRY(Value value, eval(*expr));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (!list.spread_named) return arguments;
  MILL_TRY(const Value spread, eval(*list.spread_named));
  if (!spread.is(Kind::kDict))
    return fail(Code::kInvalid,
                "TypeError: argument after ** must be a mapping, not " + type_name(spread));
  const size_t before = arguments.named.size();
  for (const auto& [key, value] : spread.dict().pairs()) {
    MILL_TRY_DO(runtime_.budget.spend(2));
    if (!key.is_text()) return fail(Code::kInvalid, "TypeError: keywords must be strings");
    const std::string_view name = key.text().bytes();
    for (size_t i = 0; i < before; ++i) {
      if (arguments.named[i].first == name) {
        return fail(Code::kInvalid, "TypeError: got multiple values for keyword argument '" +
                                        std::string(name) + "'");
      }
    }
    arguments.named.emplace_back(std::string(name), value);
  }
  return arguments;
}

Result<Value> Interpreter::call(const Value& callee, Arguments& arguments) {
  switch (callee.kind()) {
    case Kind::kFunction:
      return callee.function().call(runtime_, callee.function().self, arguments);
    case Kind::kMacro:
      return call_macro(callee.macro(), arguments);
    case Kind::kLoop:
      return call_loop(callee, arguments);
    case Kind::kUndefined:
      return use_of_undefined(callee);
    case Kind::kJoiner: {
      MILL_TRY_DO(Bound::bind("joiner", arguments, {}));
      Joiner& joiner = callee.joiner();
      return std::exchange(joiner.used, true) ? joiner.separator : Value::text("");
    }
    default:
      return fail(Code::kInvalid, "TypeError: '" + type_name(callee) + "' object is not callable");
  }
}

Value Interpreter::make_macro(const MacroBody& body) {
  if (!activation_->captured) {
    activation_->captured = true;
    captured_.push_back(activation_);
  }
  return {Kind::kMacro, std::make_shared<Macro>(Macro{&body, activation_})};
}

Result<Value> Interpreter::call_macro(const Macro& macro, Arguments& arguments) {
  if (calls_ >= limits_.depth)
    return fail(Code::kTooLarge, "macros of the chat template call each other too deeply");
  MILL_TRY(std::shared_ptr<Activation> variables, activate(macro.body->slots, macro.around));
  ++calls_;
  const auto run_it = [&]() -> Result<Value> {
    const Inside inside(*this, std::move(variables));
    Capture capture(*this);
    MILL_TRY_DO(enter(macro.body->scope));
    MILL_TRY_DO(bind(macro, arguments));
    MILL_TRY_DO(run(macro.body->body));
    return capture.take();
  };
  Result<Value> result = run_it();
  --calls_;
  return result;
}

// As the reference: positional arguments first, then named ones; what is left over goes to caller,
// kwargs and varargs if the macro mentions them, and is an error if not.
Status Interpreter::bind(const Macro& macro, Arguments& arguments) {
  const MacroBody& body = *macro.body;
  std::vector<bool> used(arguments.named.size());
  const auto named = [&](const std::string& name) -> Value {
    for (size_t i = 0; i < arguments.named.size(); ++i) {
      if (used[i] || arguments.named[i].first != name) continue;
      used[i] = true;
      return arguments.named[i].second;
    }
    return {};
  };
  bool caller_given = false;
  std::vector<const Parameter*> unset;
  for (size_t i = 0; i < body.parameters.size(); ++i) {
    const Parameter& parameter = body.parameters[i];
    caller_given = caller_given || parameter.name == "caller";
    Value value = i < arguments.positional.size() ? arguments.positional[i] : named(parameter.name);
    if (value.missing()) unset.push_back(&parameter);
    at(parameter.slot) = std::move(value);
  }
  if (body.takes_caller && !caller_given) {
    const Value caller = named("caller");
    at(body.caller) = caller.missing() ? make_undefined("No caller defined") : caller;
  }
  Pairs rest_named;
  for (size_t i = 0; i < arguments.named.size(); ++i) {
    if (used[i]) continue;
    if (!body.takes_named) {
      return fail(Code::kInvalid, "TypeError: macro " + macro_label(macro) +
                                      " takes no keyword argument '" + arguments.named[i].first +
                                      "'");
    }
    Text key(arguments.named[i].first, false);  // it may have come from a dict of the request
    key.measure();
    rest_named.emplace_back(Value::text(std::move(key)), std::move(arguments.named[i].second));
  }
  if (body.takes_named) {
    MILL_TRY(at(body.named), make_dict(runtime_, std::move(rest_named)));
  }
  const size_t taken = std::min(body.parameters.size(), arguments.positional.size());
  Items rest(arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken),
             arguments.positional.end());
  if (!rest.empty() && !body.takes_rest) {
    return fail(Code::kInvalid, "TypeError: macro " + macro_label(macro) + " takes not more than " +
                                    std::to_string(body.parameters.size()) + " argument(s)");
  }
  if (body.takes_rest) {
    MILL_TRY(at(body.rest), make_tuple(runtime_, std::move(rest)));
  }
  // The standards of missing parameters may use the parameters before them.
  for (const Parameter* parameter : unset) {
    if (!parameter->standard) {
      at(parameter->slot) = make_undefined("parameter '" + parameter->name + "' was not provided");
      continue;
    }
    MILL_TRY(at(parameter->slot), eval(*parameter->standard));
  }
  return {};
}

}  // namespace mill::text::jinja
