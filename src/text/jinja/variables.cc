#include "text/jinja/variables.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>

#include "text/jinja/globals.h"

namespace mill::text::jinja {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoles[] = {"system",    "developer", "user",
                                       "assistant", "tool",      "function"};

class Converter {
 public:
  explicit Converter(Runtime& runtime) : runtime_(runtime) {}

  Result<Value> convert(const json::value& value, bool trusted) {
    MILL_TRY_DO(runtime_.budget.spend(1));
    switch (value.kind()) {
      case json::kind::null:
        return Value::none();
      case json::kind::bool_:
        return Value::boolean(value.get_bool());
      case json::kind::int64:
        return Value::integer(value.get_int64());
      case json::kind::uint64:
        return make_integer(value.get_uint64());
      case json::kind::double_:
        return Value::real(value.get_double());
      case json::kind::string:
        return convert_text(value.get_string(), trusted);
      case json::kind::array:
        return convert_array(value.get_array());
      case json::kind::object:
        return convert_object(value.get_object());
    }
    return Value::none();
  }

  // The list of messages, in which the words of roles are trusted.
  Result<Value> convert_messages(const json::array& messages) {
    Items items;
    for (const json::value& message : messages) {
      const bool object = message.is_object();
      MILL_TRY(Value item,
               object ? convert_object(message.get_object(), true) : convert(message, false));
      items.push_back(std::move(item));
    }
    return make_list(runtime_, std::move(items));
  }

 private:
  Result<Value> convert_text(std::string_view bytes, bool trusted) {
    TextBuilder out(runtime_.budget);
    out.append(bytes, trusted);
    return make_text(out);
  }

  Result<Value> convert_array(const json::array& array) {
    MILL_TRY_DO(enter());
    Items items;
    items.reserve(array.size());
    for (const json::value& element : array) {
      MILL_TRY(Value item, convert(element, false));
      items.push_back(std::move(item));
    }
    --depth_;
    return make_list(runtime_, std::move(items));
  }

  Result<Value> convert_object(const json::object& object, bool message = false) {
    MILL_TRY_DO(enter());
    Pairs pairs;
    pairs.reserve(object.size());
    for (const auto& member : object) {
      MILL_TRY(Value key, convert_text(member.key(), false));
      const bool role = message && member.key() == "role" && is_role(member.value());
      MILL_TRY(Value value, convert(member.value(), role));
      pairs.emplace_back(std::move(key), std::move(value));
    }
    --depth_;
    return make_dict(runtime_, std::move(pairs));
  }

  static bool is_role(const json::value& value) {
    return value.is_string() && std::find(std::begin(kRoles), std::end(kRoles),
                                          std::string_view(value.get_string())) != std::end(kRoles);
  }

  Status enter() {
    if (++depth_ <= runtime_.budget.depth()) return {};
    return fail(Code::kTooLarge, "a variable of the chat template is nested too deeply");
  }

  Runtime& runtime_;
  int32_t depth_ = 0;
};

}  // namespace

Result<Value> Variables::find(Runtime& runtime, const std::string& name) {
  const auto known = known_.find(name);
  if (known != known_.end()) return known->second;
  const json::value* given = json_->if_contains(name);
  Value value;
  if (!given) {
    value = find_global(name);
  } else if (name == "messages" && given->is_array()) {
    MILL_TRY(value, Converter(runtime).convert_messages(given->get_array()));
  } else {
    const bool token = name == "bos_token" || name == "eos_token";
    MILL_TRY(value, Converter(runtime).convert(*given, token));
  }
  known_.emplace(name, value);
  return value;
}

}  // namespace mill::text::jinja
