// The query of a request's target, decoded: "?limit=20&project_ids[]=proj_…".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mill::gateway::desk {

class Query {
 public:
  Query() = default;
  // Of a whole target. kInvalid for a '%' that is no escape.
  static Result<Query> parse(std::string_view target);

  // kInvalid, naming it, for a parameter that is none of `names` (separated by spaces).
  Status only(std::string_view names) const;

  // kInvalid where it is given twice. An empty value is given.
  Result<std::optional<std::string>> text(std::string_view name) const;
  // kInvalid unless it is a whole number of that range.
  Result<std::optional<int64_t>> integer(std::string_view name, int64_t low, int64_t high) const;
  // kInvalid unless it is "true" or "false"; false where it is not given.
  Result<bool> flag(std::string_view name) const;
  // All values of a name that may be repeated.
  std::vector<std::string> all(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> parts_;
};

// Whether `name` is one of `names`, which are separated by spaces.
bool is_among(std::string_view names, std::string_view name);

}  // namespace mill::gateway::desk
