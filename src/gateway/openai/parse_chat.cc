#include "gateway/openai/parse_chat.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <limits>

#include "gateway/openai/messages.h"
#include "gateway/prompt.h"

namespace mill::gateway::openai {
namespace {

namespace json = boost::json;

constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();

constexpr Unbuilt kUnbuilt[] = {
    {"functions", "[]", "leave it out"},
    {"function_call", "\"none\"", "leave it out"},
    {"audio", "", "leave it out, answers are text"},
    {"modalities", "[\"text\"]", "answers are text, use [\"text\"]"},
    {"prediction", "", "leave it out"},
    {"web_search_options", "", "leave it out"},
    {"reasoning_effort", "", "leave it out"},
    {"verbosity", "", "leave it out"},
    {"store", "false", "nothing is stored here, use false"},
    {"chat_template", "", "the model's own template is used, leave it out"},
};

// Names that a request may not give to the template: the gateway sets them, or they change what
// rendering is.
constexpr std::string_view kReserved[] = {"messages",
                                          "tools",
                                          "documents",
                                          "conversation",
                                          "bos_token",
                                          "eos_token",
                                          "tokenize",
                                          "padding",
                                          "truncation",
                                          "max_length",
                                          "return_dict",
                                          "chat_template",
                                          "return_tensors",
                                          "add_generation_prompt",
                                          "continue_final_message"};

// Tool calls aren't parsed out of answers yet, so tools are only taken when the client says that
// none may be called.
Status check_tools(const Fields& fields) {
  MILL_TRY(const json::array* tools, fields.array("tools"));
  const json::value* choice = fields.find("tool_choice");
  const bool none = choice && choice->is_string() && choice->get_string() == "none";
  const bool any = tools && !tools->empty();
  if (any && !none) {
    return fail(Code::kUnsupported,
                "'tools' is not supported by this server yet: leave it out, or set tool_choice to "
                "\"none\"",
                "tools");
  }
  const bool automatic = choice && choice->is_string() && choice->get_string() == "auto";
  if (choice && !none && !automatic) {
    return fail(Code::kUnsupported,
                "'tool_choice' is not supported by this server yet: leave it out, or use \"none\"",
                "tool_choice");
  }
  return {};
}

Status check_response_format(const Fields& fields) {
  MILL_TRY(const json::object* format, fields.object("response_format"));
  if (!format) return {};
  const Fields inner(*format, "response_format.");
  MILL_TRY(const auto type, inner.string("type"));
  if (type == "text") return {};
  if (!type) {
    return fail(Code::kInvalid, "'response_format.type' is missing", "response_format.type");
  }
  return fail(Code::kUnsupported,
              fmt::format("'response_format' of the type '{}' is not supported by this server yet: "
                          "use \"text\"",
                          type->substr(0, 64)),
              "response_format");
}

// logprobs: true, and how many alternatives.
Result<std::optional<int32_t>> read_logprobs(const Fields& fields) {
  MILL_TRY(const auto logprobs, fields.boolean("logprobs"));
  MILL_TRY(const auto top, fields.integer("top_logprobs", 0, 20));
  if (logprobs.value_or(false))
    return std::optional<int32_t>(static_cast<int32_t>(top.value_or(0)));
  if (top.value_or(0) > 0) {
    return fail(Code::kInvalid, "'top_logprobs' needs 'logprobs' to be true", "top_logprobs");
  }
  return std::optional<int32_t>();
}

// max_completion_tokens, or its older name.
Result<std::optional<int32_t>> read_max_tokens(const Fields& fields) {
  MILL_TRY(const auto older, fields.integer("max_tokens", 1, kMaxInt32));
  MILL_TRY(const auto newer, fields.integer("max_completion_tokens", 1, kMaxInt32));
  const auto chosen = newer ? newer : older;
  if (!chosen) return std::optional<int32_t>();
  return std::optional<int32_t>(static_cast<int32_t>(*chosen));
}

// chat_template_kwargs: plain values for the template, such as {"enable_thinking": false}.
Status read_template_variables(const Fields& fields, json::object& variables) {
  MILL_TRY(const json::object* extra, fields.object("chat_template_kwargs"));
  if (!extra) return {};
  for (const auto& [key, value] : *extra) {
    const std::string_view name(key.data(), key.size());
    const bool reserved =
        std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
    if (reserved || value.is_structured()) {
      return fail(
          Code::kInvalid,
          fmt::format("'chat_template_kwargs' can't set '{}': it takes strings, numbers and "
                      "booleans that the server doesn't set itself",
                      name.substr(0, 64)),
          "chat_template_kwargs");
    }
    variables[key] = value;
  }
  return {};
}

}  // namespace

Result<Call> parse_chat(std::string_view body, const Catalogue& catalogue, int64_t unix_time) {
  MILL_TRY(const json::object object, parse_object(body, catalogue.limits.json_depth));
  const Fields fields(object);
  Call call;
  MILL_TRY_DO(read_model(fields, catalogue, call));
  if (!call.model) return call;
  MILL_TRY_DO(refuse_unbuilt(fields, kUnbuilt));
  MILL_TRY_DO(check_tools(fields));
  MILL_TRY_DO(check_response_format(fields));
  MILL_TRY(call.sampling, read_sampling(fields, *call.model, catalogue.limits));
  MILL_TRY(call.sampling.top_logprobs, read_logprobs(fields));
  MILL_TRY(call.max_tokens, read_max_tokens(fields));
  MILL_TRY(call.stops, read_stops(fields, catalogue.limits));
  MILL_TRY_DO(read_delivery(fields, catalogue.limits, call));
  MILL_TRY_DO(read_handling(fields, catalogue, call));
  json::object variables;
  MILL_TRY_DO(read_template_variables(fields, variables));
  MILL_TRY(variables["messages"],
           read_messages(fields, catalogue.limits.messages, call.model->template_knows_developer));
  MILL_TRY(Prompt prompt, render_prompt(*call.model, std::move(variables), unix_time,
                                        remembered(catalogue, call)));
  call.prompts.push_back(std::move(prompt));
  MILL_TRY_DO(check_length(call, catalogue.limits, "messages"));
  return call;
}

}  // namespace mill::gateway::openai
