// `tokenmill bench`
#pragma once

#include "app/command_line.h"

namespace mill::app {
void add_bench_command(CommandLine& line);
}
