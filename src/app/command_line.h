// The command line as a whole: each command adds itself here; run() parses, settles the settings,
// runs the one that was chosen, and turns its outcome into an exit code.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/settings.h"
#include "base/result.h"

namespace mill::app {

inline constexpr int kUsageExit = 2;  // the command line, a setting or a file of settings is wrong
inline constexpr int kFailExit = 1;   // everything else that went wrong

class CommandLine {
 public:
  // `version` is what --version prints.
  explicit CommandLine(const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  using Action = std::function<Status(const Settings&)>;

  // Adds the command `name` under `parent` (null: the program itself), with the flags of every
  // setting whose `commands` has a bit of `commands`. The caller may add positional arguments and
  // options to the Command it gets back; they must outlive run(), as must what `action` refers to.
  // Such an option of a command under the program is the command's own flag: the YAML file can set
  // it under the command's name (bench: {gen: 64}) and so can the variable TOKENMILL_BENCH_GEN. An
  // action that is empty makes a command that only groups others.
  Command& add(Command* parent, const std::string& name, const std::string& help, uint32_t commands,
               Action action);

  // Exit code 0, kFailExit or kUsageExit; one sentence on standard error for the last two. A
  // command's error with Code::kInvalid counts as usage.
  int run(int argc, const char* const* argv);

 private:
  void add_flag(CLI::App& command, const Setting& setting);
  void find_own_flags();
  Status apply_own_values(const Settings& settings);
  int finish(const Status& outcome) const;

  struct OwnFlag {
    CLI::App* command;
    CLI::Option* option;
    std::string name;
    bool required;  // checked here, after the file and the environment have had their say
  };

  std::unique_ptr<CLI::App> root_;
  std::deque<Command> all_;
  std::vector<CLI::App*> commands_;  // those under the program
  std::vector<OwnFlag> own_flags_;
  Given given_;
  CLI::App* chosen_command_ = nullptr;
  Action chosen_;
};

// "tokenmill: MESSAGE" on standard error.
void print_error(const Error& error);

}  // namespace mill::app
