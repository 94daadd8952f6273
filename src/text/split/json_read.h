// Typed reads from a JSON object, with errors that name the field.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::text {

// null where the key is absent.
inline const boost::json::value& member(const boost::json::object& object, std::string_view key) {
  static const boost::json::value kNull;
  const auto* found = object.if_contains(key);
  return found == nullptr ? kNull : *found;
}

inline tl::unexpected<Error> not_a(const char* type, std::string_view key) {
  return fail(Code::kCorrupt, "tokenizer.json: '" + std::string(key) + "' is not " + type,
              std::string(key));
}

inline Result<std::string> string_at(const boost::json::object& object, std::string_view key) {
  const auto* string = member(object, key).if_string();
  if (string == nullptr) return not_a("a string", key);
  return std::string(*string);
}
// "" where it is absent or null.
inline Result<std::string> string_or_empty(const boost::json::object& object,
                                           std::string_view key) {
  if (member(object, key).is_null()) return std::string();
  return string_at(object, key);
}
inline Result<bool> bool_or(const boost::json::object& object, std::string_view key,
                            bool fallback) {
  const boost::json::value& value = member(object, key);
  if (value.is_null()) return fallback;
  if (!value.is_bool()) return not_a("true or false", key);
  return value.get_bool();
}
inline Result<const boost::json::object*> object_at(const boost::json::object& object,
                                                    std::string_view key) {
  const auto* found = member(object, key).if_object();
  if (found == nullptr) return not_a("an object", key);
  return found;
}
inline Result<const boost::json::array*> array_at(const boost::json::object& object,
                                                  std::string_view key) {
  const auto* found = member(object, key).if_array();
  if (found == nullptr) return not_a("an array", key);
  return found;
}

}  // namespace mill::text
