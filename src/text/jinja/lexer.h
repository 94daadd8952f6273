// The source of a template as tokens: Jinja2's lexer with trim_blocks and lstrip_blocks on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mill::text::jinja {

enum class TokenKind : uint8_t {
  kData,           // text between tags, white space already trimmed
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // unescaped
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  int32_t line;
  std::string text;      // of data, names, strings and operators
  uint64_t integer = 0;  // of kInteger
  double real = 0;       // of kFloat
};

// The last token is kEnd. Fails with kInvalid (the line and what is wrong).
Result<std::vector<Token>> tokenize(std::string_view source);

tl::unexpected<Error> syntax_error(int32_t line, std::string_view what);

}  // namespace mill::text::jinja
