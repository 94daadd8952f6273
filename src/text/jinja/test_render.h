// For tests: one template rendered in one call.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "text/chat_template.h"

namespace mill::text::jinja {

inline constexpr int64_t kTestNow = 1768465800;  // 2026-01-15 08:30 UTC

inline Result<Rendered> try_render(std::string_view source, std::string_view variables = "{}",
                                   TemplateLimits limits = {}) {
  MILL_TRY(const ChatTemplate made, ChatTemplate::compile(source, limits));
  boost::json::parse_options options;
  options.max_depth = 10'000;
  return made.render(boost::json::parse(variables, {}, options).as_object(), kTestNow);
}

// The text, or "error: " and the message.
inline std::string render(std::string_view source, std::string_view variables = "{}") {
  const auto rendered = try_render(source, variables);
  return rendered ? rendered->text() : "error: " + rendered.error().message;
}

// "[trusted](untrusted)": a rendering with its origins.
inline std::string origins(std::string_view source, std::string_view variables = "{}") {
  const auto rendered = try_render(source, variables);
  if (!rendered) return "error: " + rendered.error().message;
  std::string out;
  for (const TextSpan& span : rendered->spans()) {
    out += span.trusted ? "[" : "(";
    out += span.text;
    out += span.trusted ? "]" : ")";
  }
  return out;
}

}  // namespace mill::text::jinja
