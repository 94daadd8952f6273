// One step of cutting a text into the words that merges never cross. A pattern of a model is one
// stage or a few, each cutting the pieces of the one before.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/split/unicode.h"

namespace mill::text {

using Pieces = std::vector<std::string_view>;  // of one text, in its order, none empty

// What a stage does where a text goes on with a space behind an ASCII letter. Take the text in two
// there, "…x" and " …".
enum class AtSpace : uint8_t {
  kNotKnown,
  kMayJoin,  // the pieces are those of both parts, but the two at the border may be one
  kCuts,     // the pieces are those of both parts
};

class Stage {
 public:
  virtual ~Stage() = default;
  // Of every text and every such border in it.
  virtual AtSpace at_space() const { return AtSpace::kNotKnown; }
  // Appends the pieces of `text`, in time linear in it.  Requires: text is not empty;
  // is_sound(text).
  virtual void cut(std::string_view text, Pieces& pieces) const = 0;
};

using Stages = std::vector<std::unique_ptr<const Stage>>;

inline std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

// cut() for a rule with `const char* match(const char* at, const char* end)`: the end of the match
// that starts at `at`, nullptr when none does. Matches become pieces, and so does what lies between
// two of them. A rule may have `skip`, alike: the first place, at or behind `at`, where one may
// begin.
template <class Rule>
void cut_by_matches(const Rule& rule, std::string_view text, Pieces& pieces) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const char* gap = at;
  while (at < end) {
    if constexpr (requires { rule.skip(at, end); }) {
      at = rule.skip(at, end);
      if (at == end) break;
    }
    const char* const after = rule.match(at, end);
    if (after == nullptr) {
      at += code_point_at(at).bytes;
      continue;
    }
    if (gap < at) pieces.push_back(between(gap, at));
    pieces.push_back(between(at, after));
    at = gap = after;
  }
  if (gap < end) pieces.push_back(between(gap, end));
}

}  // namespace mill::text
