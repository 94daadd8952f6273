// The one table of settings. The command line, --help, the environment, the YAML file and
// `tokenmill config` are all derived from it: a setting named `max-batch` is the flag --max-batch,
// the key `max-batch` and the variable TOKENMILL_MAX_BATCH.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mill::app {

enum class Kind {
  kSwitch,    // on or off; given alone on the command line it means on
  kInteger,   // a whole number in [low, high]
  kReal,      // a number in [low, high]
  kBytes,     // 1048576, 64KiB, 2GB …; low and high in bytes
  kDuration,  // 500ms, 30s, 2m, 1h; low and high in seconds
  kText,      // any text
  kSecret,    // text that is never printed
  kPath,      // a file or folder; a leading ~/ is the home folder
  kChoice,    // one of `choices`
  kTexts,     // a list: a repeated flag, a YAML list, or a comma-separated variable
  kIntegers,  // a list of whole numbers in [low, high], commas allowed everywhere
};

// The commands that take a setting as a flag, as bits.
enum Commands : uint32_t {
  kServe = 1,
  kRun = 2,
  kModels = 4,
  kTokenize = 8,
  kTemplate = 16,
  kPerplexity = 32,
  kBench = 64,
  kDoctor = 128,
  kConfig = 256,
  kDesk = 512,    // those that administrate a running server
  kLedger = 1024,
  kEvery = 2047,
};

struct Setting {
  std::string_view name;
  Kind kind;
  uint32_t commands;  // Commands, or-ed
  std::string_view
      fallback;  // the default as a user would type it; "" means none (an empty list, no text)
  std::string_view help;
  double low = 0;
  double high = 0;
  std::string_view choices = {};  // "debug|info|warn|error"
};

std::span<const Setting> settings_table();

// Null when there is no such setting.
const Setting* find_setting(std::string_view name);

// "max-batch" -> "TOKENMILL_MAX_BATCH"
std::string environment_name(const Setting& setting);

// The setting whose name is nearest to a mistyped one, or "" when none is near.
std::string_view nearest_setting(std::string_view mistyped);

}  // namespace mill::app
