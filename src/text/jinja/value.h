// The values of a template, as Python has them. Immutable and shared, but for what Jinja itself
// lets change: namespaces, cyclers, joiners, the loop and half-read iterators.
//
// Lists and dicts can't be changed by a template (the sandbox forbids it), so containers never hold
// themselves, their nesting is known when they are made, and it is bounded: recursion over a value
// is safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja/budget.h"
#include "text/jinja/text.h"

namespace mill::text::jinja {

__extension__ typedef __int128 Wide;  // wide enough to compute with any two integers

enum class Kind : uint8_t {
  kMissing,    // a variable that is not assigned; never seen by a template
  kUndefined,  // Jinja's Undefined: prints as nothing, fails when used
  kNone,
  kBool,
  kInt,  // -2^63 to 2^64 - 1 (a JSON number); beyond is an error
  kFloat,
  kText,
  kList,
  kTuple,
  kDict,
  kRange,
  kView,      // of a dict: keys(), values(), items()
  kIterator,  // what map, select, reversed … return: can be read once
  kNamespace,
  kFunction,  // a global function or the method of a value
  kMacro,
  kLoop,
  kCycler,
  kJoiner,
};

struct Activation;
struct For;
struct Undefined;
struct Sequence;
class Dict;
struct Range;
struct View;
struct Iterator;
struct Namespace;
struct Function;
struct Macro;
struct Loop;
struct Cycler;
struct Joiner;

class Value {
 public:
  Value() = default;  // kMissing
  static Value none() { return Value(Kind::kNone); }
  static Value boolean(bool b);
  static Value integer(int64_t i);
  static Value real(double d);
  static Value text(Text text);
  static Value text(std::string_view trusted);  // the template's own words
  template <class T>
  Value(Kind kind, std::shared_ptr<T> object) : kind_(kind), object_(std::move(object)) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool missing() const { return kind_ == Kind::kMissing; }
  bool undefined() const { return kind_ == Kind::kUndefined; }
  bool is_text() const { return kind_ == Kind::kText; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  bool is_whole() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }  // Python: int
  bool is_number() const { return is_whole() || kind_ == Kind::kFloat; }

  // Requires: the kind that the name says.
  bool truth_bit() const { return bits_.whole != 0; }
  Wide whole() const { return wide_ ? static_cast<Wide>(bits_.natural) : bits_.whole; }
  double real() const;  // of any number
  const Text& text() const { return as<Text>(); }
  const Undefined& undefined_info() const { return as<Undefined>(); }
  const Sequence& sequence() const { return as<Sequence>(); }
  const Dict& dict() const { return as<Dict>(); }
  const Range& range() const { return as<Range>(); }
  const View& view() const { return as<View>(); }
  Iterator& iterator() const { return as<Iterator>(); }
  Namespace& names() const { return as<Namespace>(); }
  const Function& function() const { return as<Function>(); }
  const Macro& macro() const { return as<Macro>(); }
  Loop& loop() const { return as<Loop>(); }
  Cycler& cycler() const { return as<Cycler>(); }
  Joiner& joiner() const { return as<Joiner>(); }

  const void* identity() const { return object_.get(); }
  int32_t depth() const;  // nesting: 0 for what holds nothing

 private:
  friend Result<Value> make_integer(Wide whole);
  explicit Value(Kind kind) : kind_(kind) {}
  template <class T>
  T& as() const {
    return *static_cast<T*>(object_.get());
  }

  Kind kind_ = Kind::kMissing;
  bool wide_ = false;  // an integer above 2^63 - 1
  union {
    int64_t whole;
    uint64_t natural;
    double real;
  } bits_ = {0};
  std::shared_ptr<void> object_;
};

using Items = std::vector<Value>;
using Pairs = std::vector<std::pair<Value, Value>>;

struct Undefined {
  std::string message;  // why it fails when used
};

struct Sequence {
  Items items;
  int32_t depth = 1;
  bool group = false;  // a tuple of groupby: has .grouper and .list
};

// Keys in the order of insertion. Lookup is by order of keys, not by hash: no input makes it slow.
class Dict {
 public:
  // The last value of equal keys stays, in the place of the first.  Requires: every key is hashable
  explicit Dict(Pairs pairs);
  const Pairs& pairs() const { return pairs_; }
  const Value* find(const Value& key) const;  // Requires: hashable(key)
  const Value* find(std::string_view key) const;
  int32_t depth() const { return depth_; }

 private:
  Pairs pairs_;
  std::vector<uint32_t> by_key_;  // indices of pairs_, in the order of keys
  int32_t depth_ = 1;
};

struct Range {
  int64_t start, stop, step;
  int64_t size() const;
};

struct View {
  enum class Of { kKeys, kValues, kItems } of;
  Value dict;
};

// Computed when it is made. An error met on the way stays at the end, for who reads that far: to a
// template that is the same as being computed while it is read.
struct Iterator {
  Items items;
  size_t next = 0;
  std::optional<Error> failure;
  int32_t depth = 1;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> entries;
  Value* find(std::string_view name);
};

struct Arguments {
  Items positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What a filter, test, method or global function may use of the rendering that calls it.
struct Runtime {
  Budget budget;
  int64_t unix_time = 0;
  // Namespaces can hold themselves; the rendering empties them at its end.
  std::vector<std::shared_ptr<Namespace>> namespaces;
};

using Native = Result<Value> (*)(Runtime&, const Value& self, Arguments& arguments);

struct Function {
  std::string_view name;
  Native call;
  Value self;  // whose method it is; missing for a global
};

struct Cycler {
  Items items;
  size_t position = 0;
};

struct Joiner {
  Value separator;
  bool used = false;
};

// The variable `loop`. Items come one at a time from `pull`, for a filtering loop tests an item
// only when it is its turn.
struct Loop {
  std::function<Result<bool>(Value&)> pull;  // false at the end
  std::optional<int64_t> length;             // where it is known without reading
  Items ahead;                               // read to find the length, last first
  std::optional<Value> after;                // read to answer `last` or `nextitem`
  Value before, current, last_changed;
  int64_t index0 = -1;
  int32_t depth0 = 0;
  bool at_end = false;
  const For* body = nullptr;           // the recursive loop that it belongs to, while it runs
  std::shared_ptr<Activation> around;  // the variables around that loop

  Result<bool> advance();   // to the next item, into `current`; false at the end
  Result<bool> peek();      // true when `after` holds the next item
  Result<int64_t> count();  // of all items
  void close();             // drops what it holds
};

Result<Value> make_integer(Wide whole);  // kInvalid beyond 64 bits
Value make_undefined(std::string message);
// All of them pay for what they make and fail with kTooLarge over the budget of steps or depth.
Result<Value> make_text(TextBuilder& builder, bool markup = false);
Result<Value> make_slice(Runtime&, const Text& text, size_t from, size_t to);  // bytes [from, to)
Result<Value> make_list(Runtime&, Items items);
Result<Value> make_tuple(Runtime&, Items items, bool group = false);
Result<Value> make_dict(Runtime&, Pairs pairs);  // kInvalid for a key that is not hashable
Result<Value> make_iterator(Runtime&, Items items, std::optional<Error> failure = {});
Result<Value> make_view(Runtime&, Value dict, View::Of of);
Result<Value> make_function(Runtime&, std::string_view name, Native call, Value self);
Result<Value> make_namespace(Runtime&);

std::string type_name(const Value& value);  // as Python says it: 'str', 'dict', …
bool hashable(const Value& value);

}  // namespace mill::text::jinja
