#include "app/cmd_config.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>

namespace mill::app {
namespace {

std::string_view origin_word(OriginKind kind) {
  switch (kind) {
    case OriginKind::kFlag:
      return "flag";
    case OriginKind::kFile:
      return "file";
    case OriginKind::kEnvironment:
      return "environment";
    default:
      return "default";
  }
}

boost::json::value json_value(const Entry& entry) {
  if (entry.setting->kind == Kind::kSecret)
    return boost::json::string(render(*entry.setting, entry.value));
  if (entry.setting->kind == Kind::kDuration) {
    return static_cast<double>(std::get<int64_t>(entry.value)) / 1e9;  // seconds
  }
  return std::visit([](const auto& held) { return boost::json::value_from(held); }, entry.value);
}

std::string settings_json(const Settings& settings) {
  boost::json::object values;
  for (const Entry& entry : settings.entries()) {
    boost::json::object one{{"value", json_value(entry)}, {"from", origin_word(entry.origin.kind)}};
    if (!entry.origin.where.empty()) one["where"] = entry.origin.where;
    values[entry.setting->name] = std::move(one);
  }
  boost::json::object own;
  for (const OwnValue& value : settings.own_values()) {
    own[value.command + "." + value.flag] =
        boost::json::object{{"value", boost::json::value_from(value.texts)},
                            {"from", origin_word(value.origin.kind)},
                            {"where", value.origin.where}};
  }
  boost::json::object all{{"settings", std::move(values)},
                          {"command_flags", std::move(own)},
                          {"unused_variables", boost::json::value_from(settings.idle_variables())}};
  all["config_file"] = nullptr;
  if (!settings.config_file().empty()) all["config_file"] = settings.config_file();
  return boost::json::serialize(all) + "\n";
}

std::string settings_text(const Settings& settings) {
  std::string text = settings.config_file().empty()
                         ? std::string("No file of settings was read.\n")
                         : fmt::format("File of settings: {}\n", settings.config_file());
  for (const Entry& entry : settings.entries()) {
    const std::string from =
        entry.origin.kind == OriginKind::kDefault ? "default" : entry.origin.where;
    text += fmt::format("{:<17} {:<32} {}\n", entry.setting->name,
                        render(*entry.setting, entry.value), from);
  }
  for (const OwnValue& value : settings.own_values()) {
    text += fmt::format("{:<17} {:<32} {}\n", value.command + "." + value.flag,
                        fmt::join(value.texts, ", "), value.origin.where);
  }
  for (const std::string& variable : settings.idle_variables()) {
    text += fmt::format("Note: the variable {} sets nothing.\n", variable);
  }
  return text;
}

}  // namespace

std::string describe_settings(const Settings& settings, bool json) {
  return json ? settings_json(settings) : settings_text(settings);
}

void add_config_command(CommandLine& line) {
  // Every flag of every command is a flag here too, so that `config` can be put in the place of any
  // command.
  line.add(nullptr, "config", "Print the settings in force and where each came from", kEvery,
           [](const Settings& settings) -> Status {
             std::fputs(describe_settings(settings, settings.on("json")).c_str(), stdout);
             return {};
           });
}

}  // namespace mill::app
