// A chat template: an own, sandboxed subset of Jinja2 as the model hubs use it, compiled once and
// rendered per request.
//
// Byte for byte what the reference (jinja2 3.1 in its immutable sandbox, with trim_blocks,
// lstrip_blocks, loop controls, the generation tag and the tojson of Hugging Face transformers)
// renders; what it raises is an error here too. No access to anything but the variables given;
// budgets on steps, output bytes and nesting bound every rendering.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace mill::text {

struct TemplateLimits {
  // A statement, an expression, an item looked at or 32 bytes made are a step each: 10 million are
  // about a second and at most a few hundred MiB.
  int64_t steps = 10'000'000;
  int64_t output_bytes = 64 << 20;
  int32_t depth = 200;  // of the source (blocks and expressions), of values, of macro calls: each
  int64_t source_bytes = 1 << 20;
};

// A rendering, cut where its origin changes. text() is all of it; spans() view into it.
class Rendered {
 public:
  const std::string& text() const { return text_; }
  std::vector<TextSpan> spans() const;
  void append(std::string_view text, bool trusted);

 private:
  struct Cut {
    size_t end;
    bool trusted;
  };
  std::string text_;
  std::vector<Cut> cuts_;
};

// Immutable once compiled; any number of threads may render it at once.
class ChatTemplate {
 public:
  // Fails with kInvalid (line and what is wrong), kUnsupported (the construct, by name) or
  // kTooLarge (source or nesting over the limits).
  static Result<ChatTemplate> compile(std::string_view source, TemplateLimits limits = {});

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Renders with `variables` (messages, tools, bos_token, eos_token, add_generation_prompt, …).
  //
  // Bytes are trusted when the template wrote them (its text, its string literals, numbers) or when
  // they come from bos_token and eos_token. Every other string of `variables` is untrusted, and so
  // is what is computed from it: strings carry the origin of each byte through concatenation,
  // slicing, splitting, stripping, replacing, joining, changes of case and formatting; the JSON or
  // repr of a container is untrusted as a whole when one string in it is. One exception: the role
  // of a message, where it is exactly system, developer, user, assistant, tool or function, because
  // templates spell control tokens with it ('<|' + message.role + '|>').
  //
  // `unix_time` (UTC) feeds strftime_now. Fails with kInvalid when the template raises or uses a
  // value wrongly, kUnsupported (the filter or method, by name), kTooLarge over a budget; the
  // message names the line of the template.
  Result<Rendered> render(const boost::json::object& variables, int64_t unix_time) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mill::text
