#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "text/jinja/characters.h"
#include "text/jinja/string_literal.h"

namespace mill::text::jinja {
namespace {

constexpr std::array<std::string_view, 26> kOperators = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

// \r\n and \r become \n, and one newline at the very end is dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out.push_back(source[i]);
      continue;
    }
    out.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  Result<std::vector<Token>> run() {
    while (at_ < rest_.size()) MILL_TRY_DO(root());
    push(TokenKind::kEnd);
    return std::move(tokens_);
  }

 private:
  void push(TokenKind kind, std::string text = {}) {
    tokens_.push_back({kind, line_, std::move(text)});
  }
  bool looking_at(std::string_view what) const { return rest_.substr(at_).starts_with(what); }
  void advance(size_t to) {
    line_ += static_cast<int32_t>(std::count(rest_.begin() + at_, rest_.begin() + to, '\n'));
    if (to > at_) line_starting_ = rest_[to - 1] == '\n';
    at_ = to;
  }
  size_t past_spaces(size_t from) const {
    while (from < rest_.size()) {
      const Decoded point = decode(rest_, from);
      if (!is_space(point.code)) break;
      from += point.bytes;
    }
    return from;
  }

  // The end of a tag at `at`: +X, -X and white space, X and (if it trims) one newline.
  std::optional<size_t> end_of_tag(size_t at, std::string_view end, bool plus, bool trims) const {
    const std::string_view here = rest_.substr(at);
    if (here.starts_with('-') && here.substr(1).starts_with(end))
      return past_spaces(at + 1 + end.size());
    if (plus && here.starts_with('+') && here.substr(1).starts_with(end))
      return at + 1 + end.size();
    if (!here.starts_with(end)) return std::nullopt;
    at += end.size();
    return trims && at < rest_.size() && rest_[at] == '\n' ? at + 1 : at;
  }

  // The text before a tag, whose white space the tag's sign may strip.
  void push_data(size_t tag, char sign, bool variable) {
    std::string_view text = rest_.substr(at_, tag - at_);
    if (sign == '-') {
      while (!text.empty()) {
        const Decoded last = decode_before(text, text.size());
        if (!is_space(last.code)) break;
        text.remove_suffix(last.bytes);
      }
    } else if (sign != '+' && !variable) {
      const size_t newline = text.rfind('\n');
      const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((start > 0 || line_starting_) && past_spaces(at_ + start) >= tag)
        text = text.substr(0, start);
    }
    if (!text.empty()) push(TokenKind::kData, std::string(text));
  }

  Status root() {
    size_t tag = at_;
    for (;; ++tag) {
      tag = rest_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= rest_.size()) {
        push(TokenKind::kData, std::string(rest_.substr(at_)));
        advance(rest_.size());
        return {};
      }
      const char kind = rest_[tag + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
    }
    const char next = tag + 2 < rest_.size() ? rest_[tag + 2] : ' ';
    const char sign = next == '-' || next == '+' ? next : ' ';
    const char kind = rest_[tag + 1];
    const size_t inside = tag + (sign == ' ' ? 2 : 3);
    if (kind == '%') {
      if (const auto body = start_of_raw(inside)) return raw(tag, sign, *body);
    }
    push_data(tag, sign, kind == '{');
    advance(inside);
    if (kind == '#') return comment();
    push(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin);
    return kind == '{' ? inside_tag(TokenKind::kVariableEnd, "}}")
                       : inside_tag(TokenKind::kBlockEnd, "%}");
  }

  // The reference takes no offence at a source that ends right after the tag that opens.
  Status unclosed(std::string_view what) {
    if (at_ < rest_.size()) return syntax_error(line_, what);
    return {};
  }

  Status comment() {
    for (size_t end = at_;; ++end) {
      end = rest_.find('#', end);
      if (end == std::string_view::npos) return unclosed("Missing end of comment tag");
      if (end + 1 >= rest_.size() || rest_[end + 1] != '}') continue;
      const bool sign = end > at_ && (rest_[end - 1] == '-' || rest_[end - 1] == '+');
      advance(*end_of_tag(sign ? end - 1 : end, "#}", true, true));
      return {};
    }
  }

  // Where the text of a raw block starts, if the tag that goes on at `inside` opens one.
  std::optional<size_t> start_of_raw(size_t inside) const {
    const size_t word = past_spaces(inside);
    if (!rest_.substr(word).starts_with("raw")) return std::nullopt;
    return end_of_tag(past_spaces(word + 3), "%}", false, false);
  }

  Status raw(size_t tag, char sign, size_t body) {
    push_data(tag, sign, false);
    advance(body);
    for (size_t end = at_;; ++end) {
      end = rest_.find("{%", end);
      if (end == std::string_view::npos) return unclosed("Missing end of raw directive");
      const char next = end + 2 < rest_.size() ? rest_[end + 2] : ' ';
      const char end_sign = next == '-' || next == '+' ? next : ' ';
      const size_t word = past_spaces(end + (end_sign == ' ' ? 2 : 3));
      if (!rest_.substr(word).starts_with("endraw")) continue;
      const auto past = end_of_tag(past_spaces(word + 6), "%}", true, true);
      if (!past) continue;
      push_data(end, end_sign, false);
      advance(*past);
      return {};
    }
  }

  Status inside_tag(TokenKind end_kind, std::string_view end) {
    const bool block = end_kind == TokenKind::kBlockEnd;
    std::string open;  // the brackets that are not closed yet
    while (at_ < rest_.size()) {
      if (open.empty()) {
        if (const auto past = end_of_tag(at_, end, block, block)) {
          push(end_kind);
          advance(*past);
          return {};
        }
      }
      const size_t spaces = past_spaces(at_);
      if (spaces > at_) {
        advance(spaces);
        continue;
      }
      MILL_TRY_DO(one_token(open));
    }
    return {};
  }

