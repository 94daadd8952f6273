// `tokenmill run`
#pragma once

#include "app/command_line.h"

namespace mill::app {
void add_run_command(CommandLine& line);
}
