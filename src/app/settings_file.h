// Reads the YAML file of settings: one flat map, name to value.
#pragma once

#include <string>
#include <vector>

#include "app/settings_table.h"
#include "base/result.h"

namespace mill::app {

struct FileValue {
  const Setting* setting;
  std::vector<std::string> texts;  // one, or the items of a list
  int line = 0;                    // counted from 1
};

// kNotFound, kPermission or kIo when the file cannot be read; kInvalid with file:line and key for
// an unknown key, a key given twice, a value of the wrong shape or text that is no YAML; kTooLarge
// over 1 MiB.
Result<std::vector<FileValue>> read_settings_file(const std::string& path);

}  // namespace mill::app
