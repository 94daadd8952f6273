// `tokenmill perplexity`
#pragma once

#include "app/command_line.h"

namespace mill::app {
void add_perplexity_command(CommandLine& line);
}
