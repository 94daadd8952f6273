#include "text/split/runs.h"

#include <algorithm>

namespace mill::text {

CodeClass::CodeClass(Kinds kinds, std::vector<CodeRange> ranges, bool negated)
    : kinds_(kinds), ranges_(std::move(ranges)), negated_(negated), table_(UnicodeTable::get()) {
  for (uint32_t code = 0; code < ascii_.size(); ++code) ascii_[code] = look_up(code);
}

bool CodeClass::look_up(uint32_t code) const {
  if (table_[code] & kinds_) return !negated_;
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), code,
                                      [](uint32_t c, const CodeRange& r) { return c < r.first; });
  const bool inside = after != ranges_.begin() && code <= std::prev(after)->last;
  return inside != negated_;
}

const char* Runs::match(const char* at, const char* end) const {
  const auto run = [this, end](const char* from) -> const char* {
    uint32_t count = 0;
    while (from < end && count < count_.most) {
      const CodePoint point = code_point_at(from);
      if (!members_.has(point.code)) break;
      from += point.bytes;
      ++count;
    }
    return count >= count_.least ? from : nullptr;
  };
  const CodePoint first = code_point_at(at);
  const bool has_lead = (lead_ == Lead::kBlank && first.code == ' ') ||
                        (lead_ == Lead::kAnySpace && kinds_[first.code] & kSpace);
  if (has_lead)
    if (const char* const after = run(at + first.bytes)) return after;
  return run(at);
}

AtSpace Runs::at_space() const {
  if (members_.has(' ')) return AtSpace::kNotKnown;
  if (count_.least > 1) return AtSpace::kMayJoin;
  for (uint32_t code = 'A'; code <= 'Z'; ++code)
    if (!members_.has(code) || !members_.has(code | 0x20)) return AtSpace::kMayJoin;
  return AtSpace::kCuts;
}

void Runs::cut(std::string_view text, Pieces& pieces) const {
  cut_by_matches(*this, text, pieces);
}

const char* Runs::skip(const char* at, const char* end) const {
  if (lead_ != Lead::kNone) return at;
  while (at < end && static_cast<unsigned char>(*at) < 0x80 &&
         !members_.has(static_cast<unsigned char>(*at)))
    ++at;
  return at;
}

void EndSpace::cut(std::string_view text, Pieces& pieces) const {
  const UnicodeTable& kinds = UnicodeTable::get();
  size_t space = text.size();
  while (space > 0) {
    size_t start = space - 1;
    while ((static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (!(kinds[code_point_at(text.data() + start).code] & kSpace)) break;
    space = start;
  }
  if (space > 0) pieces.push_back(text.substr(0, space));
  if (space < text.size()) pieces.push_back(text.substr(space));
}

}  // namespace mill::text
