// `tokenmill doctor`: what this machine is and what to change for more speed.
#pragma once

#include "app/command_line.h"

namespace mill::app {

void add_doctor_command(CommandLine& line);

}  // namespace mill::app
