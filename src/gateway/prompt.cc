#include "gateway/prompt.h"

#include <boost/json.hpp>

namespace mill::gateway {
namespace {

std::string name_of(const text::Tokenizer& tokenizer, TokenId token) {
  return token == kNoToken ? std::string() : std::string(tokenizer.piece(token));
}

// No EOS: a prompt is there to be gone on with.
std::vector<TokenId> encode(const text::Tokenizer& tokenizer, std::span<const text::TextSpan> spans,
                            text::Remembered remembered) {
  std::vector<TokenId> ids = tokenizer.encode(spans, text::Tokenizer::Ends::kNone, remembered);
  const bool wants = tokenizer.adds_bos() && tokenizer.bos() != kNoToken;
  if (wants && (ids.empty() || ids.front() != tokenizer.bos()))
    ids.insert(ids.begin(), tokenizer.bos());
  return ids;
}

}  // namespace

Result<Prompt> render_prompt(const ServedModel& model, boost::json::object variables,
                             int64_t unix_time, text::Remembered remembered) {
  if (!model.chat_template) {
    return fail(Code::kInvalid,
                "the model '" + model.id + "' has no chat template: use /v1/completions", "model");
  }
  const text::Tokenizer& tokenizer = *model.tokenizer;
  variables["bos_token"] = name_of(tokenizer, tokenizer.bos());
  variables["eos_token"] = name_of(tokenizer, tokenizer.eos());
  variables["add_generation_prompt"] = true;
  auto rendered = model.chat_template->render(variables, unix_time);
  if (!rendered) {
    Error error = std::move(rendered).error();
    error.param = "messages";
    return fail(std::move(error));
  }
  Prompt prompt;
  prompt.ids = encode(tokenizer, rendered->spans(), remembered);
  if (prompt.ids.empty())
    return fail(Code::kInvalid, "the messages come to an empty prompt", "messages");
  return prompt;
}

Prompt text_prompt(const ServedModel& model, std::string_view text, bool parse_special,
                   text::Remembered remembered) {
  const text::TextSpan span{text, parse_special};
  return {encode(*model.tokenizer, {&span, 1}, remembered), std::string(text)};
}

}  // namespace mill::gateway
