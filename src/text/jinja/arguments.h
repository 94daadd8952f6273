// Giving arguments to the parameters of a function, as Python does.
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

// The parameters of one call; those that were not given are missing.
class Bound {
 public:
  static constexpr size_t kMost = 6;

  // `names` may be "" for parameters that can't be named in a call; the first `required` must be
  // given. Fails with kInvalid (a TypeError) for arguments that don't fit.
  static Result<Bound> bind(std::string_view callee, Arguments& arguments,
                            std::initializer_list<std::string_view> names, size_t required = 0);

  bool has(size_t i) const { return !values_[i].missing(); }
  const Value& operator[](size_t i) const { return values_[i]; }
  // Of parameter i: its truth, its integer, its text; `standard` where it was not given.
  bool flag(size_t i, bool standard) const;
  Result<int64_t> number(size_t i, int64_t standard) const;
  Result<const Text*> text(size_t i) const;  // null where it was not given or is none

 private:
  std::string_view callee_;
  std::array<Value, kMost> values_;
};

}  // namespace mill::text::jinja
