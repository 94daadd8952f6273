#include "text/jinja/string_literal.h"

#include <fmt/format.h>

#include <optional>

#include "text/jinja/characters.h"
#include "text/split/unicode.h"

namespace mill::text::jinja {
namespace {

std::optional<uint32_t> read_hex(std::string_view text, size_t at, size_t digits) {
  if (at + digits > text.size()) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    const char c = text[i];
    const char low = static_cast<char>(c | 32);
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (low >= 'a' && low <= 'f') {
      value = value * 16 + (low - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

char simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return '\0';
  }
}

void append_escaped(std::string& out, uint32_t code) {
  auto to = std::back_inserter(out);
  if (code < 0x100) {
    fmt::format_to(to, "\\x{:02x}", code);
  } else if (code < 0x10000) {
    fmt::format_to(to, "\\u{:04x}", code);
  } else {
    fmt::format_to(to, "\\U{:08x}", code);
  }
}

// One escape; `at` stands on the letter after the backslash and moves past what was read.
Status unescape_one(std::string_view text, size_t& at, std::string& out) {
  const char c = text[at];
  if (const char simple = simple_escape(c)) {
    out.push_back(simple);
    ++at;
    return {};
  }
  if (c == '\n') {
    ++at;
    return {};
  }
  if (c >= '0' && c <= '7') {
    uint32_t code = 0;
    for (int digits = 0; digits < 3 && at < text.size() && text[at] >= '0' && text[at] <= '7';
         ++digits) {
      code = code * 8 + (text[at++] - '0');
    }
    append_utf8(out, code);
    return {};
  }
  if (c == 'x' || c == 'u' || c == 'U') {
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    const auto code = read_hex(text, at + 1, digits);
    if (!code || *code > 0x10FFFF)
      return fail(Code::kInvalid, "a string has a broken \\x, \\u or \\U escape");
    if (*code >= 0xD800 && *code < 0xE000)
      return fail(Code::kUnsupported, "a string has a surrogate escape");
    append_utf8(out, *code);
    at += digits + 1;
    return {};
  }
  if (c == 'N')
    return fail(Code::kUnsupported, "a string has a \\N{…} escape, which is not supported");
  out.push_back('\\');
  const Decoded point = decode(text, at);
  if (point.code < 0x80) {
    out.push_back(c);
  } else {
    // The reference escapes what is not ASCII before it unescapes: the two backslashes become one.
    std::string escaped;
    append_escaped(escaped, point.code);
    out.append(escaped, 1);
  }
  at += point.bytes;
  return {};
}

}  // namespace

Result<std::string> unescape(std::string_view literal) {
  std::string out;
  out.reserve(literal.size());
  for (size_t at = 0; at < literal.size();) {
    if (literal[at] != '\\') {
      out.push_back(literal[at++]);
      continue;
    }
    ++at;
    if (at >= literal.size()) return fail(Code::kInvalid, "a string ends in a backslash");
    MILL_TRY_DO(unescape_one(literal, at, out));
  }
  return out;
}

void append_quoted(std::string& out, std::string_view text, bool ascii_only) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out.push_back(quote);
  for (size_t at = 0; at < text.size();) {
    const Decoded point = decode(text, at);
    const uint32_t code = point.code;
    if (code == static_cast<uint32_t>(quote) || code == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(code));
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (is_printable(code) && !(ascii_only && code >= 0x80)) {
      out.append(text.substr(at, point.bytes));
    } else {
      append_escaped(out, code);
    }
    at += point.bytes;
  }
  out.push_back(quote);
}

}  // namespace mill::text::jinja
