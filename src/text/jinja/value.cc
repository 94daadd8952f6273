#include "text/jinja/value.h"

#include <algorithm>
#include <limits>

#include "text/jinja/compare.h"

namespace mill::text::jinja {
namespace {

int32_t depth_of(const Items& items) {
  int32_t deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  return deepest + 1;
}

Status check_depth(const Runtime& runtime, int32_t depth) {
  if (depth <= runtime.budget.depth()) return {};
  return fail(Code::kTooLarge, "values of the chat template are nested too deeply");
}

Result<Value> make_sequence(Runtime& runtime, Kind kind, Items items, bool group) {
  MILL_TRY_DO(runtime.budget.spend(static_cast<int64_t>(items.size()) + 2));
  auto made = std::make_shared<Sequence>();
  made->items = std::move(items);
  made->depth = depth_of(made->items);
  made->group = group;
  MILL_TRY_DO(check_depth(runtime, made->depth));
  return Value(kind, std::move(made));
}

}  // namespace

Value Value::boolean(bool b) {
  Value value(Kind::kBool);
  value.bits_.whole = b ? 1 : 0;
  return value;
}

Value Value::integer(int64_t i) {
  Value value(Kind::kInt);
  value.bits_.whole = i;
  return value;
}

Value Value::real(double d) {
  Value value(Kind::kFloat);
  value.bits_.real = d;
  return value;
}

Value Value::text(Text text) {
  return {Kind::kText, std::make_shared<Text>(std::move(text))};
}

Value Value::text(std::string_view trusted) {
  Text text(std::string(trusted), true);
  text.measure();
  return Value::text(std::move(text));
}

double Value::real() const {
  return kind_ == Kind::kFloat ? bits_.real : static_cast<double>(whole());
}

int32_t Value::depth() const {
  switch (kind_) {
    case Kind::kList:
    case Kind::kTuple:
      return sequence().depth;
    case Kind::kDict:
      return dict().depth();
    case Kind::kView:
      return view().dict.depth() + 1;
    case Kind::kIterator:
      return iterator().depth;
    case Kind::kFunction:
      return function().self.depth() + 1;
    case Kind::kCycler:
      return depth_of(cycler().items);
    case Kind::kJoiner:
      return joiner().separator.depth() + 1;
    default:
      return 0;
  }
}

Dict::Dict(Pairs pairs) {
  std::vector<uint32_t> order(pairs.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return key_order(pairs[a].first, pairs[b].first) < 0;
  });
  // Equal keys stand together now, in the order they were given.
  std::vector<bool> dropped(pairs.size());
  for (size_t i = 1; i < order.size(); ++i) {
    if (key_order(pairs[order[i - 1]].first, pairs[order[i]].first) != 0) continue;
    pairs[order[i - 1]].second = std::move(pairs[order[i]].second);
    dropped[order[i]] = true;
    // The place of the first stands for all that follow.
    order[i] = order[i - 1];
  }
  std::vector<uint32_t> place(pairs.size());
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    if (dropped[i]) continue;
    place[i] = static_cast<uint32_t>(pairs_.size());
    depth_ = std::max({depth_, pairs[i].first.depth() + 1, pairs[i].second.depth() + 1});
    pairs_.push_back(std::move(pairs[i]));
  }
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && order[i] == order[i - 1]) continue;
    by_key_.push_back(place[order[i]]);
  }
}

const Value* Dict::find(const Value& key) const {
  const auto found = std::lower_bound(
      by_key_.begin(), by_key_.end(), key,
      [this](uint32_t i, const Value& wanted) { return key_order(pairs_[i].first, wanted) < 0; });
  if (found == by_key_.end() || key_order(pairs_[*found].first, key) != 0) return nullptr;
  return &pairs_[*found].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = std::lower_bound(by_key_.begin(), by_key_.end(), key,
                                      [this](uint32_t i, std::string_view wanted) {
                                        return key_order(pairs_[i].first, wanted) < 0;
                                      });
  if (found == by_key_.end() || key_order(pairs_[*found].first, key) != 0) return nullptr;
  return &pairs_[*found].second;
}

int64_t Range::size() const {
  const Wide span = step > 0 ? static_cast<Wide>(stop) - start : static_cast<Wide>(start) - stop;
  if (span <= 0) return 0;
  const Wide stride = step > 0 ? static_cast<Wide>(step) : -static_cast<Wide>(step);
  return static_cast<int64_t>((span + stride - 1) / stride);
}

Value* Namespace::find(std::string_view name) {
  for (auto& [known, value] : entries) {
    if (known == name) return &value;
  }
  return nullptr;
}

Result<bool> Loop::peek() {
  if (after) return true;
  if (at_end) return false;
  if (!ahead.empty()) {
    after = std::move(ahead.back());
    ahead.pop_back();
    return true;
  }
  Value next;
  MILL_TRY(const bool any, pull(next));
  if (!any) {
    at_end = true;
    return false;
  }
  after = std::move(next);
  return true;
}

