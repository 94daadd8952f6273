#include "gateway/openai/parse_completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <limits>

#include "gateway/prompt.h"
#include "text/detokenizer.h"

namespace mill::gateway::openai {
namespace {

namespace json = boost::json;

constexpr int64_t kDefaultMaxTokens = 16;  // the API's own default for this endpoint

constexpr Unbuilt kUnbuilt[] = {
    {"suffix", "\"\"",
     "leave it out; a model that fills in the middle takes its own control tokens "
     "with parse_special"},
};

tl::unexpected<Error> wrong_prompt(std::string_view what) {
  return fail(Code::kInvalid, fmt::format("'prompt' {}", what), "prompt");
}

Result<Prompt> read_ids(const json::array& ids, const ServedModel& model, bool with_text) {
  Prompt prompt;
  prompt.ids.reserve(ids.size());
  const auto size = static_cast<int64_t>(model.tokenizer->size());
  for (const json::value& value : ids) {
    const auto* id = value.if_int64();
    if (!id || *id < 0 || *id >= size) {
      return wrong_prompt(fmt::format("may only hold token ids of this model, 0 to {}", size - 1));
    }
    prompt.ids.push_back(static_cast<TokenId>(*id));
  }
  if (prompt.ids.empty()) return wrong_prompt("has no tokens");
  if (!with_text) return prompt;
  text::Detokenizer detokenizer(*model.tokenizer);
  for (const TokenId id : prompt.ids) prompt.text += detokenizer.push(id);
  prompt.text += detokenizer.finish();
  return prompt;
}

Result<Prompt> read_text(std::string_view text, const ServedModel& model, bool parse_special,
                         text::Remembered remembered) {
  Prompt prompt = text_prompt(model, text, parse_special, remembered);
  if (prompt.ids.empty())
    return wrong_prompt("is empty, and this model has no token to begin with");
  return prompt;
}

// One element of a batch, or the whole of "prompt".
Result<Prompt> read_one(const json::value& value, const Call& call, bool parse_special,
                        text::Remembered remembered) {
  if (const auto* text = value.if_string()) {
    return read_text({text->data(), text->size()}, *call.model, parse_special, remembered);
  }
  if (const auto* ids = value.if_array()) return read_ids(*ids, *call.model, call.echo);
  return wrong_prompt(
      "must be a string, an array of strings, an array of token ids, or an array of such arrays");
}

Status read_prompts(const Fields& fields, const Catalogue& catalogue, bool parse_special,
                    Call& call) {
  const json::value* value = fields.find("prompt");
  if (!value) return wrong_prompt("is missing");
  const json::array* array = value->if_array();
  if (array && array->empty()) return wrong_prompt("is an empty array");
  const text::Remembered known = remembered(catalogue, call);
  const bool batch = array && !array->front().is_number();
  if (!batch) {
    MILL_TRY(Prompt prompt, read_one(*value, call, parse_special, known));
    call.prompts.push_back(std::move(prompt));
    return {};
  }
  const auto answers = array->size() * static_cast<size_t>(call.choices);
  if (answers > static_cast<size_t>(catalogue.limits.answers)) {
    return wrong_prompt(fmt::format("asks for {} answers at a time; at most {} are given", answers,
                                    catalogue.limits.answers));
  }
  for (const json::value& element : *array) {
    MILL_TRY(Prompt prompt, read_one(element, call, parse_special, known));
    call.prompts.push_back(std::move(prompt));
  }
  return {};
}

}  // namespace

Result<Call> parse_completion(std::string_view body, const Catalogue& catalogue) {
  MILL_TRY(const json::object object, parse_object(body, catalogue.limits.json_depth));
  const Fields fields(object);
  Call call;
  MILL_TRY_DO(read_model(fields, catalogue, call));
  if (!call.model) return call;
  MILL_TRY_DO(refuse_unbuilt(fields, kUnbuilt));
  MILL_TRY(call.sampling, read_sampling(fields, *call.model, catalogue.limits));
  MILL_TRY(const auto logprobs, fields.integer("logprobs", 0, 20));
  if (logprobs) call.sampling.top_logprobs = static_cast<int32_t>(*logprobs);
  MILL_TRY(const auto max_tokens,
           fields.integer("max_tokens", 0, std::numeric_limits<int32_t>::max()));
  call.max_tokens = static_cast<int32_t>(max_tokens.value_or(kDefaultMaxTokens));
  MILL_TRY(call.stops, read_stops(fields, catalogue.limits));
  MILL_TRY_DO(read_delivery(fields, catalogue.limits, call));
  MILL_TRY_DO(read_handling(fields, catalogue, call));
  MILL_TRY(const auto best_of, fields.integer("best_of", 1, catalogue.limits.choices));
  if (best_of && *best_of != call.choices) {
    return fail(
        Code::kUnsupported,
        "'best_of' is not supported by this server yet: leave it out, or use the value of 'n'",
        "best_of");
  }
  MILL_TRY(const auto echo, fields.boolean("echo"));
  MILL_TRY(const auto parse_special, fields.boolean("parse_special"));
  call.echo = echo.value_or(false);
  MILL_TRY_DO(read_prompts(fields, catalogue, parse_special.value_or(false), call));
  MILL_TRY_DO(check_length(call, catalogue.limits, "prompt"));
  return call;
}

}  // namespace mill::gateway::openai
