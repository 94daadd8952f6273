// A chat template: an own, sandboxed subset of Jinja2 as the model hubs use it, compiled once and rendered per request.
//
// Byte for byte what the reference jinja2 renders in its sandbox with trim_blocks, lstrip_blocks and the hub's extensions. No access
// to anything but the variables given; budgets on steps, output bytes and recursion bound every rendering.
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
  int64_t steps = 10'000'000;
  int64_t output_bytes = 64 << 20;
  int32_t depth = 200;             // nesting of blocks, expressions and macro calls
  int64_t source_bytes = 1 << 20;
};

// A rendering, cut where its origin changes. text() is all of it; spans() view into it.
class Rendered {
 public:
  const std::string& text() const { return text_; }
  std::vector<TextSpan> spans() const;
  void append(std::string_view text, bool trusted);

 private:
  struct Cut { size_t end; bool trusted; };
  std::string text_;
  std::vector<Cut> cuts_;
};

class ChatTemplate {
 public:
  // Fails with kInvalid (line and what is wrong) or kUnsupported (the construct, by name).
  static Result<ChatTemplate> compile(std::string_view source, TemplateLimits limits = {});

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Renders with `variables` (messages, tools, bos_token, eos_token, add_generation_prompt, …). Every string that comes from
  // `messages`, `tools`, `documents` or any other variable except bos_token and eos_token is untrusted, and so is what is computed
  // from it. `unix_time` (UTC) feeds strftime_now. Fails with kInvalid when the template raises, kTooLarge over a budget.
  Result<Rendered> render(const boost::json::object& variables, int64_t unix_time) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mill::text
