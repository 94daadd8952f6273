// `tokenmill config`: what is in force and where each value came from.
#pragma once

#include "app/command_line.h"

namespace mill::app {

void add_config_command(CommandLine& line);

// The text of the command; `json` gives one JSON object instead.
std::string describe_settings(const Settings& settings, bool json);

}  // namespace mill::app
