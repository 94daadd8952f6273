#include "text/chat_template.h"

#include <boost/json.hpp>

#include "text/jinja/interpreter.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"
#include "text/jinja/scopes.h"
#include "text/split/unicode.h"

namespace mill::text {
namespace {

// Of a short conversation.
constexpr size_t kUsualBytes = 512, kUsualCuts = 16;

}  // namespace

void Rendered::append(std::string_view text, bool trusted) {
  if (text.empty()) return;
  if (text_.empty()) {
    text_.reserve(kUsualBytes);
    cuts_.reserve(kUsualCuts);
  }
  text_.append(text);
  if (!cuts_.empty() && cuts_.back().trusted == trusted) {
    cuts_.back().end = text_.size();
  } else {
    cuts_.push_back({text_.size(), trusted});
  }
}

std::vector<TextSpan> Rendered::spans() const {
  std::vector<TextSpan> spans;
  spans.reserve(cuts_.size());
  size_t start = 0;
  for (const Cut& cut : cuts_) {
    spans.push_back({std::string_view(text_).substr(start, cut.end - start), cut.trusted});
    start = cut.end;
  }
  return spans;
}

struct ChatTemplate::Impl {
  jinja::Program program;
  TemplateLimits limits;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::compile(std::string_view source, TemplateLimits limits) {
  if (static_cast<int64_t>(source.size()) > limits.source_bytes) {
    return fail(Code::kTooLarge, "the chat template has " + std::to_string(source.size()) +
                                     " bytes of source; at most " +
                                     std::to_string(limits.source_bytes) + " are allowed");
  }
  if (!is_sound(source)) return fail(Code::kInvalid, "the chat template is not valid UTF-8");
  const auto build = [&]() -> Result<jinja::Program> {
    MILL_TRY(std::vector<jinja::Token> tokens, jinja::tokenize(source));
    MILL_TRY(jinja::Body body, jinja::Parser(std::move(tokens), limits.depth).parse());
    return jinja::resolve_scopes(std::move(body));
  };
  Result<jinja::Program> program = build();
  if (!program) {
    program.error().message = "chat template, " + program.error().message;
    return fail(std::move(program).error());
  }
  return ChatTemplate(std::make_unique<Impl>(Impl{std::move(*program), limits}));
}

Result<Rendered> ChatTemplate::render(const boost::json::object& variables,
                                      int64_t unix_time) const {
  return jinja::Interpreter(impl_->program, variables, impl_->limits, unix_time).run();
}

}  // namespace mill::text
