#include "text/jinja/brace_format.h"

#include <algorithm>

#include "text/jinja/attributes.h"
#include "text/jinja/characters.h"
#include "text/jinja/number_format.h"
#include "text/jinja/repr.h"
#include "text/split/unicode.h"

namespace mill::text::jinja {
namespace {

struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > = ^, or none given
  bool zeros = false;
  int64_t width = 0;
  bool has_sign = false;
  bool has_type = false;
  NumberFormat number;
};

class SpecReader {
 public:
  explicit SpecReader(std::string_view text) : text_(text) {}

  Result<Spec> read() {
    Spec spec;
    read_alignment(spec);
    if (at_ < text_.size() && std::string_view("+- ").find(text_[at_]) != std::string_view::npos) {
      spec.number.sign = text_[at_++];
      spec.has_sign = true;
    }
    spec.number.alternate = skip('#');
    if (skip('0')) {
      spec.zeros = spec.align == '\0';
      if (spec.align == '\0') spec.fill = "0";
    }
    MILL_TRY(spec.width, read_number());
    if (skip(',')) spec.number.thousands = ',';
    if (skip('_')) spec.number.thousands = '_';
    if (skip('.')) {
      const size_t before = at_;
      MILL_TRY(const int64_t precision, read_number());
      if (at_ == before)
        return fail(Code::kInvalid, "ValueError: Format specifier missing precision");
      spec.number.precision = static_cast<int32_t>(precision);
    }
    if (at_ < text_.size()) {
      spec.number.type = text_[at_++];
      spec.has_type = true;
    }
    if (at_ < text_.size()) return fail(Code::kInvalid, "ValueError: Invalid format specifier");
    return spec;
  }

 private:
  bool skip(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  static bool is_alignment(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

  void read_alignment(Spec& spec) {
    if (text_.empty()) return;
    const uint32_t bytes = decode(text_, 0).bytes;
    if (bytes < text_.size() && is_alignment(text_[bytes])) {
      spec.fill = std::string(text_.substr(0, bytes));
      spec.align = text_[bytes];
      at_ = bytes + 1;
    } else if (is_alignment(text_[0])) {
      spec.align = text_[0];
      at_ = 1;
    }
  }

  Result<int64_t> read_number() {
    int64_t number = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      number = number * 10 + (text_[at_] - '0');
      if (number > kMaxFormatWidth) return fail(Code::kTooLarge, "a format's width is too large");
    }
    return number;
  }

  std::string_view text_;
  size_t at_ = 0;
};

tl::unexpected<Error> unknown_type(char type, const Value& value) {
  return fail(Code::kInvalid, std::string("ValueError: Unknown format code '") + type +
                                  "' for object of type '" + type_name(value) + "'");
}

void put_aligned(TextBuilder& out, const Spec& spec, char standard, int64_t length,
                 const std::function<void()>& body) {
  const int64_t padding = std::max<int64_t>(spec.width - length, 0);
  const char align = spec.align == '\0' ? standard : spec.align;
  const int64_t before = align == '>' ? padding : align == '^' ? padding / 2 : 0;
  out.append_times(spec.fill, before, true);
  body();
  out.append_times(spec.fill, padding - before, true);
}

Status put_text(TextBuilder& out, const Spec& spec, const Value& value) {
  const Text& text = value.text();
  if (spec.has_type && spec.number.type != 's') return unknown_type(spec.number.type, value);
  if (spec.align == '=' || spec.has_sign || spec.number.alternate ||
      spec.number.thousands != '\0') {
    return fail(Code::kInvalid, "ValueError: a format for numbers is used for a string");
  }
  const int64_t length =
      std::min<int64_t>(spec.number.precision.value_or(text.length()), text.length());
  put_aligned(out, spec, '<', length, [&] { out.append(text, 0, text.offset_of(length)); });
  return out.status();
}

Status put_number(TextBuilder& out, const Spec& spec, Formatted number) {
  if (spec.zeros) pad_with_zeros(number, static_cast<size_t>(spec.width), spec.number.thousands);
  const auto length = static_cast<int64_t>(number.sign.size() + number.digits.size());
  if (spec.align == '=') {
    out.append(number.sign, true);
    out.append_times(spec.fill, spec.width - length, true);
    out.append(number.digits, true);
    return out.status();
  }
  put_aligned(out, spec, '>', length, [&] { out.append(number.sign + number.digits, true); });
  return out.status();
}

Status put_whole(TextBuilder& out, Spec spec, const Value& value) {
  const char type = spec.has_type ? spec.number.type : 'd';
  if (std::string_view("eEfFgG%").find(type) != std::string_view::npos) {
    return put_number(out, spec, format_real(value.real(), spec.number));
  }
  if (spec.number.precision)
    return fail(Code::kInvalid, "ValueError: Precision not allowed in integer format specifier");
  if (type == 'c') {
    if (value.whole() < 0 || value.whole() > 0x10FFFF)
      return fail(Code::kInvalid, "OverflowError: %c arg not in range(0x110000)");
    std::string bytes;
    append_utf8(bytes, static_cast<uint32_t>(value.whole()));
    put_aligned(out, spec, '<', 1, [&] { out.append(bytes, false); });
    return out.status();
  }
  if (std::string_view("bdnoxX").find(type) == std::string_view::npos)
    return unknown_type(type, value);
  spec.number.type = type;
  return put_number(out, spec, format_whole(value.whole(), spec.number));
}

Status put_real(TextBuilder& out, Spec spec, const Value& value) {
  if (!spec.has_type) {
    spec.number.type = 'r';
  } else if (spec.number.type == 'n') {
    spec.number.type = 'g';
  } else if (std::string_view("eEfFgG%").find(spec.number.type) == std::string_view::npos) {
    return unknown_type(spec.number.type, value);
  }
  return put_number(out, spec, format_real(value.real(), spec.number));
}

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const Text& format, const Arguments& arguments)
      : runtime_(runtime), arguments_(arguments), markup_(format.is_markup()) {}

