// Finds the tokens that are matched by name before any other tokenization: control tokens and
// user-defined ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "text/pieces/byte_matcher.h"

namespace mill::text {

struct SpecialToken {
  TokenId id = kNoToken;
  std::string name;
  bool trusted_only = true;  // a control token: only the template's own words may name it
  bool strip_left = false;   // takes the white space before it along
  bool strip_right = false;
  bool whole_word = false;  // not next to a letter, a digit or '_'
};

class SpecialTokens {
 public:
  // Which of overlapping names counts: the longest anywhere in the text (llama.cpp), or the
  // leftmost and then the longest (tokenizers). It also settles what white space is to strip: that
  // of ASCII, or of Unicode.
  enum class Order { kLongestFirst, kLeftmostFirst };

  SpecialTokens() = default;
  SpecialTokens(std::vector<SpecialToken> tokens, Order order);

  struct Range {
    size_t begin, end;
  };
  struct Fragment {
    std::string_view text;  // to be tokenized; empty when it is a token
    TokenId token = kNoToken;
  };
  // Cuts `text` at the names. `trusted` lists the trusted parts, rising, and not touching each
  // other; a name that is trusted_only counts where it lies in one of them. Time is O(n log n) at
  // worst and does not depend on the number of names.
  std::vector<Fragment> partition(std::string_view text, const std::vector<Range>& trusted) const;

 private:
  struct Accepted;
  class Search;

  std::vector<SpecialToken> tokens_;  // by falling length of the name
  ByteMatcher matcher_;
  Order order_ = Order::kLongestFirst;
  bool untrusted_too_ = false;  // some name counts anywhere
};

}  // namespace mill::text
