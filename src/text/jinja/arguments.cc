#include "text/jinja/arguments.h"

#include <algorithm>

#include "base/check.h"
#include "text/jinja/compare.h"
#include "text/jinja/operators.h"

namespace mill::text::jinja {

Result<Bound> Bound::bind(std::string_view callee, Arguments& arguments,
                          std::initializer_list<std::string_view> names, size_t required) {
  MILL_CHECK(names.size() <= kMost);
  const std::string name(callee);
  Bound bound;
  bound.callee_ = callee;
  if (arguments.positional.size() > names.size()) {
    return fail(Code::kInvalid, "TypeError: " + name + "() takes at most " +
                                    std::to_string(names.size()) + " arguments (" +
                                    std::to_string(arguments.positional.size()) + " given)");
  }
  std::move(arguments.positional.begin(), arguments.positional.end(), bound.values_.begin());
  for (auto& [key, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), key);
    if (found == names.end() || key.empty()) {
      return fail(Code::kInvalid,
                  "TypeError: " + name + "() got an unexpected keyword argument '" + key + "'");
    }
    Value& place = bound.values_[static_cast<size_t>(found - names.begin())];
    if (!place.missing()) {
      return fail(Code::kInvalid,
                  "TypeError: " + name + "() got multiple values for argument '" + key + "'");
    }
    place = std::move(value);
  }
  for (size_t i = 0; i < required; ++i) {
    if (!bound.has(i)) return fail(Code::kInvalid, "TypeError: " + name + "() misses an argument");
  }
  return bound;
}

bool Bound::flag(size_t i, bool standard) const {
  return has(i) ? truth(values_[i]) : standard;
}

Result<int64_t> Bound::number(size_t i, int64_t standard) const {
  if (!has(i)) return standard;
  return to_index(values_[i], "an argument of " + std::string(callee_) + "()");
}

Result<const Text*> Bound::text(size_t i) const {
  if (!has(i) || values_[i].is(Kind::kNone)) return nullptr;
  if (values_[i].is_text()) return &values_[i].text();
  return fail(Code::kInvalid, "TypeError: an argument of " + std::string(callee_) +
                                  "() must be str, not " + type_name(values_[i]));
}

}  // namespace mill::text::jinja
