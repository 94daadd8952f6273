// The one binary: every command adds itself, and the command line does the rest.
#include "app/books/commands.h"
#include "app/cmd_bench.h"
#include "app/cmd_config.h"
#include "app/cmd_doctor.h"
#include "app/cmd_models.h"
#include "app/cmd_perplexity.h"
#include "app/cmd_run.h"
#include "app/cmd_serve.h"
#include "app/cmd_template.h"
#include "app/cmd_tokenize.h"
#include "app/command_line.h"
#include "app/version.h"

int main(int argc, char** argv) {
  mill::app::CommandLine line(mill::app::version_text());
  mill::app::add_serve_command(line);
  mill::app::add_run_command(line);
  mill::app::add_models_command(line);
  mill::app::add_tokenize_command(line);
  mill::app::add_template_command(line);
  mill::app::add_perplexity_command(line);
  mill::app::add_bench_command(line);
  mill::app::add_doctor_command(line);
  mill::app::add_config_command(line);
  mill::app::add_books_commands(line);
  return line.run(argc, argv);
}
