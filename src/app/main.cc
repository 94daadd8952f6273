// The one binary: understands the command line, runs the chosen command, and turns its outcome into
// an exit code.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/version.h"

namespace {

constexpr int kUsageExit = 2;

// What CLI11 found wrong with the command line, or the text that --help or --version asked for.
int answer_parse_end(const CLI::App& cli, const CLI::ParseError& end) {
  if (end.get_exit_code() == 0) return cli.exit(end);
  std::fprintf(stderr, "tokenmill: %s (see tokenmill --help)\n", end.what());
  return kUsageExit;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("Serves language models on this machine through the OpenAI API.", "tokenmill");
  cli.set_version_flag("--version", mill::app::version_text());
  cli.require_subcommand(0, 1);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    return answer_parse_end(cli, end);
  }
  std::fputs(cli.help().c_str(), stdout);
  return 0;
}
