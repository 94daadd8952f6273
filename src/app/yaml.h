// YAML files of the app: read with a size limit, parsed without exceptions, walked with errors that
// name file:line.
#pragma once

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace mill::app {

// The bytes of a regular file. kNotFound, kPermission, kIo; kTooLarge over `limit` bytes.
Result<std::string> read_small_file(const std::filesystem::path& path, size_t limit);

// The one document in `text`; a null node when it is empty. `name` is what errors call the text.
// kInvalid with name:line.
Result<YAML::Node> parse_yaml(const std::string& text, const std::string& name);

struct YamlField {
  std::string key;
  YAML::Node value;
  int line = 0;  // counted from 1
};

// The fields of a map in file order, without exceptions. kInvalid when `node` is no map, a key is
// no plain text, or one is given twice. `what` names the map in that sentence.
Result<std::vector<YamlField>> yaml_fields(const YAML::Node& node, const std::string& name,
                                           const std::string& what);

// The line of a node, counted from 1; 1 when the parser kept none.
int line_of(const YAML::Node& node);

// "a list", "a map", "nothing", "text": what a node is, for sentences.
std::string shape_of(const YAML::Node& node);

}  // namespace mill::app
