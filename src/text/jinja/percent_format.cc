#include "text/jinja/percent_format.h"

#include <algorithm>

#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/number_format.h"
#include "text/jinja/repr.h"
#include "text/split/unicode.h"

namespace mill::text::jinja {
namespace {

struct Conversion {
  std::optional<std::string> key;
  bool left = false, zeros = false;
  NumberFormat number;
  int64_t width = 0;
  std::optional<int32_t> precision;
  char type = 's';
};

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const Text& format, const Value& arguments)
      : runtime_(runtime),
        format_(format),
        bytes_(format.bytes()),
        out_(runtime.budget),
        arguments_(arguments) {
    if (arguments.is(Kind::kTuple)) {
      values_ = arguments.sequence().items;
    } else {
      values_ = {arguments};
    }
    mapping_ = arguments.is(Kind::kDict);
  }

  Result<Value> run() {
    while (at_ < bytes_.size()) {
      const size_t percent = std::min(bytes_.find('%', at_), bytes_.size());
      out_.append(format_, at_, percent);
      if (percent == bytes_.size()) break;
      trusted_ = format_.trusted_at(percent);
      at_ = percent + 1;
      MILL_TRY_DO(convert());
    }
    // What can be asked for items by name or number counts as a mapping that need not be used.
    const bool mapping = mapping_ || arguments_.is(Kind::kList) || arguments_.is(Kind::kRange) ||
                         arguments_.undefined();
    if (next_ < values_.size() && !mapping) {
      return fail(Code::kInvalid,
                  "TypeError: not all arguments converted during string formatting");
    }
    return make_text(out_, format_.is_markup());
  }

 private:
  bool more() const { return at_ < bytes_.size(); }

  Result<Conversion> read() {
    Conversion c;
    if (more() && bytes_[at_] == '(') {
      int open = 1;
      const size_t start = ++at_;
      for (; more() && open > 0; ++at_)
        open += bytes_[at_] == '(' ? 1 : bytes_[at_] == ')' ? -1 : 0;
      if (open > 0) return fail(Code::kInvalid, "ValueError: incomplete format key");
      c.key = std::string(bytes_.substr(start, at_ - 1 - start));
    }
    for (; more(); ++at_) {
      const char flag = bytes_[at_];
      if (flag == '-')
        c.left = true;
      else if (flag == '+')
        c.number.sign = '+';
      else if (flag == ' ')
        c.number.sign = c.number.sign == '+' ? '+' : ' ';
      else if (flag == '#')
        c.number.alternate = true;
      else if (flag == '0')
        c.zeros = true;
      else
        break;
    }
    MILL_TRY(c.width, read_number());
    if (c.width < 0) {
      c.left = true;
      c.width = -c.width;
    }
    if (more() && bytes_[at_] == '.') {
      ++at_;
      MILL_TRY(const int64_t precision, read_number());
      c.precision = static_cast<int32_t>(std::max<int64_t>(precision, 0));
    }
    while (more() && (bytes_[at_] == 'l' || bytes_[at_] == 'h' || bytes_[at_] == 'L')) ++at_;
    if (!more()) return fail(Code::kInvalid, "ValueError: incomplete format");
    c.type = bytes_[at_++];
    return c;
  }

  Result<int64_t> read_number() {
    int64_t number = 0;
    if (more() && bytes_[at_] == '*') {
      ++at_;
      MILL_TRY(const Value width, next_value());
      if (!width.is_whole()) return fail(Code::kInvalid, "TypeError: * wants int");
      number = static_cast<int64_t>(
          std::clamp<Wide>(width.whole(), -kMaxFormatWidth - 1, kMaxFormatWidth + 1));
    } else {
      for (; more() && bytes_[at_] >= '0' && bytes_[at_] <= '9'; ++at_) {
        number = std::min<int64_t>(number * 10 + (bytes_[at_] - '0'), kMaxFormatWidth + 1);
      }
    }
    if (std::abs(number) > kMaxFormatWidth)
      return fail(Code::kTooLarge, "a format's width is too large");
    return number;
  }

  Result<Value> next_value() {
    if (next_ >= values_.size()) {
      return fail(Code::kInvalid, "TypeError: not enough arguments for format string");
    }
    return values_[next_++];
  }

  Result<Value> value_of(const Conversion& c) {
    if (!c.key) return next_value();
    if (!mapping_) return fail(Code::kInvalid, "TypeError: format requires a mapping");
    const Value* found = arguments_.dict().find(*c.key);
    if (!found) return fail(Code::kInvalid, "KeyError: '" + *c.key + "'");
    return *found;
  }

