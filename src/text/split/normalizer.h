// The changes that a tokenizer.json asks for before a text is cut: normal forms, replacements,
// BERT's cleaning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mill::text {

class Normalizer {
 public:
  struct Step {
    enum class Kind {
      kNfc,
      kNfd,
      kNfkc,
      kNfkd,
      kLowercase,
      kStripMarks,        // drops M; of use behind kNfd
      kStripAccents,      // drops Mn alone, as BERT does
      kReplace,           // every `what` by `with`
      kPrepend,           // `with`, to a text that is not empty
      kPrependIfNew,      // … and that does not begin with it
      kPrependIfFirst,    // … and that is the beginning of the whole text
      kPrependIfNoSpace,  // … and that does not begin with ' '
      kBertClean,         // drops control characters, makes white space ' '
      kBertChinese,       // puts ' ' around CJK ideographs
    } kind;
    std::string what = {}, with = {};
  };

  Normalizer() = default;
  explicit Normalizer(std::vector<Step> steps) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }
  // Whether what a text becomes is what its parts become, put together, where it is cut between an
  // ASCII letter and a space. (Both are starters that nothing in front of them combines with.)
  bool keeps_spaces_apart() const;
  // Time is O(n log n) at worst, for a text of combining marks only.  Requires: is_sound(text).
  // at_start: the text is the beginning of the whole one.
  std::string apply(std::string_view text, bool at_start) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace mill::text
