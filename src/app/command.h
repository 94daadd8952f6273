// What a command takes from the command line: a narrow door to CLI11, whose header every file that
// sees it compiles anew.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mill::app {

// One option or positional argument; a handle that lives as long as its CommandLine.
class Option {
 public:
  Option& required();
  Option& show_default();  // --help tells the value that the variable has now
  Option& delimiter(char separator);
  Option& type_name(const std::string& word);
  // Requires: T is int, int64_t or double.
  template <class T>
  Option& range(T lowest, T highest);
  Option& at_least_zero();
  Option& one_of(const std::vector<std::string>& words);
  // Calls `told` with each text that was given.
  Option& each(const std::function<void(const std::string&)>& told);

 private:
  friend class Command;
  explicit Option(CLI::Option* option) : option_(option) {}

  CLI::Option* option_;
};

// A command, or a group of commands. CommandLine owns it; what its options are read into must
// outlive CommandLine::run().
class Command {
 public:
  explicit Command(CLI::App& app) : app_(app) {}
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Names as CLI11 reads them: "WORD" is positional, "--word" an option, "word,--word" either.
  // Requires: T is int, int64_t, uint64_t, double, std::string, an optional int64_t or double, or a
  // vector of int, int64_t, double or std::string.
  template <class T>
  Option add_option(const std::string& names, T& into, const std::string& help);
  Option add_flag(const std::string& names, bool& into, const std::string& help);

 private:
  friend class CommandLine;
  CLI::App& app_;
};

}  // namespace mill::app
