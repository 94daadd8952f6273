// The command line as a whole: each command adds itself here; run() parses, settles the settings,
// runs the one that was chosen, and turns its outcome into an exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "app/settings.h"
#include "base/result.h"

namespace mill::app {

inline constexpr int kUsageExit = 2;  // the command line, a setting or a file of settings is wrong
inline constexpr int kFailExit = 1;   // everything else that went wrong

class CommandLine {
 public:
  // `version` is what --version prints.
  explicit CommandLine(const std::string& version);

  using Action = std::function<Status(const Settings&)>;

  // Adds the command `name` under `parent` (null: the program itself), with the flags of every
  // setting whose `commands` has a bit of `commands`. The caller may add positional arguments to
  // the CLI::App it gets back; they must outlive run(), as must what `action` refers to. An action
  // that is empty makes a command that only groups others.
  CLI::App& add(CLI::App* parent, const std::string& name, const std::string& help,
                uint32_t commands, Action action);

  // Exit code 0, kFailExit or kUsageExit; one sentence on standard error for the last two. A
  // command's error with Code::kInvalid counts as usage.
  int run(int argc, const char* const* argv);

 private:
  void add_flag(CLI::App& command, const Setting& setting);
  int finish(const Status& outcome) const;

  CLI::App root_;
  Given given_;
  Action chosen_;
};

// "tokenmill: MESSAGE" on standard error.
void print_error(const Error& error);

}  // namespace mill::app
