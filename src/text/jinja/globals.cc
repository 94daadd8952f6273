#include "text/jinja/globals.h"

#include <algorithm>
#include <ctime>

#include "text/jinja/arguments.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"

namespace mill::text::jinja {
namespace {

constexpr int64_t kMostOfRange = 100'000;  // what jinja2's sandbox allows
constexpr int64_t kLongestTime = 4096;

Result<Value> range_function(Runtime& runtime, const Value&, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("range", arguments, {"", "", ""}, 1));
  MILL_TRY(int64_t start, bound.number(0, 0));
  MILL_TRY(int64_t stop, bound.number(1, 0));
  MILL_TRY(const int64_t step, bound.number(2, 1));
  if (!bound.has(1)) stop = std::exchange(start, 0);
  if (step == 0) return fail(Code::kInvalid, "ValueError: range() arg 3 must not be zero");
  const Wide span = step > 0 ? static_cast<Wide>(stop) - start : static_cast<Wide>(start) - stop;
  const Wide stride = step > 0 ? static_cast<Wide>(step) : -static_cast<Wide>(step);
  if (span > 0 && (span + stride - 1) / stride > kMostOfRange) {
    return fail(
        Code::kInvalid,
        "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  MILL_TRY_DO(runtime.budget.spend(2));
  return Value(Kind::kRange, std::make_shared<Range>(Range{start, stop, step}));
}

// dict(mapping or pairs, **named), also for namespace().
Result<Pairs> read_pairs(Runtime& runtime, Arguments& arguments) {
  if (arguments.positional.size() > 1)
    return fail(Code::kInvalid, "TypeError: dict expected at most 1 argument");
  Pairs pairs;
  for (const Value& source : arguments.positional) {
    if (source.is(Kind::kDict)) {
      MILL_TRY_DO(runtime.budget.spend(static_cast<int64_t>(source.dict().pairs().size()) * 2));
      pairs = source.dict().pairs();
      continue;
    }
    if (source.undefined()) return use_of_undefined(source);
    MILL_TRY(const Items items, to_items(runtime, source));
    for (const Value& item : items) {
      MILL_TRY(Items pair, to_items(runtime, item));
      if (pair.size() != 2)
        return fail(
            Code::kInvalid,
            "ValueError: dictionary update sequence element has a wrong length; 2 is required");
      pairs.emplace_back(std::move(pair[0]), std::move(pair[1]));
    }
  }
  for (auto& [name, value] : arguments.named) {
    Text key(name, false);  // it may have come from a dict of the request
    key.measure();
    pairs.emplace_back(Value::text(std::move(key)), std::move(value));
  }
  return pairs;
}

Result<Value> dict_function(Runtime& runtime, const Value&, Arguments& arguments) {
  MILL_TRY(Pairs pairs, read_pairs(runtime, arguments));
  return make_dict(runtime, std::move(pairs));
}

Result<Value> namespace_function(Runtime& runtime, const Value&, Arguments& arguments) {
  MILL_TRY(Pairs pairs, read_pairs(runtime, arguments));
  MILL_TRY(Value made, make_namespace(runtime));
  for (auto& [key, value] : pairs) {
    if (!key.is_text())
      return fail(Code::kUnsupported, "a namespace attribute that is not a string");
    MILL_TRY_DO(set_attribute(runtime, made.names(), key.text().bytes(), std::move(value)));
  }
  return made;
}

Result<Value> cycler_function(Runtime& runtime, const Value&, Arguments& arguments) {
  if (!arguments.named.empty())
    return fail(Code::kInvalid, "TypeError: cycler() takes no keyword arguments");
  if (arguments.positional.empty())
    return fail(Code::kInvalid, "RuntimeError: at least one item has to be provided");
  // A tuple of the items checks their depth and pays for them.
  MILL_TRY(const Value items, make_tuple(runtime, std::move(arguments.positional)));
  auto made = std::make_shared<Cycler>();
  made->items = items.sequence().items;
  return Value(Kind::kCycler, std::move(made));
}

Result<Value> joiner_function(Runtime& runtime, const Value&, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("joiner", arguments, {"sep"}));
  auto made = std::make_shared<Joiner>();
  made->separator = bound.has(0) ? bound[0] : Value::text(", ");
  MILL_TRY_DO(runtime.budget.spend(3));
  if (made->separator.depth() >= runtime.budget.depth())
    return fail(Code::kTooLarge, "values of the chat template are nested too deeply");
  return Value(Kind::kJoiner, std::move(made));
}

Result<Value> raise_exception_function(Runtime& runtime, const Value&, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("raise_exception", arguments, {"message"}, 1));
  MILL_TRY(const Value message, to_str(runtime, bound[0]));
  return fail(Code::kInvalid, std::string(message.text().bytes().substr(0, 2000)));
}

Result<Value> strftime_now_function(Runtime& runtime, const Value&, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("strftime_now", arguments, {"format"}, 1));
  MILL_TRY(const Text* const format, bound.text(0));
  if (!format) return fail(Code::kInvalid, "TypeError: strftime() argument 1 must be str");
  MILL_TRY_DO(runtime.budget.make(kLongestTime));
  MILL_TRY(const std::string written, format_time(runtime.unix_time, format->bytes()));
  TextBuilder out(runtime.budget);
  out.append(written, format->trusted());
  return make_text(out);
}

