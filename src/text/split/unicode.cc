#include "text/split/unicode.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace mill::text {
namespace {

constexpr Kinds Lu = kUpper, Ll = kLower, Lt = kTitle, Lm = kModifier, Lo = kOtherLetter;
constexpr Kinds Nd = kNumber, Nl = kNumber, No = kNumber;
constexpr Kinds Mn = kMark | kOpenMark, Mc = kMark, Me = kMark;
constexpr Kinds Pc = kPunctuation, Pd = kPunctuation, Ps = kPunctuation, Pe = kPunctuation;
constexpr Kinds Pi = kPunctuation, Pf = kPunctuation, Po = kPunctuation;
constexpr Kinds Sm = kSymbol, Sc = kSymbol, Sk = kSymbol, So = kSymbol;
constexpr Kinds Zs = kSpace, Zl = kSpace, Zp = kSpace;
constexpr Kinds Cc = kControlCode, Wc = kControlCode | kSpace, Cf = kFormat, Cn = kUnassigned,
                Co = kFormat, Cs = kFormat;

struct Run {
  uint32_t first;
  Kinds kinds;
};
constexpr Run kRuns[] = {
#define R(first, kinds) {first, kinds},
#include "text/split/unicode_ranges.inc"
#undef R
};

// The length of the sequence that starts with `lead`, as its high bits say; 0 for a byte that
// starts none.
uint32_t length_by_lead(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC0) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF8 ? 4 : 0;
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800,
                                  0x10000};  // by length: less is an over-long form

// The lenient reading: any sequence of the right shape, up to U+10FFFF. bytes is 0 where there is
// none.
CodePoint lenient_at(std::string_view text) {
  const uint32_t bytes = length_by_lead(static_cast<unsigned char>(text[0]));
  if (bytes == 0 || bytes > text.size()) return {0, 0};
  for (uint32_t i = 1; i < bytes; ++i)
    if (!is_continuation(text[i])) return {0, 0};
  const CodePoint point = code_point_at(text.data());
  return point.code < 0x110000 ? point : CodePoint{0, 0};
}

}  // namespace

UnicodeTable::UnicodeTable() {
  std::map<std::array<Kinds, 256>, uint16_t> known;
  size_t run = 0;
  for (uint32_t page = 0; page < page_of_.size(); ++page) {
    std::array<Kinds, 256> kinds;
    for (uint32_t i = 0; i < 256; ++i) {
      const uint32_t code = page << 8 | i;
      while (run + 1 < std::size(kRuns) && kRuns[run + 1].first <= code) ++run;
      kinds[i] = kRuns[run].kinds;
    }
    const auto [place, is_new] = known.emplace(kinds, static_cast<uint16_t>(pages_.size()));
    if (is_new) pages_.push_back(kinds);
    page_of_[page] = place->second;
  }
  std::copy_n(pages_[page_of_[0]].begin(), ascii_.size(), ascii_.begin());
}

const UnicodeTable& UnicodeTable::get() {
  static const UnicodeTable table;
  return table;
}

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_sound(std::string_view text) {
  size_t i = 0;
  constexpr uint64_t kHighBits = 0x8080808080808080ull;
  while (i < text.size()) {
    if (uint64_t eight; text.size() - i >= sizeof eight) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & kHighBits) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const CodePoint point = lenient_at(text.substr(i));
    if (point.bytes == 0 || point.code < kSmallest[point.bytes]) return false;
    i += point.bytes;
  }
  return true;
}

std::string repair(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  while (!text.empty()) {
    const CodePoint point = lenient_at(text);
    append_utf8(out, point.bytes == 0 ? kReplacement : point.code);
    text.remove_prefix(point.bytes == 0 ? 1 : point.bytes);
  }
  return out;
}

Sequence first_sequence(std::string_view text) {
  using State = Sequence::State;
  const auto lead = static_cast<unsigned char>(text[0]);
  const uint32_t bytes = length_by_lead(lead);
  if (bytes == 1) return {State::kValid, 1};
  if (bytes == 0 || lead < 0xC2 || lead > 0xF4) return {State::kInvalid, 1};
  // The second byte alone decides on over-long forms, surrogates and what lies above U+10FFFF.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint32_t i = 1; i < bytes; ++i) {
    if (i == text.size()) return {State::kUnfinished, i};
    const auto byte = static_cast<unsigned char>(text[i]);
    if (i == 1 ? byte < low || byte > high : !is_continuation(text[i])) return {State::kInvalid, i};
  }
  return {State::kValid, bytes};
}

std::string for_people(std::string_view text) {
  std::string out;
  while (!text.empty() && out.size() < 60) {
    const Sequence sequence = first_sequence(text);
    const bool plain = sequence.state == Sequence::State::kValid &&
                       !(UnicodeTable::get()[code_point_at(text.data()).code] & kControlCode);
    if (plain)
      out.append(text.substr(0, sequence.bytes));
    else
      append_utf8(out, kReplacement);
    text.remove_prefix(sequence.bytes);
  }
  if (!text.empty()) out += "…";
  return out;
}

}  // namespace mill::text
