// `tokenmill tokenize`
#pragma once

#include "app/command_line.h"

namespace mill::app {
void add_tokenize_command(CommandLine& line);
}