Result<Value> lipsum_function(Runtime&, const Value&, Arguments&) {
  return fail(Code::kUnsupported, "the function 'lipsum' is not supported in chat templates");
}

struct Global {
  std::string_view name;
  Value value;
};

Value global(std::string_view name, Native call) {
  return {Kind::kFunction, std::make_shared<Function>(Function{name, call, Value()})};
}

}  // namespace

Value find_global(std::string_view name) {
  static const std::vector<Global> kGlobals = [] {
    std::vector<Global> made;
    for (const auto& [known, call] : std::initializer_list<std::pair<std::string_view, Native>>{
             {"cycler", cycler_function},
             {"dict", dict_function},
             {"joiner", joiner_function},
             {"lipsum", lipsum_function},
             {"namespace", namespace_function},
             {"raise_exception", raise_exception_function},
             {"range", range_function},
             {"strftime_now", strftime_now_function},
         }) {
      made.push_back({known, global(known, call)});
    }
    return made;
  }();
  for (const Global& known : kGlobals) {
    if (known.name == name) return known.value;
  }
  return {};
}

Status set_attribute(Runtime& runtime, Namespace& names, std::string_view name, Value value) {
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(names.entries.size())));
  if (name.starts_with('_')) {
    return fail(Code::kInvalid, "SecurityError: a namespace can't have the attribute '" +
                                    std::string(name) +
                                    "': names with an underscore in front are private");
  }
  if (Value* found = names.find(name)) {
    *found = std::move(value);
    return {};
  }
  MILL_TRY_DO(runtime.budget.spend(3));
  names.entries.emplace_back(std::string(name), std::move(value));
  return {};
}

Result<std::string> format_time(int64_t unix_time, std::string_view format) {
  if (format.size() > 256) return fail(Code::kTooLarge, "the format of strftime_now is too long");
  const auto seconds = static_cast<time_t>(unix_time);
  std::tm parts{};
  if (!gmtime_r(&seconds, &parts)) return fail(Code::kInvalid, "the time is out of range");
  // What only Python knows: %f are microseconds; a time without a zone has no %z and %Z.
  std::string known;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      known.push_back(format[i]);
      continue;
    }
    const char directive = format[++i];
    if (directive == 'f')
      known += "000000";
    else if (directive != 'z' && directive != 'Z')
      known.append({'%', directive});
  }
  known.push_back('.');  // so that an empty result is no error
  std::string out(static_cast<size_t>(kLongestTime), '\0');
  out.resize(std::strftime(out.data(), out.size(), known.c_str(), &parts));
  if (out.empty()) return fail(Code::kInvalid, "the format of strftime_now is too long");
  out.pop_back();
  return out;
}

}  // namespace mill::text::jinja