  Status one_token(std::string& open) {
    const char c = rest_[at_];
    if (is_ascii_digit(c)) return number();
    if (c == '\'' || c == '"') return string();
    const Decoded point = decode(rest_, at_);
    if (c == '_' || is_alnum(point.code)) return name();
    for (const std::string_view op : kOperators) {
      if (!looking_at(op)) continue;
      MILL_TRY_DO(balance(op[0], open));
      push(TokenKind::kOperator, std::string(op));
      advance(at_ + op.size());
      return {};
    }
    return syntax_error(line_,
                        "unexpected char '" + std::string(rest_.substr(at_, point.bytes)) + "'");
  }

  Status balance(char c, std::string& open) const {
    if (c == '(') open.push_back(')');
    if (c == '[') open.push_back(']');
    if (c == '{') open.push_back('}');
    if (c != ')' && c != ']' && c != '}') return {};
    if (open.empty()) return syntax_error(line_, std::string("unexpected '") + c + "'");
    const char expected = open.back();
    open.pop_back();
    if (expected == c) return {};
    return syntax_error(line_, std::string("unexpected '") + c + "', expected '" + expected + "'");
  }

  Status name() {
    size_t end = at_;
    while (end < rest_.size()) {
      const Decoded point = decode(rest_, end);
      if (point.code != '_' && !is_alnum(point.code)) break;
      end += point.bytes;
    }
    const Decoded first = decode(rest_, at_);
    if (first.code != '_' && !is_alpha(first.code)) {
      return syntax_error(line_, "Invalid character in identifier");
    }
    push(TokenKind::kName, std::string(rest_.substr(at_, end - at_)));
    advance(end);
    return {};
  }

  Status string() {
    const char quote = rest_[at_];
    size_t end = at_ + 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return syntax_error(line_, "a string is not closed");
    auto text = unescape(rest_.substr(at_ + 1, end - at_ - 1));
    if (!text) return syntax_error(line_, text.error().message);
    push(TokenKind::kString, std::move(*text));
    advance(end + 1);
    return {};
  }

  // Past digits with single underscores between them; `from` itself when there is none.
  size_t past_digits(size_t from) const {
    size_t at = from;
    while (at < rest_.size()) {
      if (is_ascii_digit(rest_[at])) {
        ++at;
      } else if (rest_[at] == '_' && at > from && at + 1 < rest_.size() &&
                 is_ascii_digit(rest_[at + 1])) {
        at += 2;
      } else {
        break;
      }
    }
    return at;
  }

  // The end of a float at the current place, if one stands here.
  std::optional<size_t> end_of_float() const {
    if (at_ > 0 && rest_[at_ - 1] == '.') return std::nullopt;
    const size_t whole = past_digits(at_);
    size_t fraction = whole;
    if (whole < rest_.size() && rest_[whole] == '.') {
      fraction = past_digits(whole + 1);
      if (fraction == whole + 1) fraction = whole;
    }
    if (fraction < rest_.size() && (rest_[fraction] | 32) == 'e') {
      size_t digits = fraction + 1;
      if (digits < rest_.size() && (rest_[digits] == '+' || rest_[digits] == '-')) ++digits;
      const size_t exponent = past_digits(digits);
      if (exponent > digits) return exponent;
    }
    if (fraction == whole) return std::nullopt;
    return fraction;
  }

  Status number() {
    if (const auto end = end_of_float()) {
      std::string digits(rest_.substr(at_, *end - at_));
      std::erase(digits, '_');
      Token token{TokenKind::kFloat, line_, {}};
      const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), token.real);
      if (read.ec == std::errc::result_out_of_range)
        token.real = std::strtod(digits.c_str(), nullptr);
      tokens_.push_back(std::move(token));
      advance(*end);
      return {};
    }
    return integer();
  }

  Status integer() {
    int base = 10;
    size_t start = at_, end = at_;
    if (rest_[at_] == '0' && at_ + 1 < rest_.size()) {
      const char letter = static_cast<char>(rest_[at_ + 1] | 32);
      base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    }
    const auto digit = [base](char c) {
      const int value = is_ascii_digit(c) ? c - '0' : (c | 32) >= 'a' ? (c | 32) - 'a' + 10 : 99;
      return value < base;
    };
    if (base != 10) start = end = at_ + 2;
    const bool zeros = base == 10 && rest_[at_] == '0';
    while (end < rest_.size()) {
      const size_t next = rest_[end] == '_' && (end > start || base != 10) ? end + 1 : end;
      if (next >= rest_.size() || !digit(rest_[next]) || (zeros && rest_[next] != '0')) break;
      end = next + 1;
    }
    if (end == start) {  // 0x without digits is 0 and a name
      base = 10;
      start = at_;
      end = at_ + 1;
    }
    std::string digits(rest_.substr(start, end - start));
    std::erase(digits, '_');
    Token token{TokenKind::kInteger, line_, {}};
    const auto read =
        std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, base);
    if (read.ec != std::errc()) return syntax_error(line_, "an integer does not fit in 64 bits");
    tokens_.push_back(std::move(token));
    advance(end);
    return {};
  }

  std::string source_;
  std::string_view rest_;  // all of source_
  size_t at_ = 0;
  int32_t line_ = 1;
  bool line_starting_ = true;  // what was read last ended a line
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  return Lexer(normalized(source)).run();
}

tl::unexpected<Error> syntax_error(int32_t line, std::string_view what) {
  return fail(Code::kInvalid, "line " + std::to_string(line) + ": " + std::string(what));
}

}  // namespace mill::text::jinja
