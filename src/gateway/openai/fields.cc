#include "gateway/openai/fields.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>

namespace mill::gateway::openai {
namespace {

namespace json = boost::json;

tl::unexpected<Error> wrong(const std::string& path, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("'{}' must be {}", path, what), path);
}

// A whole number, also one that is written 16.0 or 1e3.
std::optional<int64_t> whole(const json::value& value) {
  if (const auto* i = value.if_int64()) return *i;
  const auto* d = value.if_double();
  if (!d || !(*d >= -0x1.0p63 && *d < 0x1.0p63) || *d != std::floor(*d)) return std::nullopt;
  return static_cast<int64_t>(*d);
}

}  // namespace

Result<json::object> parse_object(std::string_view body, int depth) {
  json::parse_options options;
  options.max_depth = static_cast<size_t>(depth);
  boost::system::error_code error;
  json::value value;
  try {
    value = json::parse(json::string_view(body.data(), body.size()), error, {}, options);
  } catch (const std::exception&) {
    return fail(Code::kTooLarge, "the body of the request needs more memory than there is");
  }
  if (error == json::error::too_deep) {
    return fail(Code::kInvalid, fmt::format("the body is nested deeper than {} levels", depth));
  }
  if (error) {
    return fail(Code::kInvalid, fmt::format("the body is not valid JSON: {}", error.message()));
  }
  if (!value.is_object()) return fail(Code::kInvalid, "the body must be a JSON object");
  return std::move(value.get_object());
}

Fields::Fields(const json::object& object, std::string path)
    : object_(&object), path_(std::move(path)) {}

const json::value* Fields::find(std::string_view name) const {
  const json::value* value = object_->if_contains(json::string_view(name.data(), name.size()));
  return value && !value->is_null() ? value : nullptr;
}

Result<std::optional<double>> Fields::number(std::string_view name, double low, double high) const {
  const json::value* value = find(name);
  if (!value) return std::optional<double>();
  boost::system::error_code error;
  const double number = value->is_number() ? value->to_number<double>(error) : std::nan("");
  if (error || !(number >= low && number <= high)) {
    return wrong(path_of(name), fmt::format("a number from {} to {}", low, high));
  }
  return std::optional<double>(number);
}

Result<std::optional<int64_t>> Fields::integer(std::string_view name, int64_t low,
                                               int64_t high) const {
  const json::value* value = find(name);
  if (!value) return std::optional<int64_t>();
  const auto number = whole(*value);
  if (!number || *number < low || *number > high) {
    return wrong(path_of(name), fmt::format("a whole number from {} to {}", low, high));
  }
  return number;
}

Result<std::optional<bool>> Fields::boolean(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return std::optional<bool>();
  if (!value->is_bool()) return wrong(path_of(name), "true or false");
  return std::optional<bool>(value->get_bool());
}

Result<std::optional<std::string>> Fields::string(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return std::optional<std::string>();
  if (!value->is_string()) return wrong(path_of(name), "a string");
  return std::optional<std::string>(std::string(value->get_string()));
}

Result<const json::array*> Fields::array(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return static_cast<const json::array*>(nullptr);
  if (!value->is_array()) return wrong(path_of(name), "an array");
  return &value->get_array();
}

Result<const json::object*> Fields::object(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return static_cast<const json::object*>(nullptr);
  if (!value->is_object()) return wrong(path_of(name), "an object");
  return &value->get_object();
}

}  // namespace mill::gateway::openai
