// `tokenmill serve`
#pragma once

#include "app/command_line.h"

namespace mill::app {
void add_serve_command(CommandLine& line);
}
