#include "text/jinja/arguments.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/interpreter.h"

namespace mill::text::jinja {

Result<Interpreter::Flow> Interpreter::run_for(const For& loop) {
  MILL_TRY(const Value iterable, eval(*loop.iterable));
  return run_items(loop, iterable, 0, activation_);
}

Result<std::shared_ptr<Loop>> Interpreter::open_loop(const For& loop, const Value& iterable,
                                                     std::shared_ptr<Activation> around) {
  MILL_TRY_DO(runtime_.budget.spend(8));
  MILL_TRY(Cursor source, Cursor::over(runtime_, iterable));
  auto state = std::make_shared<Loop>();
  if (!loop.test && !iterable.is(Kind::kIterator)) {
    MILL_TRY(state->length, length_of(runtime_, iterable));
  }
  Activation* const variables = around.get();
  auto cursor = std::make_shared<Cursor>(std::move(source));
  state->pull = [this, &loop, cursor, variables](Value& item) -> Result<bool> {
    for (;;) {
      MILL_TRY(const bool any, cursor->next(item));
      if (!any || !loop.test) return any;
      // The test belongs to the function around the loop, whoever asks for the next item.
      const Inside inside(*this, std::shared_ptr<Activation>(std::shared_ptr<void>(), variables));
      MILL_TRY_DO(enter(loop.test_scope));
      MILL_TRY_DO(assign(loop.test_target, item));
      MILL_TRY(const Value passes, eval(*loop.test));
      if (truth(passes)) return true;
    }
  };
  if (loop.recursive) {
    state->body = &loop;
    state->around = std::move(around);
  }
  return state;
}

Result<Interpreter::Flow> Interpreter::run_body(const For& loop, Loop& state, bool& completed) {
  for (;;) {
    MILL_TRY(const bool any, state.advance());
    if (!any) return Flow::kNext;
    line_ = loop.line;
    MILL_TRY_DO(enter(loop.body_scope));
    MILL_TRY_DO(assign(loop.target, state.current));
    MILL_TRY(const Flow flow, run(loop.body));
    if (flow == Flow::kBreak) return Flow::kNext;
    // As in the reference, the else is left out once one turn came to its end.
    if (flow == Flow::kNext) completed = true;
  }
}

Result<Interpreter::Flow> Interpreter::run_items(const For& loop, const Value& iterable,
                                                 int32_t depth0,
                                                 std::shared_ptr<Activation> around) {
  MILL_TRY(const std::shared_ptr<Loop> state, open_loop(loop, iterable, around));
  state->depth0 = depth0;
  std::shared_ptr<Activation> variables = activation_;
  if (loop.recursive) {
    MILL_TRY(variables, activate(loop.slots, std::move(around)));
  }
  const Inside inside(*this, std::move(variables));
  at(loop.loop) = Value(Kind::kLoop, state);
  bool completed = false;
  const Result<Flow> flow = run_body(loop, *state, completed);
  state->close();
  at(loop.loop) = Value();
  if (!flow || completed || loop.otherwise.empty()) return flow;
  MILL_TRY_DO(enter(loop.else_scope));
  return run(loop.otherwise);
}

Result<Value> Interpreter::call_loop(const Value& value, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("loop", arguments, {"iterable"}, 1));
  const Loop& loop = value.loop();
  if (!loop.body) {
    return fail(Code::kInvalid,
                "TypeError: The loop must have the 'recursive' marker to be called recursively.");
  }
  if (calls_ >= limits_.depth)
    return fail(Code::kTooLarge, "loops of the chat template call each other too deeply");
  ++calls_;
  Capture capture(*this);
  const Result<Flow> flow = run_items(*loop.body, bound[0], loop.depth0 + 1, loop.around);
  --calls_;
  if (!flow) return fail(flow.error());
  return capture.take();
}

}  // namespace mill::text::jinja
