// The settings in force, and where each came from: a flag, else the YAML file, else the
// environment, else the default.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/settings_file.h"
#include "app/settings_table.h"
#include "base/clock.h"
#include "base/result.h"

namespace mill::app {

using Environment = std::map<std::string, std::string>;

// The variables of this process.
Environment system_environment();

// What the outside world said, as text, before anything is checked.
struct Given {
  std::map<std::string, std::vector<std::string>>
      flags;                               // setting name -> every value given on the command line
  std::optional<std::string> config_file;  // --config
  Environment environment;
  OwnFlags own;  // the flags that single commands have beside the table's
};

enum class OriginKind { kDefault, kEnvironment, kFile, kFlag };
struct Origin {
  OriginKind kind = OriginKind::kDefault;
  std::string where;  // "--port", "/home/a/config.yaml:3", "TOKENMILL_PORT"; empty for a default
};

// kSwitch: bool · kInteger, kBytes, kDuration (nanoseconds): int64 · kReal: double · kText,
// kSecret, kPath, kChoice: string · kTexts: strings · kIntegers: int64s.
using Value = std::variant<bool, int64_t, double, std::string, std::vector<std::string>,
                           std::vector<int64_t>>;

struct Entry {
  const Setting* setting;
  Value value;
  Origin origin;
};

// A flag of one command alone that the YAML file or the environment sets. The command line reads
// and checks the texts.
struct OwnValue {
  std::string command;
  std::string flag;
  std::vector<std::string> texts;
  Origin origin;
};

class Settings {
 public:
  // Reads the config file that `given` names (--config, else $TOKENMILL_CONFIG, else
  // ~/.config/tokenmill/config.yaml where it exists) and decides every setting. kInvalid with one
  // sentence that names the flag, the variable, or file:line and key, when any value given is
  // wrong, even one that a stronger origin covers.
  static Result<Settings> resolve(const Given& given);

  // Requires: `name` is in the table and of that kind.
  bool on(std::string_view name) const;                                // kSwitch
  int64_t integer(std::string_view name) const;                        // kInteger
  double real(std::string_view name) const;                            // kReal
  int64_t bytes(std::string_view name) const;                          // kBytes
  Duration duration(std::string_view name) const;                      // kDuration
  const std::string& text(std::string_view name) const;                // kText, kSecret, kChoice
  std::filesystem::path path(std::string_view name) const;             // kPath; empty when not set
  const std::vector<std::string>& texts(std::string_view name) const;  // kTexts
  const std::vector<int64_t>& integers(std::string_view name) const;   // kIntegers

  const Origin& origin(std::string_view name) const;
  const std::vector<Entry>& entries() const { return entries_; }   // in the order of the table
  const std::string& config_file() const { return config_file_; }  // "" when none was read
  const std::vector<OwnValue>& own_values() const { return own_values_; }
  // Variables that begin with TOKENMILL_ and that no setting reads: most likely a slip.
  const std::vector<std::string>& idle_variables() const { return idle_variables_; }

 private:
  const Entry& entry(std::string_view name) const;

  std::vector<Entry> entries_;  // [settings_table().size()]
  std::vector<OwnValue> own_values_;
  std::string config_file_;
  std::vector<std::string> idle_variables_;
};

// ("bench", "gen") -> "TOKENMILL_BENCH_GEN"
std::string environment_name(const std::string& command, const std::string& flag);

// Reads `texts` as a value of the setting. `subject` ("--port", "config.yaml:3: port") begins the
// sentence of a failure, kInvalid.
Result<Value> parse_value(const Setting& setting, const std::vector<std::string>& texts,
                          std::string_view subject, const Environment& environment);

// For people: "8 MiB", "30s", "a, b"; a secret that is set shows as "(set)", an empty value as
// "(none)".
std::string render(const Setting& setting, const Value& value);

// "~/x", "$DATA/x" ($XDG_DATA_HOME/tokenmill) and "$CONFIG/x" ($XDG_CONFIG_HOME/tokenmill) made
// whole.
std::string expand_path(std::string_view path, const Environment& environment);

}  // namespace mill::app
