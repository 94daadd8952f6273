// The variables of a request as values: converted when a template first asks for one.
#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <string>

#include "text/jinja/value.h"

namespace mill::text::jinja {

// Strings are untrusted, but for the variables bos_token and eos_token, and for the role of a
// message where it is one of the words that roles have: templates write '<|' + role + '|>'.
class Variables {
 public:
  explicit Variables(const boost::json::object& json) : json_(&json) {}  // must outlive this

  // The variable, else the global of that name, else missing. Fails with kTooLarge over the budget.
  Result<Value> find(Runtime& runtime, const std::string& name);

 private:
  const boost::json::object* json_;
  std::map<std::string, Value> known_;
};

}  // namespace mill::text::jinja
