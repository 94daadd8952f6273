#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/characters.h"
#include "text/jinja/methods.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

constexpr uint32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2;

// Greek: a sigma that ends a word has its own small letter.
bool ends_word(std::string_view bytes, size_t at, size_t after) {
  size_t before = at;
  uint32_t letter = 0;
  do {
    if (before == 0) return false;
    const Decoded point = decode_before(bytes, before);
    before -= point.bytes;
    letter = point.code;
  } while (is_case_ignorable(letter));
  if (!is_cased(letter)) return false;
  while (after < bytes.size()) {
    const Decoded point = decode(bytes, after);
    if (!is_case_ignorable(point.code)) return !is_cased(point.code);
    after += point.bytes;
  }
  return true;
}

class LetterChanger {
 public:
  LetterChanger(std::string_view all, Letters to) : all_(all), to_(to) {}

  void append(std::string& out, size_t at) {
    const Decoded point = decode(all_, at);
    const bool first = std::exchange(first_, false);
    const bool after_letter = std::exchange(after_letter_, needs_case() && is_cased(point.code));
    if (point.bytes == 1 && point.code >= 0x80) {  // not UTF-8
      out.push_back(all_[at]);
      return;
    }
    const Case to = case_of(point.code, first, after_letter);
    if (point.code == kCapitalSigma && to == Case::kLower &&
        ends_word(all_, at, at + point.bytes)) {
      append_in_case(out, kFinalSigma, Case::kLower);
    } else {
      append_in_case(out, point.code, to);
    }
  }

 private:
  bool needs_case() const { return to_ == Letters::kTitle; }
  Case case_of(uint32_t code, bool first, bool after_letter) const {
    switch (to_) {
      case Letters::kUpper:
        return Case::kUpper;
      case Letters::kLower:
        return Case::kLower;
      case Letters::kTitle:
        return after_letter ? Case::kLower : Case::kTitle;
      case Letters::kCapitalize:
        return first ? Case::kTitle : Case::kLower;
      case Letters::kSwap:
        return is_upper(code) ? Case::kLower : is_lower(code) ? Case::kUpper : Case::kLower;
    }
    return Case::kLower;
  }

  std::string_view all_;
  Letters to_;
  bool first_ = true;
  bool after_letter_ = false;
};

template <Letters kTo>
Result<Value> letters_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("str method", arguments, {}));
  return change_letters(runtime, self.text(), kTo);
}

template <bool (*kTest)(uint32_t)>
Result<Value> all_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("str method", arguments, {}));
  MILL_TRY_DO(runtime.budget.make(self.text().length() * 4));
  return Value::boolean(is_all(self.text(), kTest));
}

bool ascii_code(uint32_t code) {
  return code < 0x80;
}
bool identifier_code(uint32_t code) {
  return code == '_' || is_alnum(code);
}

Result<Value> is_ascii_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("isascii", arguments, {}));
  return Value::boolean(self.text().empty() || is_all(self.text(), ascii_code));
}

Result<Value> is_printable_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("isprintable", arguments, {}));
  return Value::boolean(self.text().empty() || is_all(self.text(), is_printable));
}

Result<Value> is_identifier_method(Runtime&, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("isidentifier", arguments, {}));
  const Text& text = self.text();
  if (!is_all(text, identifier_code)) return Value::boolean(false);
  const uint32_t first = decode(text.bytes(), 0).code;
  return Value::boolean(first == '_' || is_alpha(first));
}

template <bool kUpper>
Result<Value> has_case_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("str method", arguments, {}));
  MILL_TRY_DO(runtime.budget.make(self.text().length() * 4));
  return Value::boolean(has_case(self.text(), kUpper));
}

Result<Value> is_title_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("istitle", arguments, {}));
  const std::string_view bytes = self.text().bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size()) * 4));
  bool any = false, after_letter = false;
  for (size_t at = 0; at < bytes.size();) {
    const Decoded point = decode(bytes, at);
    const bool starts = is_upper(point.code) || is_title(point.code);
    const bool goes_on = is_lower(point.code);
    if ((starts && after_letter) || (goes_on && !after_letter)) return Value::boolean(false);
    after_letter = starts || goes_on;
    any = any || after_letter;
    at += point.bytes;
  }
  return Value::boolean(any);
}

}  // namespace

Status append_letters(Runtime& runtime, TextBuilder& out, const Text& text, size_t from, size_t to,
                      Letters letters) {
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(to - from) * 2));
  const std::string_view all = text.bytes().substr(0, to).substr(from);
  LetterChanger changer(all, letters);
  size_t at = 0;
  text.pieces(from, to, [&](std::string_view piece, bool trusted) {
    std::string changed;
    changed.reserve(piece.size());
    const size_t end = at + piece.size();
    // A piece ends with a code point: origins change only between them.
    while (at < end) {
      changer.append(changed, at);
      at += decode(all, at).bytes;
    }
    out.append(changed, trusted);
  });
  return out.status();
}

Result<Value> change_letters(Runtime& runtime, const Text& text, Letters letters) {
  TextBuilder out(runtime.budget);
  MILL_TRY_DO(append_letters(runtime, out, text, 0, text.bytes().size(), letters));
  return make_text(out, text.is_markup());
}

bool is_all(const Text& text, bool (*test)(uint32_t)) {
  const std::string_view bytes = text.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const Decoded point = decode(bytes, at);
    if (!test(point.code)) return false;
    at += point.bytes;
  }
  return !bytes.empty();
}

bool has_case(const Text& text, bool upper) {
  const std::string_view bytes = text.bytes();
  bool any = false;
  for (size_t at = 0; at < bytes.size();) {
    const Decoded point = decode(bytes, at);
    if (is_title(point.code) || (upper ? is_lower(point.code) : is_upper(point.code))) return false;
    any = any || (upper ? is_upper(point.code) : is_lower(point.code));
    at += point.bytes;
  }
  return any;
}

std::span<const Method> text_case_methods() {
  static const Method kMethods[] = {
      {"upper", letters_method<Letters::kUpper>},
      {"lower", letters_method<Letters::kLower>},
      {"title", letters_method<Letters::kTitle>},
      {"capitalize", letters_method<Letters::kCapitalize>},
      {"swapcase", letters_method<Letters::kSwap>},
      {"isalnum", all_method<is_alnum>},
      {"isalpha", all_method<is_alpha>},
      {"isdecimal", all_method<is_decimal>},
      {"isdigit", all_method<is_digit>},
      {"isnumeric", all_method<is_numeric>},
      {"isspace", all_method<is_space>},
      {"isascii", is_ascii_method},
      {"isprintable", is_printable_method},
      {"isidentifier", is_identifier_method},
      {"isupper", has_case_method<true>},
      {"islower", has_case_method<false>},
      {"istitle", is_title_method},
  };
  return kMethods;
}

}  // namespace mill::text::jinja
