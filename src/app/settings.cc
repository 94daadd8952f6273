#include "app/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "app/settings_file.h"
#include "base/check.h"

namespace mill::app {
namespace {

// A variable that holds a list separates by commas; every other origin brings its items apart.
std::vector<std::string> variable_texts(const Setting& setting, const std::string& text) {
  if (setting.kind != Kind::kTexts) return {text};
  std::vector<std::string> items;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) items.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}

std::vector<std::string> default_texts(const Setting& setting) {
  const bool list = setting.kind == Kind::kTexts || setting.kind == Kind::kIntegers;
  if (list && setting.fallback.empty()) return {};
  return {std::string(setting.fallback)};
}

// The config file to read, and whether somebody asked for it: then it must be there.
struct ConfigFile {
  std::string path;
  bool asked = false;
};

ConfigFile config_file_of(const Given& given) {
  if (given.config_file) return {expand_path(*given.config_file, given.environment), true};
  const auto variable = given.environment.find("TOKENMILL_CONFIG");
  if (variable != given.environment.end() && !variable->second.empty()) {
    return {expand_path(variable->second, given.environment), true};
  }
  return {expand_path("$CONFIG/config.yaml", given.environment), false};
}

// The flags of single commands, from the environment and, stronger, from the file. Takes the
// variables it reads out of `idle`.
std::vector<OwnValue> own_values_of(const Given& given, const std::string& path,
                                    const std::vector<FileValue>& file_values,
                                    std::map<std::string, const std::string*>& idle) {
  std::vector<OwnValue> values;
  for (const auto& [command, flags] : given.own) {
    for (const std::string& flag : flags) {
      OwnValue value{command, flag, {}, {}};
      const std::string variable = environment_name(command, flag);
      if (const auto found = idle.find(variable); found != idle.end()) {
        value.texts = {*found->second};
        value.origin = {OriginKind::kEnvironment, variable};
        idle.erase(found);
      }
      for (const FileValue& in_file : file_values) {
        if (in_file.setting != nullptr || in_file.command != command || in_file.flag != flag)
          continue;
        value.texts = in_file.texts;
        value.origin = {OriginKind::kFile, fmt::format("{}:{}", path, in_file.line)};
      }
      if (value.origin.kind != OriginKind::kDefault) values.push_back(std::move(value));
    }
  }
  return values;
}

// Names that belong to the program and that no setting reads.
bool is_known_variable(const std::string& name) {
  return name == "TOKENMILL_CONFIG" || name == "TOKENMILL_BINARY" || name == "TOKENMILL_SHARED" ||
         name == "TOKENMILL_TEST_MODELS";
}

}  // namespace

std::string environment_name(const std::string& command, const std::string& flag) {
  const std::string joined = command + "-" + flag;
  return environment_name(Setting{joined, Kind::kText, 0, "", ""});
}

Environment system_environment() {
  Environment environment;
  for (char** at = ::environ; at != nullptr && *at != nullptr; ++at) {
    const std::string pair = *at;
    const size_t equals = pair.find('=');
    if (equals != std::string::npos)
      environment.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return environment;
}

Result<Settings> Settings::resolve(const Given& given) {
  Settings settings;
  std::vector<FileValue> file_values;
  const ConfigFile file = config_file_of(given);
  auto read = read_settings_file(file.path, given.own);
  if (read) {
    file_values = *std::move(read);
    settings.config_file_ = file.path;
  } else if (file.asked || read.error().code != Code::kNotFound) {
    Error error = std::move(read).error();
    error.code = Code::kInvalid;  // whatever is wrong with it, it is what the user told us to read
    return fail(std::move(error));
  }
  std::map<std::string, const std::string*> idle;
  for (const auto& [name, value] : given.environment) {
    if (name.rfind("TOKENMILL_", 0) == 0 && !is_known_variable(name)) idle.emplace(name, &value);
  }
  for (const Setting& setting : settings_table()) {
    const std::string name(setting.name);
    MILL_TRY(Value value, parse_value(setting, default_texts(setting), name, given.environment));
    Entry entry{&setting, std::move(value), {}};
    const std::string variable = environment_name(setting);
    if (const auto found = idle.find(variable); found != idle.end()) {
      MILL_TRY(entry.value, parse_value(setting, variable_texts(setting, *found->second), variable,
                                        given.environment));
      entry.origin = {OriginKind::kEnvironment, variable};
      idle.erase(found);
    }
    for (const FileValue& given_in_file : file_values) {
      if (given_in_file.setting != &setting) continue;
      const std::string where = fmt::format("{}:{}", file.path, given_in_file.line);
      MILL_TRY(entry.value, parse_value(setting, given_in_file.texts,
                                        fmt::format("{}: {}", where, name), given.environment));
      entry.origin = {OriginKind::kFile, where};
    }
    if (const auto flag = given.flags.find(name);
        flag != given.flags.end() && !flag->second.empty()) {
      MILL_TRY(entry.value, parse_value(setting, flag->second, "--" + name, given.environment));
      entry.origin = {OriginKind::kFlag, "--" + name};
    }
    settings.entries_.push_back(std::move(entry));
  }
  settings.own_values_ = own_values_of(given, file.path, file_values, idle);
  for (const auto& [name, value] : idle) settings.idle_variables_.push_back(name);
  return settings;
}

const Entry& Settings::entry(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.setting->name == name; });
  MILL_CHECK(found != entries_.end());
  return *found;
}

// The value of a setting that must be of the kind asked for; another kind is our own slip.
template <class T>
const T& held(const Entry& entry, std::initializer_list<Kind> kinds) {
  MILL_CHECK(std::find(kinds.begin(), kinds.end(), entry.setting->kind) != kinds.end());
  return *std::get_if<T>(&entry.value);
}

bool Settings::on(std::string_view name) const {
  return held<bool>(entry(name), {Kind::kSwitch});
}
int64_t Settings::integer(std::string_view name) const {
  return held<int64_t>(entry(name), {Kind::kInteger});
}
double Settings::real(std::string_view name) const {
  return held<double>(entry(name), {Kind::kReal});
}
int64_t Settings::bytes(std::string_view name) const {
  return held<int64_t>(entry(name), {Kind::kBytes});
}
Duration Settings::duration(std::string_view name) const {
  const auto nanoseconds = std::chrono::nanoseconds(held<int64_t>(entry(name), {Kind::kDuration}));
  return std::chrono::duration_cast<Duration>(nanoseconds);
}
const std::string& Settings::text(std::string_view name) const {
  return held<std::string>(entry(name), {Kind::kText, Kind::kSecret, Kind::kChoice});
}
std::filesystem::path Settings::path(std::string_view name) const {
  return held<std::string>(entry(name), {Kind::kPath});
}
const std::vector<std::string>& Settings::texts(std::string_view name) const {
  return held<std::vector<std::string>>(entry(name), {Kind::kTexts});
}
const std::vector<int64_t>& Settings::integers(std::string_view name) const {
  return held<std::vector<int64_t>>(entry(name), {Kind::kIntegers});
}
const Origin& Settings::origin(std::string_view name) const {
  return entry(name).origin;
}

}  // namespace mill::app
