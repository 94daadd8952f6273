// Reads the YAML file of settings: a flat map of names to values, and for each command that has
// flags of its own a map under the command's name (bench: {gen: 64}).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/settings_table.h"
#include "base/result.h"

namespace mill::app {

// Flags that one command alone has and that no row of the table describes: command -> names.
using OwnFlags = std::map<std::string, std::vector<std::string>>;

struct FileValue {
  const Setting* setting = nullptr;  // null for a command's own flag
  std::string command;               // of such a flag
  std::string flag;                  // its name
  std::vector<std::string> texts;    // one, or the items of a list
  int line = 0;                      // counted from 1
};

// kNotFound, kPermission or kIo when the file cannot be read; kInvalid with file:line and key for
// an unknown key, a key given twice, a value of the wrong shape or text that is no YAML; kTooLarge
// over 1 MiB.
Result<std::vector<FileValue>> read_settings_file(const std::string& path, const OwnFlags& own);

}  // namespace mill::app
