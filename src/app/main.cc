// The one binary: every command adds itself, and the command line does the rest.
#include "app/cmd_config.h"
#include "app/cmd_models.h"
#include "app/command_line.h"
#include "app/version.h"

int main(int argc, char** argv) {
  mill::app::CommandLine line(mill::app::version_text());
  mill::app::add_config_command(line);
  mill::app::add_models_command(line);
  return line.run(argc, argv);
}
