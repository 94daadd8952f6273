#include "text/split/normalizer.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/check.h"
#include "text/split/unicode.h"

namespace mill::text {
namespace {

using Kind = Normalizer::Step::Kind;

template <class Visit>
void for_each_code(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text.data() + at);
    visit(point.code);
    at += point.bytes;
  }
}

// The code points that `kind` turns one into, appended.
void decompose(uint32_t code, utf8proc_option_t options, std::vector<utf8proc_int32_t>& out) {
  utf8proc_int32_t parts[32];
  int bound_class = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts,
                                             std::size(parts), options, &bound_class);
  if (count < 0 || count > static_cast<utf8proc_ssize_t>(std::size(parts)))
    out.push_back(static_cast<utf8proc_int32_t>(code));  // a surrogate
  else
    out.insert(out.end(), parts, parts + count);
}

// The library sorts runs of marks in quadratic time; sorted ones it leaves as they are.
void sort_marks(std::vector<utf8proc_int32_t>& codes) {
  const auto class_of = [](utf8proc_int32_t code) {
    return utf8proc_get_property(code)->combining_class;
  };
  for (auto at = codes.begin(); at != codes.end();) {
    const auto first =
        std::find_if(at, codes.end(), [&](auto code) { return class_of(code) != 0; });
    const auto last =
        std::find_if(first, codes.end(), [&](auto code) { return class_of(code) == 0; });
    std::stable_sort(first, last, [&](auto a, auto b) { return class_of(a) < class_of(b); });
    at = last;
  }
}

std::string normal_form(std::string_view text, Kind kind) {
  const bool composed = kind == Kind::kNfc || kind == Kind::kNfkc;
  const bool compatible = kind == Kind::kNfkc || kind == Kind::kNfkd;
  // Below U+0300 everything is in form C, below U+0080 in all of them.
  const unsigned char first_to_change = kind == Kind::kNfc ? 0xCC : 0x80;
  const bool unchanged = std::none_of(text.begin(), text.end(), [=](char c) {
    return static_cast<unsigned char>(c) >= first_to_change;
  });
  if (unchanged) return std::string(text);
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size());
  for_each_code(text, [&](uint32_t code) { decompose(code, options, codes); });
  sort_marks(codes);
  if (composed) {
    const auto count = utf8proc_normalize_utf32(
        codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    MILL_CHECK(count >= 0);
    codes.resize(static_cast<size_t>(count));
  }
  std::string out;
  out.reserve(text.size());
  for (const auto code : codes) append_utf8(out, static_cast<uint32_t>(code));
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_code(text, [&](uint32_t code) {
    append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
    if (code == 0x130)
      append_utf8(out, 0x307);  // the one letter whose lower case is two code points
  });
  return out;
}

std::string replace(std::string_view text, std::string_view what, std::string_view with) {
  if (what.empty()) return std::string(text);
  std::string out;
  for (;;) {
    const size_t at = text.find(what);
    out.append(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.append(with);
    text.remove_prefix(at + what.size());
  }
}

std::string bert_clean(std::string_view text) {
  const UnicodeTable& kinds = UnicodeTable::get();
  std::string out;
  for_each_code(text, [&](uint32_t code) {
    if (kinds[code] & kSpace &&
        (!(kinds[code] & kControlCode) || code == '\t' || code == '\n' || code == '\r'))
      out.push_back(' ');
    else if (code != 0 && code != kReplacement && !(kinds[code] & (kControlCode | kFormat)))
      append_utf8(out, code);
  });
  return out;
}

bool is_ideograph(uint32_t code) {
  constexpr uint32_t kBlocks[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                     {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F},
                                     {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(kBlocks), std::end(kBlocks),
                     [code](const auto& block) { return block[0] <= code && code <= block[1]; });
}

bool prepends(const Normalizer::Step& step, std::string_view text, bool at_start) {
  if (text.empty()) return false;
  switch (step.kind) {
    case Kind::kPrepend:
      return true;
    case Kind::kPrependIfNew:
      return !text.starts_with(step.with);
    case Kind::kPrependIfFirst:
      return at_start && !text.starts_with(step.with);
    default:
      return text.front() != ' ';
  }
}

std::string apply_one(const Normalizer::Step& step, std::string_view text, bool at_start) {
  switch (step.kind) {
    case Kind::kNfc:
    case Kind::kNfd:
    case Kind::kNfkc:
    case Kind::kNfkd:
      return normal_form(text, step.kind);
    case Kind::kLowercase:
      return lowercase(text);
    case Kind::kReplace:
      return replace(text, step.what, step.with);
    case Kind::kPrepend:
    case Kind::kPrependIfNew:
    case Kind::kPrependIfFirst:
    case Kind::kPrependIfNoSpace:
      return prepends(step, text, at_start) ? step.with + std::string(text) : std::string(text);
    case Kind::kBertClean:
      return bert_clean(text);
    case Kind::kStripMarks:
    case Kind::kStripAccents:
    case Kind::kBertChinese:
      break;
  }
  std::string out;
  for_each_code(text, [&](uint32_t code) {
    if (step.kind != Kind::kBertChinese) {
      const Kinds dropped = step.kind == Kind::kStripMarks ? kMark : kOpenMark;
      if (!(UnicodeTable::get()[code] & dropped)) append_utf8(out, code);
      return;
    }
    const bool alone = is_ideograph(code);
    if (alone) out.push_back(' ');
    append_utf8(out, code);
    if (alone) out.push_back(' ');
  });
  return out;
}

}  // namespace

bool Normalizer::keeps_spaces_apart() const {
  return std::all_of(steps_.begin(), steps_.end(), [](const Step& step) {
    switch (step.kind) {
      case Kind::kNfc:
      case Kind::kNfd:
      case Kind::kNfkc:
      case Kind::kNfkd:
      case Kind::kLowercase:
      case Kind::kStripMarks:
      case Kind::kStripAccents:
      case Kind::kBertClean:
      case Kind::kBertChinese:
        return true;
      case Kind::kReplace:  // its text may hold both
      case Kind::kPrepend:  // these see where the text begins
      case Kind::kPrependIfNew:
      case Kind::kPrependIfFirst:
      case Kind::kPrependIfNoSpace:
        return false;
    }
    return false;
  });
}

std::string Normalizer::apply(std::string_view text, bool at_start) const {
  std::string out(text);
  for (const Step& step : steps_) out = apply_one(step, out, at_start);
  return out;
}

}  // namespace mill::text
