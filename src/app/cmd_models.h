// `tokenmill models list | pull | show | verify | rm`.
#pragma once

#include "app/command_line.h"

namespace mill::app {

void add_models_command(CommandLine& line);

}  // namespace mill::app
