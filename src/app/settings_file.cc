#include "app/settings_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/yaml.h"

namespace mill::app {
namespace {

constexpr size_t kLargestFile = 1 << 20;

// The value of a field as texts. `list`: several are allowed.
Result<std::vector<std::string>> texts_of(const YamlField& field, bool list,
                                          const std::string& path) {
  const std::string where = fmt::format("{}:{}: {}", path, field.line, field.key);
  if (field.value.IsScalar()) return std::vector<std::string>{field.value.Scalar()};
  if (field.value.IsNull()) {
    return fail(Code::kInvalid, where + " has no value: give one, or take the line out", field.key);
  }
  if (!list || !field.value.IsSequence()) {
    return fail(Code::kInvalid,
                fmt::format("{} must be {}, not {}", where, list ? "a list" : "a single value",
                            shape_of(field.value)),
                field.key);
  }
  std::vector<std::string> texts;
  for (const YAML::Node& item : field.value) {
    if (!item.IsScalar()) {
      return fail(
          Code::kInvalid,
          fmt::format("{} must be a list of single values, and holds {}", where, shape_of(item)),
          field.key);
    }
    texts.push_back(item.Scalar());
  }
  return texts;
}

// The flags of one command: bench: {gen: 64}
Status read_section(const YamlField& section, const std::vector<std::string>& flags,
                    const std::string& path, std::vector<FileValue>& values) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(section.value, path, section.key));
  for (const YamlField& field : fields) {
    if (std::find(flags.begin(), flags.end(), field.key) == flags.end()) {
      return fail(Code::kInvalid,
                  fmt::format("{}:{}: '{}' is no flag of {} alone (it has {})", path, field.line,
                              field.key, section.key, fmt::join(flags, ", ")),
                  field.key);
    }
    MILL_TRY(std::vector<std::string> texts, texts_of(field, true, path));
    values.push_back({nullptr, section.key, field.key, std::move(texts), field.line});
  }
  return {};
}

}  // namespace

Result<std::vector<FileValue>> read_settings_file(const std::string& path, const OwnFlags& own) {
  MILL_TRY(const std::string text, read_small_file(path, kLargestFile));
  MILL_TRY(const YAML::Node root, parse_yaml(text, path));
  std::vector<FileValue> values;
  if (root.IsNull()) return values;
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(root, path, "the file of settings"));
  for (const YamlField& field : fields) {
    if (const auto section = own.find(field.key); section != own.end()) {
      MILL_TRY_DO(read_section(field, section->second, path, values));
      continue;
    }
    const Setting* setting = find_setting(field.key);
    if (setting == nullptr) {
      const std::string_view near = nearest_setting(field.key);
      const std::string hint = near.empty() ? std::string("see tokenmill config for the names")
                                            : fmt::format("did you mean '{}'?", near);
      return fail(Code::kInvalid,
                  fmt::format("{}:{}: '{}' is no setting ({})", path, field.line, field.key, hint),
                  field.key);
    }
    const bool list = setting->kind == Kind::kTexts || setting->kind == Kind::kIntegers;
    MILL_TRY(std::vector<std::string> texts, texts_of(field, list, path));
    values.push_back({setting, {}, {}, std::move(texts), field.line});
  }
  return values;
}

}  // namespace mill::app