  Status convert() {
    MILL_TRY_DO(runtime_.budget.spend(1));
    MILL_TRY(Conversion c, read());
    if (c.type == '%') {
      out_.append("%", trusted_);
      return {};
    }
    MILL_TRY(const Value value, value_of(c));
    switch (c.type) {
      case 's':
      case 'r':
      case 'a':
        return put_string(c, value);
      case 'c':
        return put_character(c, value);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return put_whole(c, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return put_real(c, value);
      default:
        return fail(Code::kInvalid,
                    std::string("ValueError: unsupported format character '") + c.type + "'");
    }
  }

  Status put_string(const Conversion& c, const Value& value) {
    TextBuilder text(runtime_.budget);
    if (c.type == 's') {
      MILL_TRY_DO(append_str(runtime_, text, value));
    } else {
      MILL_TRY_DO(append_repr(runtime_, text, value, c.type == 'a'));
    }
    MILL_TRY(Text made, text.take());
    if (format_.is_markup() && !(c.type == 's' && value.is_text() && value.text().is_markup())) {
      TextBuilder escaped(runtime_.budget);
      append_escaped(escaped, made);
      MILL_TRY(made, escaped.take());
    }
    put_padded(c, made);
    return {};
  }

  void put_padded(const Conversion& c, const Text& text) {
    const int64_t length =
        c.precision ? std::min<int64_t>(*c.precision, text.length()) : text.length();
    const int64_t padding = std::max<int64_t>(c.width - length, 0);
    if (!c.left) out_.append_times(" ", padding, trusted_);
    out_.append(text, 0, text.offset_of(length));
    if (c.left) out_.append_times(" ", padding, trusted_);
  }

  Status put_character(const Conversion& c, const Value& value) {
    if (value.is_text() && value.text().length() == 1) {
      put_padded(c, value.text());
      return {};
    }
    if (!value.is_whole() || value.whole() < 0 || value.whole() > 0x10FFFF) {
      return fail(Code::kInvalid, "TypeError: %c requires int or char");
    }
    std::string bytes;
    append_utf8(bytes, static_cast<uint32_t>(value.whole()));
    Text text(std::move(bytes), false);  // a number of the request may spell any character
    text.measure();
    put_padded(c, text);
    return {};
  }

  Status put_whole(Conversion& c, const Value& value) {
    const bool decimal = c.type == 'd' || c.type == 'i' || c.type == 'u';
    if (value.undefined()) return use_of_undefined(value);
    Wide whole = 0;
    if (value.is_whole()) {
      whole = value.whole();
    } else if (decimal && value.is(Kind::kFloat)) {
      if (!(std::abs(value.real()) < 1.8e19))
        return fail(Code::kInvalid, "OverflowError: cannot convert float to integer");
      whole = static_cast<Wide>(value.real());
    } else {
      return fail(Code::kInvalid, std::string("TypeError: %") + c.type +
                                      " format: a number is required, not " + type_name(value));
    }
    c.number.type = decimal ? 'd' : c.type;
    Formatted number = format_whole(whole, c.number);
    if (c.precision) {
      const auto digits = static_cast<size_t>(*c.precision);
      if (number.digits.size() < digits)
        number.digits.insert(0, digits - number.digits.size(), '0');
    }
    put_number(c, number);
    return {};
  }

  Status put_real(Conversion& c, const Value& value) {
    if (value.undefined()) return use_of_undefined(value);
    if (!value.is_number()) {
      return fail(Code::kInvalid, "TypeError: must be real number, not " + type_name(value));
    }
    c.number.type = c.type;
    c.number.precision = c.precision;
    Formatted number = format_real(value.real(), c.number);
    put_number(c, number);
    return {};
  }

  void put_number(const Conversion& c, Formatted& number) {
    if (c.zeros && !c.left) pad_with_zeros(number, static_cast<size_t>(c.width), '\0');
    const auto size = static_cast<int64_t>(number.sign.size() + number.digits.size());
    const int64_t padding = std::max<int64_t>(c.width - size, 0);
    if (!c.left) out_.append_times(" ", padding, trusted_);
    out_.append(number.sign + number.digits, true);
    if (c.left) out_.append_times(" ", padding, trusted_);
  }

  Runtime& runtime_;
  const Text& format_;
  const std::string_view bytes_;
  TextBuilder out_;
  const Value& arguments_;
  Items values_;
  size_t next_ = 0;
  size_t at_ = 0;
  bool mapping_ = false;
  bool trusted_ = true;  // origin of the conversion at hand
};

}  // namespace

Result<Value> percent_format(Runtime& runtime, const Text& format, const Value& arguments) {
  return PercentFormatter(runtime, format, arguments).run();
}

}  // namespace mill::text::jinja
