// A price book in YAML, as docs/prices.md describes it, made into the JSON of the administrative
// API.
#pragma once

#include <yaml-cpp/yaml.h>

#include <boost/json.hpp>
#include <string>

#include "base/result.h"

namespace mill::app {

// The document as JSON: every plain value is text ("0.15" stays the decimal it is), but for the
// counts of tokens. What a member means is the server's to check. kInvalid with name:line.
Result<boost::json::object> price_book_json(const YAML::Node& document, const std::string& name);

// The line of what the server calls "models[0].prices[1].rates.input": of that node, or of the last
// one on the way that is there.
int line_of_path(const YAML::Node& document, const std::string& path);

}  // namespace mill::app
