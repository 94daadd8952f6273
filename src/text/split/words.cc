#include "text/split/words.h"

namespace mill::text {
namespace {

bool is_newline(char c) {
  return c == '\r' || c == '\n';
}

struct Point {
  Kinds kinds = 0;  // 0 at the end of the text
  uint32_t code = 0;
  uint32_t bytes = 0;
};

Point point_at(const UnicodeTable& kinds, const char* at, const char* end) {
  if (at >= end) return {};
  const CodePoint point = code_point_at(at);
  return {kinds[point.code], point.code, point.bytes};
}

// The end of the longest run of code points of `set`.
const char* run_of(const UnicodeTable& kinds, Kinds set, const char* at, const char* end) {
  while (at < end) {
    const CodePoint point = code_point_at(at);
    if (!(kinds[point.code] & set)) break;
    at += point.bytes;
  }
  return at;
}
const char* run_outside(const UnicodeTable& kinds, Kinds set, const char* at, const char* end) {
  while (at < end) {
    const CodePoint point = code_point_at(at);
    if (kinds[point.code] & set) break;
    at += point.bytes;
  }
  return at;
}

// The bytes of 's 't 'm 'd 're 've 'll at `at`; 0 for none.  fold: in any case, and 'ſ when long_s.
size_t contraction(const char* at, const char* end, bool fold, bool long_s = false) {
  if (end - at < 2 || *at != '\'') return 0;
  const auto lower = [fold](char c) {
    return fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  const char a = lower(at[1]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (end - at < 3) return 0;
  const char b = lower(at[2]);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return long_s && at[1] == '\xC5' && at[2] == '\xBF' ? 3 : 0;
}

// \s+(?!\S)|\s+, with `newlines`: \s*[\r\n]+ ahead of it.  Requires: white space at `at`.
const char* spaces(const UnicodeTable& kinds, const char* at, const char* end, bool newlines) {
  const char* after_newline = nullptr;
  const char* last = at;  // of the run
  const char* stop = at;
  while (stop < end) {
    const CodePoint point = code_point_at(stop);
    if (!(kinds[point.code] & kSpace)) break;
    last = stop;
    stop += point.bytes;
    if (is_newline(*last)) after_newline = stop;
  }
  if (newlines && after_newline != nullptr) return after_newline;
  return stop == end || last == at ? stop : last;
}

const char* digits_at(const UnicodeTable& kinds, const char* at, const char* end, uint8_t most) {
  if (most == 0) return run_of(kinds, kNumber, at, end);
  for (uint8_t i = 0; i < most; ++i) {
    const Point point = point_at(kinds, at, end);
    if (!(point.kinds & kNumber)) break;
    at += point.bytes;
  }
  return at;
}

}  // namespace

const char* Words::match(const char* at, const char* end) const {
  using Contractions = WordPattern::Contractions;
  if (*at == '\'' && pattern_.contractions == Contractions::kBefore)
    if (const size_t bytes = contraction(at, end, true, pattern_.long_s)) return at + bytes;
  if (const char* after = pattern_.cased ? cased_letters(at, end) : letters(at, end)) {
    if (pattern_.contractions == Contractions::kAfter)
      after += contraction(after, end, true, pattern_.long_s);
    return after;
  }
  const Point first = point_at(kinds_, at, end);
  if (first.kinds & kNumber) return digits_at(kinds_, at, end, pattern_.digits);
  const char* const other = *at == ' ' ? at + 1 : at;
  const char* after = run_outside(kinds_, pattern_.not_other, other, end);
  if (after > other) {
    const bool slash = pattern_.tail == WordPattern::Tail::kNewlinesAndSlash;
    if (pattern_.tail != WordPattern::Tail::kNone)
      while (after < end && (is_newline(*after) || (slash && *after == '/'))) ++after;
    return after;
  }
  return first.kinds & kSpace ? spaces(kinds_, at, end, true) : nullptr;
}

const char* Words::letters(const char* at, const char* end) const {
  const Point first = point_at(kinds_, at, end);
  const char* start = at;
  if (!(first.kinds & (kLetter | kNumber)) && !is_newline(*at)) start += first.bytes;
  const char* after = run_of(kinds_, pattern_.letters, start, end);
  if (after == start && start > at) after = run_of(kinds_, pattern_.letters, start = at, end);
  return after > start ? after : nullptr;
}

// lead?up*low+|lead?up+low* with backtracking done ahead: of the letters up to the first that is
// only low, low+ can begin no later than at the last one that may be low.
const char* Words::cased_letters(const char* at, const char* end) const {
  const auto may_be = [this](const Point& point, char32_t first, char32_t last, Kinds other) {
    if (!(point.kinds & pattern_.letters)) return false;
    return pattern_.ascii_case ? point.code < first || point.code > last : !(point.kinds & other);
  };
  const auto may_be_up = [&](const Point& p) { return may_be(p, 'a', 'z', pattern_.only_low); };
  const auto may_be_low = [&](const Point& p) { return may_be(p, 'A', 'Z', pattern_.only_up); };

  struct Reach {
    const char* up;        // end of up*
    const char* with_low;  // end of up*low+, nullptr when it does not match
  };
  const auto reach = [&](const char* from) {
    Reach out{from, nullptr};
    for (Point p = point_at(kinds_, from, end); may_be_up(p); p = point_at(kinds_, out.up, end)) {
      out.up += p.bytes;
      if (may_be_low(p)) out.with_low = out.up;
    }
    const char* low = out.up;
    for (Point p = point_at(kinds_, low, end); may_be_low(p); p = point_at(kinds_, low, end))
      out.with_low = low += p.bytes;
    return out;
  };

  const Point first = point_at(kinds_, at, end);
  const bool has_lead = !(first.kinds & (kLetter | kNumber)) && !is_newline(*at);
  const bool lead_may_be_letter = (first.kinds & pattern_.letters) != 0;
  const Reach led = reach(has_lead ? at + first.bytes : at);
  if (led.with_low != nullptr) return led.with_low;
  const bool retry = has_lead && lead_may_be_letter;  // a mark, where marks count as letters
  const Reach bare = retry ? reach(at) : Reach{at, nullptr};
  if (bare.with_low != nullptr) return bare.with_low;
  if (led.up > (has_lead ? at + first.bytes : at)) return led.up;
  return bare.up > at ? bare.up : nullptr;
}

void Words::cut(std::string_view text, Pieces& pieces) const {
  cut_by_matches(*this, text, pieces);
}

const char* Gpt2Words::match(const char* at, const char* end) const {
  if (const size_t bytes = contraction(at, end, false)) return at + bytes;
  const char* const start = *at == ' ' ? at + 1 : at;
  const Point point = point_at(kinds_, start, end);
  if (point.kinds & kLetter) return run_of(kinds_, kLetter, start, end);
  if (point.kinds & kNumber) return run_of(kinds_, kNumber, start, end);
  if (point.kinds != 0 && !(point.kinds & kSpace))
    return run_outside(kinds_, kSpace | kLetter | kNumber, start, end);
  return spaces(kinds_, at, end, false);
}

void Gpt2Words::cut(std::string_view text, Pieces& pieces) const {
  cut_by_matches(*this, text, pieces);
}

const char* DeepseekWords::match(const char* at, const char* end) const {
  const Point first = point_at(kinds_, at, end);
  const auto is_ascii_letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  };
  if (first.code < 128 && first.kinds & (kPunctuation | kSymbol)) {
    const char* after = at + 1;
    while (after < end && is_ascii_letter(*after)) ++after;
    if (after > at + 1) return after;
  }
  constexpr Kinds kWord = kLetter | kMark;
  if (!(first.kinds & (kLetter | kPunctuation | kSymbol)) && !is_newline(*at)) {
    const char* const after = run_of(kinds_, kWord, at + first.bytes, end);
    if (after > at + first.bytes) return after;
  }
  if (first.kinds & kWord) return run_of(kinds_, kWord, at, end);
  const char* const start = *at == ' ' ? at + 1 : at;
  const char* after = run_of(kinds_, kPunctuation | kSymbol, start, end);
  if (after > start) {
    while (after < end && is_newline(*after)) ++after;
    return after;
  }
  return first.kinds & kSpace ? spaces(kinds_, at, end, true) : nullptr;
}

void DeepseekWords::cut(std::string_view text, Pieces& pieces) const {
  cut_by_matches(*this, text, pieces);
}

}  // namespace mill::text