  // `levels` of fields within fields are allowed.
  Status run(const Text& format, int levels, TextBuilder& out) {
    const std::string_view bytes = format.bytes();
    if (levels < 0) return fail(Code::kInvalid, "ValueError: Max string recursion exceeded");
    for (size_t at = 0; at < bytes.size();) {
      const size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
      out.append(format, at, brace);
      if (brace == bytes.size()) break;
      if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
        out.append(format, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (bytes[brace] == '}')
        return fail(Code::kInvalid, "ValueError: Single '}' encountered in format string");
      MILL_TRY(const size_t end, end_of_field(bytes, brace + 1));
      MILL_TRY_DO(put_field(bytes.substr(brace + 1, end - brace - 1), levels, out));
      at = end + 1;
    }
    return out.status();
  }

 private:
  static Result<size_t> end_of_field(std::string_view bytes, size_t at) {
    int open = 1;
    bool bracket = false;
    for (; at < bytes.size(); ++at) {
      if (bytes[at] == '[') bracket = true;
      if (bytes[at] == ']') bracket = false;
      if (bracket) continue;
      open += bytes[at] == '{' ? 1 : bytes[at] == '}' ? -1 : 0;
      if (open == 0) return at;
    }
    return fail(Code::kInvalid, "ValueError: expected '}' before end of string");
  }

  Status put_field(std::string_view field, int levels, TextBuilder& out) {
    MILL_TRY_DO(runtime_.budget.spend(1));
    size_t end = 0;
    bool bracket = false;
    for (; end < field.size(); ++end) {
      if (field[end] == '[') bracket = true;
      if (field[end] == ']') bracket = false;
      if (!bracket && (field[end] == ':' || field[end] == '!')) break;
    }
    MILL_TRY(Value value, value_of(field.substr(0, end)));
    std::string_view rest = field.substr(end);
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':'))
        return fail(Code::kInvalid, "ValueError: expected ':' after conversion specifier");
      MILL_TRY(value, converted(value, rest[1]));
      rest.remove_prefix(2);
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    TextBuilder spec(runtime_.budget);
    Text spec_text(std::string(rest), true);
    spec_text.measure();
    MILL_TRY_DO(run(spec_text, levels - 1, spec));
    MILL_TRY(const Text made, spec.take());
    return put_value(value, made.bytes(), out);
  }

  Status put_value(const Value& value, std::string_view spec, TextBuilder& out) {
    if (!markup_) return append_formatted(runtime_, out, value, spec);
    if (value.is_text() && value.text().is_markup()) {
      if (!spec.empty())
        return fail(Code::kInvalid, "ValueError: Unsupported format specification for Markup.");
      out.append(value.text());
      return out.status();
    }
    TextBuilder plain(runtime_.budget);
    MILL_TRY_DO(append_formatted(runtime_, plain, value, spec));
    MILL_TRY(const Text text, plain.take());
    append_escaped(out, text);
    return out.status();
  }

  Result<Value> converted(const Value& value, char conversion) {
    TextBuilder out(runtime_.budget);
    if (conversion == 's') return to_str(runtime_, value);
    if (conversion != 'r' && conversion != 'a') {
      return fail(Code::kInvalid,
                  std::string("ValueError: Unknown conversion specifier ") + conversion);
    }
    MILL_TRY_DO(append_repr(runtime_, out, value, conversion == 'a'));
    return make_text(out);
  }

  Result<Value> first_value(std::string_view name) {
    const bool number =
        !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
    if (name.empty() || number) {
      if ((name.empty() ? manual_ : automatic_ > 0)) {
        return fail(Code::kInvalid,
                    "ValueError: cannot switch between manual field specification and automatic "
                    "field numbering");
      }
      manual_ = manual_ || number;
      size_t index = name.empty() ? automatic_++ : 0;
      for (const char c : name) index = std::min<size_t>(index * 10 + (c - '0'), size_t{1} << 30);
      if (index >= arguments_.positional.size()) {
        return fail(Code::kInvalid,
                    "IndexError: Replacement index " + std::to_string(index) + " out of range");
      }
      return arguments_.positional[index];
    }
    for (const auto& [known, value] : arguments_.named) {
      if (known == name) return value;
    }
    return fail(Code::kInvalid, "KeyError: '" + std::string(name) + "'");
  }

  Result<Value> value_of(std::string_view path) {
    size_t at = std::min(path.find_first_of(".["), path.size());
    MILL_TRY(Value value, first_value(path.substr(0, at)));
    while (at < path.size()) {
      const bool attribute = path[at] == '.';
      if (!attribute && path[at] != '[')
        return fail(Code::kInvalid,
                    "ValueError: Only '.' or '[' may follow ']' in format field specifier");
      const size_t end =
          attribute ? std::min(path.find_first_of(".[", at + 1), path.size()) : path.find(']', at);
      if (end == std::string_view::npos || end == at + 1)
        return fail(Code::kInvalid, "ValueError: Empty attribute in format string");
      const std::string_view part = path.substr(at + 1, end - at - 1);
      const bool number =
          part.find_first_not_of("0123456789") == std::string_view::npos && part.size() < 18;
      if (attribute) {
        MILL_TRY(value, get_attribute(runtime_, value, part));
      } else {
        MILL_TRY(value, get_item(runtime_, value,
                                 number ? Value::integer(std::stoll(std::string(part)))
                                        : Value::text(part)));
      }
      at = attribute ? end : end + 1;
    }
    return value;
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  const bool markup_;
  size_t automatic_ = 0;
  bool manual_ = false;
};

}  // namespace

Status append_formatted(Runtime& runtime, TextBuilder& out, const Value& value,
                        std::string_view spec_text) {
  if (spec_text.empty()) return append_str(runtime, out, value);
  MILL_TRY(const Spec spec, SpecReader(spec_text).read());
  if (value.is_text()) return put_text(out, spec, value);
  if (value.is_whole()) return put_whole(out, spec, value);
  if (value.is_number()) return put_real(out, spec, value);
  return fail(Code::kInvalid,
              "TypeError: unsupported format string passed to " + type_name(value) + ".__format__");
}

Result<Value> brace_format(Runtime& runtime, const Text& format, const Arguments& arguments) {
  TextBuilder out(runtime.budget);
  MILL_TRY_DO(BraceFormatter(runtime, format, arguments).run(format, 2, out));
  return make_text(out, format.is_markup());
}

}  // namespace mill::text::jinja