Result<bool> Loop::advance() {
  MILL_TRY(const bool any, peek());
  if (!any) return false;
  ++index0;
  before = std::move(current);
  current = std::move(*after);
  after.reset();
  return true;
}

Result<int64_t> Loop::count() {
  if (length) return *length;
  Items rest;
  while (!at_end) {
    Value next;
    MILL_TRY(const bool any, pull(next));
    if (!any) break;
    rest.push_back(std::move(next));
  }
  const bool peeked = after.has_value();
  length = index0 + 1 + (peeked ? 1 : 0) + static_cast<int64_t>(rest.size());
  std::reverse(rest.begin(), rest.end());
  ahead = std::move(rest);
  if (ahead.empty()) at_end = true;
  pull = [](Value&) -> Result<bool> { return false; };
  return *length;
}

void Loop::close() {
  pull = [](Value&) -> Result<bool> { return false; };
  ahead.clear();
  after.reset();
  before = current = last_changed = Value();
  body = nullptr;
  around.reset();
  at_end = true;
}

Result<Value> make_integer(Wide whole) {
  if (whole < std::numeric_limits<int64_t>::min() || whole > std::numeric_limits<uint64_t>::max()) {
    return fail(Code::kInvalid, "OverflowError: an integer does not fit in 64 bits");
  }
  Value value = Value::integer(static_cast<int64_t>(whole));
  if (whole > std::numeric_limits<int64_t>::max()) {
    value.wide_ = true;
    value.bits_.natural = static_cast<uint64_t>(whole);
  }
  return value;
}

Value make_undefined(std::string message) {
  return {Kind::kUndefined, std::make_shared<Undefined>(Undefined{std::move(message)})};
}

Result<Value> make_text(TextBuilder& builder, bool markup) {
  MILL_TRY(Text text, builder.take());
  text.set_markup(markup);
  return Value::text(std::move(text));
}

Result<Value> make_slice(Runtime& runtime, const Text& text, size_t from, size_t to) {
  TextBuilder builder(runtime.budget);
  if (from < to) builder.append(text, from, to);
  MILL_TRY_DO(runtime.budget.spend(3));
  return make_text(builder, text.is_markup());
}

Result<Value> make_list(Runtime& runtime, Items items) {
  return make_sequence(runtime, Kind::kList, std::move(items), false);
}

Result<Value> make_tuple(Runtime& runtime, Items items, bool group) {
  return make_sequence(runtime, Kind::kTuple, std::move(items), group);
}

Result<Value> make_dict(Runtime& runtime, Pairs pairs) {
  MILL_TRY_DO(runtime.budget.spend(static_cast<int64_t>(pairs.size()) * 3 + 4));
  for (const auto& [key, value] : pairs) {
    if (!hashable(key))
      return fail(Code::kInvalid, "TypeError: unhashable type: '" + type_name(key) + "'");
  }
  auto made = std::make_shared<Dict>(std::move(pairs));
  MILL_TRY_DO(check_depth(runtime, made->depth()));
  return Value(Kind::kDict, std::move(made));
}

Result<Value> make_iterator(Runtime& runtime, Items items, std::optional<Error> failure) {
  MILL_TRY_DO(runtime.budget.spend(static_cast<int64_t>(items.size()) + 4));
  auto made = std::make_shared<Iterator>();
  made->items = std::move(items);
  made->failure = std::move(failure);
  made->depth = depth_of(made->items);
  MILL_TRY_DO(check_depth(runtime, made->depth));
  return Value(Kind::kIterator, std::move(made));
}

Result<Value> make_view(Runtime& runtime, Value dict, View::Of of) {
  MILL_TRY_DO(runtime.budget.spend(3));
  MILL_TRY_DO(check_depth(runtime, dict.depth() + 1));
  return Value(Kind::kView, std::make_shared<View>(View{of, std::move(dict)}));
}

Result<Value> make_function(Runtime& runtime, std::string_view name, Native call, Value self) {
  MILL_TRY_DO(runtime.budget.spend(3));
  MILL_TRY_DO(check_depth(runtime, self.depth() + 1));
  return Value(Kind::kFunction, std::make_shared<Function>(Function{name, call, std::move(self)}));
}

Result<Value> make_namespace(Runtime& runtime) {
  MILL_TRY_DO(runtime.budget.spend(4));
  auto made = std::make_shared<Namespace>();
  runtime.namespaces.push_back(made);
  return Value(Kind::kNamespace, std::move(made));
}

std::string type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kText:
      return value.text().is_markup() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kView:
      return value.view().of == View::Of::kKeys     ? "dict_keys"
             : value.view().of == View::Of::kValues ? "dict_values"
                                                    : "dict_items";
    case Kind::kIterator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kFunction:
      return "function";
    case Kind::kMacro:
      return "Macro";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

bool hashable(const Value& value) {
  if (value.is(Kind::kTuple)) {
    const Items& items = value.sequence().items;
    return std::all_of(items.begin(), items.end(), hashable);
  }
  if (value.is(Kind::kView)) return value.view().of == View::Of::kValues;
  return !value.is(Kind::kList) && !value.is(Kind::kDict);
}

}  // namespace mill::text::jinja
