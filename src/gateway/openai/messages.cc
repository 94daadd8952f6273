#include "gateway/openai/messages.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace mill::gateway::openai {
namespace {

namespace json = boost::json;

// Content as one string: a string, or parts that are text.
Result<std::string> read_parts(const json::array& parts, const std::string& path) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", path, i);
    const json::object* part = parts[i].if_object();
    if (!part) return fail(Code::kInvalid, fmt::format("'{}' must be an object", where), where);
    const Fields fields(*part, where + ".");
    MILL_TRY(const auto type, fields.string("type"));
    if (type != "text" && type != "refusal") {
      if (!type)
        return fail(Code::kInvalid, fmt::format("'{}.type' is missing", where), where + ".type");
      return fail(Code::kUnsupported,
                  fmt::format("this model reads text only: '{}' has the type '{}'", where, *type),
                  where + ".type");
    }
    MILL_TRY(const auto words, fields.string(*type));
    if (!words) {
      return fail(Code::kInvalid, fmt::format("'{}.{}' must be a string", where, *type), where);
    }
    if (i > 0) text += '\n';
    text += *words;
  }
  return text;
}

// Templates write the arguments out as JSON themselves, so a string of JSON is read first, as the
// model hubs do.
Result<json::array> read_tool_calls(const json::array& calls, const std::string& path) {
  json::array read;
  for (size_t i = 0; i < calls.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", path, i);
    const json::object* call = calls[i].if_object();
    const json::value* function = call ? call->if_contains("function") : nullptr;
    if (!function || !function->is_object()) {
      return fail(Code::kInvalid, fmt::format("'{}.function' must be an object", where), where);
    }
    json::object copy = *call;
    json::object& inner = copy["function"].get_object();
    const Fields fields(inner, where + ".function.");
    MILL_TRY(const auto name, fields.string("name"));
    if (!name)
      return fail(Code::kInvalid, fmt::format("'{}.function.name' is missing", where), where);
    if (const json::value* arguments = inner.if_contains("arguments");
        arguments && arguments->is_string()) {
      boost::system::error_code error;
      json::value parsed = json::parse(arguments->get_string(), error);
      if (!error && parsed.is_object()) inner["arguments"] = std::move(parsed);
    }
    read.push_back(std::move(copy));
  }
  return read;
}

Result<json::object> read_message(const json::object& message, const std::string& path,
                                  bool knows_developer) {
  const Fields fields(message, path + ".");
  MILL_TRY(auto role, fields.string("role"));
  if (role == "developer" && !knows_developer) role = "system";
  const bool known = role == "system" || role == "developer" || role == "user" ||
                     role == "assistant" || role == "tool";
  if (!known) {
    return fail(Code::kInvalid,
                fmt::format("'{}.role' must be system, developer, user, assistant or tool", path),
                path + ".role");
  }
  json::object read;
  read["role"] = *role;
  MILL_TRY(const json::array* calls, fields.array("tool_calls"));
  const json::value* content = fields.find("content");
  if (content && content->is_array()) {
    MILL_TRY(read["content"], read_parts(content->get_array(), path + ".content"));
  } else if (content && content->is_string()) {
    read["content"] = *content;
  } else if (!content && role == "assistant" && calls && !calls->empty()) {
    read["content"] = nullptr;  // an answer that was nothing but calls
  } else {
    return fail(Code::kInvalid,
                fmt::format("'{}.content' must be a string or an array of text parts", path),
                path + ".content");
  }
  for (const std::string_view name : {"name", "tool_call_id", "reasoning_content"}) {
    MILL_TRY(const auto value, fields.string(name));
    if (value) read[json::string_view(name.data(), name.size())] = *value;
  }
  if (calls && !calls->empty()) {
    MILL_TRY(read["tool_calls"], read_tool_calls(*calls, path + ".tool_calls"));
  }
  return read;
}

}  // namespace

Result<json::array> read_messages(const Fields& fields, int32_t at_most, bool knows_developer) {
  MILL_TRY(const json::array* messages, fields.array("messages"));
  if (!messages || messages->empty()) {
    return fail(Code::kInvalid, "'messages' must be an array with at least one message",
                "messages");
  }
  if (messages->size() > static_cast<size_t>(at_most)) {
    return fail(Code::kInvalid, fmt::format("'messages' may have {} entries at most", at_most),
                "messages");
  }
  json::array read;
  for (size_t i = 0; i < messages->size(); ++i) {
    const std::string path = fmt::format("messages[{}]", i);
    const json::object* message = (*messages)[i].if_object();
    if (!message) return fail(Code::kInvalid, fmt::format("'{}' must be an object", path), path);
    MILL_TRY(json::object one, read_message(*message, path, knows_developer));
    read.push_back(std::move(one));
  }
  return read;
}

}  // namespace mill::gateway::openai
