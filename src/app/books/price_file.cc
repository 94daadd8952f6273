#include "app/books/price_file.h"

#include <fmt/format.h>

#include <charconv>

#include "app/yaml.h"

namespace mill::app {
namespace {

namespace json = boost::json;

constexpr int kDeepest = 16;

bool is_count(const std::string& key) {
  return key == "context_tokens" || key == "max_output_tokens";
}

Result<json::value> scalar_json(const YAML::Node& node, const std::string& key,
                                const std::string& name) {
  const std::string& text = node.Scalar();
  if (!is_count(key)) return json::value(text);
  int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, count);
  if (read.ec == std::errc() && read.ptr == end) return json::value(count);
  return fail(Code::kInvalid,
              fmt::format("{}:{}: {} must be a whole number", name, line_of(node), key), key);
}

Result<json::value> node_json(const YAML::Node& node, const std::string& key,
                              const std::string& name, int depth) {
  if (depth > kDeepest)
    return fail(Code::kInvalid, fmt::format("{}:{}: nested too deep", name, line_of(node)));
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return scalar_json(node, key, name);
    case YAML::NodeType::Sequence: {
      json::array list;
      for (const YAML::Node& item : node) {
        MILL_TRY(json::value value, node_json(item, key, name, depth + 1));
        list.push_back(std::move(value));
      }
      return json::value(std::move(list));
    }
    case YAML::NodeType::Map: {
      json::object map;
      MILL_TRY(const std::vector<YamlField> fields, yaml_fields(node, name, "a price book"));
      for (const YamlField& field : fields) {
        MILL_TRY(map[field.key], node_json(field.value, field.key, name, depth + 1));
      }
      return json::value(std::move(map));
    }
    default:
      return json::value();
  }
}

}  // namespace

Result<json::object> price_book_json(const YAML::Node& document, const std::string& name) {
  if (!document.IsMap()) {
    return fail(Code::kInvalid, fmt::format("{}:{}: a price book is a map with the list models",
                                            name, line_of(document)));
  }
  MILL_TRY(json::value book, node_json(document, "", name, 0));
  return std::move(book.get_object());
}

int line_of_path(const YAML::Node& document, const std::string& path) {
  YAML::Node at;
  at.reset(document);
  int line = line_of(document);
  size_t from = 0;
  while (from < path.size()) {
    const size_t end = std::min(path.find_first_of(".[", from), path.size());
    if (end > from) {
      if (!at.IsMap()) break;
      const YAML::Node next = static_cast<const YAML::Node&>(at)[path.substr(from, end - from)];
      if (!next.IsDefined()) break;
      at.reset(next);
      line = line_of(at);
    }
    from = end + 1;
    if (end < path.size() && path[end] == '[') {
      const size_t close = std::min(path.find(']', from), path.size());
      size_t index = 0;
      std::from_chars(path.data() + from, path.data() + close, index);
      if (!at.IsSequence() || index >= at.size()) break;
      const YAML::Node next = static_cast<const YAML::Node&>(at)[index];
      at.reset(next);
      line = line_of(at);
      from = close + 1;
      if (from < path.size() && path[from] == '.') ++from;
    }
  }
  return line;
}

}  // namespace mill::app
