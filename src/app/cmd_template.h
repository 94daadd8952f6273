// `tokenmill template`
#pragma once

#include "app/command_line.h"

namespace mill::app {
void add_template_command(CommandLine& line);
}
