#include "text/pieces/special_tokens.h"

#include <algorithm>

#include "text/pieces/ordered_queue.h"
#include "text/split/unicode.h"

namespace mill::text {
namespace {

bool is_ascii_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_word_part(uint32_t code) {
  return code == '_' || UnicodeTable::get()[code] & (kLetter | kNumber | kMark);
}

// Start of the code point that ends at `end`.  Requires: end > 0; the text is sound.
size_t code_point_before(std::string_view text, size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

std::vector<std::string> names_of(const std::vector<SpecialToken>& tokens) {
  std::vector<std::string> names;
  names.reserve(tokens.size());
  for (const SpecialToken& token : tokens) names.push_back(token.name);
  return names;
}

}  // namespace

struct SpecialTokens::Accepted {
  Range range;  // with the white space that is stripped
  int32_t token;
};

// One partition(): collects candidates, decides on them in order, and turns what was accepted into
// fragments.
class SpecialTokens::Search {
 public:
  Search(const SpecialTokens& specials, std::string_view text, const std::vector<Range>& trusted)
      : specials_(specials), text_(text), trusted_(trusted) {}

  void collect(Range range) {
    const ByteMatcher& matcher = specials_.matcher_;
    ByteMatcher::State state = ByteMatcher::kStart;
    for (size_t at = range.begin; at < range.end; ++at) {
      const auto byte = static_cast<unsigned char>(text_[at]);
      if (state == ByteMatcher::kStart && !matcher.can_begin(byte)) continue;
      state = matcher.step(state, byte);
      add(at + 1, matcher.longest_here(state));
    }
  }

  void decide() {
    Candidates::Item next;
    while (queue_.pop(next)) {
      if (taken_.empty()) taken_.assign(text_.size(), false);
      const int32_t token = specials_.matcher_.string_of(next.more);
      const bool longest = specials_.order_ == Order::kLongestFirst;
      const size_t begin = longest ? next.place : next.place >> 32;
      const size_t end = begin + specials_.tokens_[token].name.size();
      // What was accepted is no shorter or begins no later, so an overlap shows at an end of this
      // one.
      if (taken_[end - 1]) continue;
      if (taken_[begin])
        add(end, specials_.matcher_.next_shorter(next.more));
      else if (stands_alone(token, {begin, end}))
        accept(token, {begin, end});
      else
        take({begin, end});  // part of a word: no token, and no other name may use its bytes
    }
  }

  std::vector<Fragment> fragments() {
    std::sort(accepted_.begin(), accepted_.end(),
              [](const Accepted& a, const Accepted& b) { return a.range.begin < b.range.begin; });
    std::vector<Fragment> out;
    out.reserve(2 * accepted_.size() + 1);
    size_t done = 0;
    for (const Accepted& one : accepted_) {
      if (done < one.range.begin)
        out.push_back({.text = text_.substr(done, one.range.begin - done)});
      out.push_back({.token = specials_.tokens_[one.token].id});
      done = one.range.end;
    }
    if (done < text_.size()) out.push_back({.text = text_.substr(done)});
    return out;
  }

 private:
  // Queues the longest name that may count, of `state` and its shorter ones.
  void add(size_t end, ByteMatcher::State state) {
    for (; state != ByteMatcher::kNone; state = specials_.matcher_.next_shorter(state)) {
      const int32_t token = specials_.matcher_.string_of(state);
      const size_t begin = end - specials_.tokens_[token].name.size();
      if (specials_.tokens_[token].trusted_only && !is_trusted({begin, end})) continue;
      // The tokens are ordered by length.
      const auto rank = static_cast<uint32_t>(token);
      if (specials_.order_ == Order::kLongestFirst) {
        queue_.push({rank, begin, state});
      } else {
        queue_.push({0, uint64_t{begin} << 32 | rank, state});
      }
      return;
    }
  }

  bool is_trusted(Range range) const {
    const auto after = std::upper_bound(trusted_.begin(), trusted_.end(), range.begin,
                                        [](size_t at, const Range& r) { return at < r.begin; });
    return after != trusted_.begin() && range.end <= std::prev(after)->end;
  }

  bool stands_alone(int32_t token, Range range) const {
    if (!specials_.tokens_[token].whole_word) return true;
    if (range.begin > 0 && is_word_part(code_at(code_point_before(text_, range.begin))))
      return false;
    return range.end == text_.size() || !is_word_part(code_at(range.end));
  }

  void accept(int32_t token, Range range) {
    const bool unicode = specials_.order_ == Order::kLeftmostFirst;
    if (specials_.tokens_[token].strip_right)
      while (range.end < text_.size() && !taken_[range.end] && is_space(range.end, unicode))
        range.end += unicode ? code_point_at(text_.data() + range.end).bytes : 1;
    if (specials_.tokens_[token].strip_left)
      while (range.begin > 0 && !taken_[range.begin - 1]) {
        const size_t before = unicode ? code_point_before(text_, range.begin) : range.begin - 1;
        if (!is_space(before, unicode)) break;
        range.begin = before;
      }
    take(range);
    if (accepted_.empty()) accepted_.reserve(8);
    accepted_.push_back({range, token});
  }

  void take(Range range) {
    std::fill(taken_.begin() + static_cast<std::ptrdiff_t>(range.begin),
              taken_.begin() + static_cast<std::ptrdiff_t>(range.end), true);
  }

  uint32_t code_at(size_t at) const { return code_point_at(text_.data() + at).code; }
  bool is_space(size_t at, bool unicode) const {
    return unicode ? UnicodeTable::get()[code_at(at)] & kSpace : is_ascii_space(text_[at]);
  }

  const SpecialTokens& specials_;
  std::string_view text_;
  const std::vector<Range>& trusted_;
  // Names that are not yet decided on; the state of each also leads to the shorter names with the
  // same end. By token and beginning (longest first), or by beginning and token.
  using Candidates = OrderedQueue<uint64_t, ByteMatcher::State>;
  Candidates queue_;
  std::vector<bool> taken_;  // [bytes of the text]
  std::vector<Accepted> accepted_;
};

SpecialTokens::SpecialTokens(std::vector<SpecialToken> tokens, Order order)
    : tokens_(std::move(tokens)), order_(order) {
  std::stable_sort(
      tokens_.begin(), tokens_.end(),
      [](const SpecialToken& a, const SpecialToken& b) { return a.name.size() > b.name.size(); });
  matcher_ = ByteMatcher(names_of(tokens_));
  untrusted_too_ = std::any_of(tokens_.begin(), tokens_.end(),
                               [](const SpecialToken& token) { return !token.trusted_only; });
}

std::vector<SpecialTokens::Fragment> SpecialTokens::partition(
    std::string_view text, const std::vector<Range>& trusted) const {
  if (text.empty()) return {};
  Search search(*this, text, trusted);
  if (untrusted_too_) {
    search.collect({0, text.size()});
  } else {
    for (const Range& range : trusted) search.collect(range);
  }
  search.decide();
  return search.fragments();
}

}  // namespace mill::text
