// Reads the members of a JSON object, each with its type and range, and names the one that is
// wrong.
//
// A member that is null counts as absent, as the API has it. Of members with the same name the last
// one counts.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::gateway::openai {

// Parses `body`, which must be one JSON object nested no deeper than `depth`. Fails with kInvalid.
Result<boost::json::object> parse_object(std::string_view body, int depth);

class Fields {
 public:
  // `object` must outlive it. `path` goes before the names in errors: "messages[2]." or "".
  explicit Fields(const boost::json::object& object, std::string path = {});

  // All fail with kInvalid and the field's name; nothing is returned for an absent field.
  Result<std::optional<double>> number(std::string_view name, double low, double high) const;
  Result<std::optional<int64_t>> integer(std::string_view name, int64_t low, int64_t high) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  Result<std::optional<std::string>> string(std::string_view name) const;
  Result<const boost::json::array*> array(std::string_view name) const;    // null: absent
  Result<const boost::json::object*> object(std::string_view name) const;  // null: absent

  const boost::json::value* find(std::string_view name) const;  // null: absent, or JSON's null
  std::string path_of(std::string_view name) const { return path_ + std::string(name); }

 private:
  const boost::json::object* object_;
  std::string path_;
};

}  // namespace mill::gateway::openai
