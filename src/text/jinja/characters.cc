#include "text/jinja/characters.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "text/split/unicode.h"

namespace mill::text::jinja {
namespace {

#include "text/jinja/python_unicode.inc"

// A set of code points as the sorted places where membership changes.
class CodeSet {
 public:
  explicit CodeSet(std::span<const int32_t> distances) {
    uint32_t at = 0;
    for (const int32_t distance : distances) boundaries_.push_back(at += distance);
  }
  bool has(uint32_t code) const {
    const auto after = std::upper_bound(boundaries_.begin(), boundaries_.end(), code);
    return (after - boundaries_.begin()) % 2 == 1;
  }

 private:
  std::vector<uint32_t> boundaries_;
};

class CaseMap {
 public:
  CaseMap(std::span<const int32_t> runs, std::span<const int32_t> expansions)
      : expansions_(expansions) {
    int32_t first = 0;
    for (size_t i = 0; i + 4 <= runs.size(); i += 4) {
      first += runs[i];
      runs_.push_back({first, runs[i + 1], runs[i + 2], runs[i + 3]});
    }
  }

  void append(std::string& out, uint32_t code) const {
    const auto wanted = static_cast<int32_t>(code);
    auto run = std::upper_bound(runs_.begin(), runs_.end(), wanted,
                                [](int32_t c, const Run& r) { return c < r.first; });
    // Runs of stride 2 interleave (upper and lower letters in turn), so the owner may stand before
    // the nearest one.
    for (int back = 0; back < 3 && run != runs_.begin(); ++back) {
      --run;
      const int32_t offset = wanted - run->first;
      if (offset % run->stride == 0 && offset / run->stride < run->count) {
        append_utf8(out, code + run->shift);
        return;
      }
    }
    for (size_t i = 0; i + 4 <= expansions_.size(); i += 4) {
      if (expansions_[i] != wanted) continue;
      for (size_t k = 1; k < 4 && expansions_[i + k] != 0; ++k)
        append_utf8(out, expansions_[i + k]);
      return;
    }
    append_utf8(out, code);
  }

 private:
  struct Run {
    int32_t first, count, stride, shift;
  };
  std::vector<Run> runs_;
  std::span<const int32_t> expansions_;
};

char ascii_in_case(char c, Case to) {
  if (to == Case::kLower) return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

bool is_space(uint32_t code) {
  if (code < 0x80) return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_alpha(uint32_t code) {
  static const CodeSet set(kAlpha);
  if (code < 0x80) return (code | 32) >= 'a' && (code | 32) <= 'z';
  return set.has(code);
}

bool is_numeric(uint32_t code) {
  static const CodeSet set(kNumeric);
  return set.has(code);
}

bool is_digit(uint32_t code) {
  static const CodeSet set(kDigit);
  return set.has(code);
}

bool is_decimal(uint32_t code) {
  static const CodeSet set(kDecimal);
  return set.has(code);
}

bool is_upper(uint32_t code) {
  static const CodeSet set(kUpper);
  return set.has(code);
}

bool is_lower(uint32_t code) {
  static const CodeSet set(kLower);
  return set.has(code);
}

bool is_title(uint32_t code) {
  static const CodeSet set(kTitle);
  return set.has(code);
}

bool is_case_ignorable(uint32_t code) {
  static const CodeSet set(kCaseIgnorable);
  return set.has(code);
}

bool is_printable(uint32_t code) {
  static const CodeSet set(kPrintable);
  if (code < 0x7F) return code >= 0x20;
  return set.has(code);
}

void append_in_case(std::string& out, uint32_t code, Case to) {
  static const CaseMap upper(kToUpper, kToUpperExpansions);
  static const CaseMap lower(kToLower, kToLowerExpansions);
  static const CaseMap title(kToTitle, kToTitleExpansions);
  if (code < 0x80) {
    out.push_back(ascii_in_case(static_cast<char>(code), to));
    return;
  }
  (to == Case::kUpper ? upper : to == Case::kLower ? lower : title).append(out, code);
}

Decoded decode(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {first, 1};
  const Sequence sequence = first_sequence(text.substr(at, 4));
  if (sequence.state != Sequence::State::kValid) return {first, 1};
  const CodePoint point = code_point_at(text.data() + at);
  return {point.code, point.bytes};
}

Decoded decode_before(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && end - start < 4 && is_continuation(text[start])) --start;
  const Decoded found = decode(text, start);
  if (start + found.bytes == end) return found;
  return {static_cast<unsigned char>(text[end - 1]), 1};
}

int64_t count_code_points(std::string_view text) {
  int64_t count = 0;
  for (size_t at = 0; at < text.size(); at += decode(text, at).bytes) ++count;
  return count;
}

bool is_ascii(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080ull;
  for (uint64_t eight; text.size() >= sizeof eight; text.remove_prefix(sizeof eight)) {
    std::memcpy(&eight, text.data(), sizeof eight);
    if ((eight & kHighBits) != 0) return false;
  }
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) >= 0; });
}

}  // namespace mill::text::jinja
