// Runs another program and hears what it says. No shell is involved.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mill::app {

struct ChildCommand {
  std::vector<std::string> words;  // the program (looked up in PATH) and its arguments
  std::filesystem::path folder;    // to run in; empty: here
  std::vector<std::pair<std::string, std::string>> environment;  // set for the child on top of ours
  // Hears the standard output; an error ends the child. Empty: the child's standard output is our
  // standard error.
  std::function<Status(std::span<const std::byte>)> output;
};

struct ChildEnd {
  int exit = 0;        // 128 + N when signal N ended it
  std::string errors;  // the last 16 KiB of its standard error
};

// Blocks until the child has ended. kNotFound when there is no such program, kIo when it cannot be
// started; the error of `output`.
Result<ChildEnd> run_child(const ChildCommand& command);

}  // namespace mill::app
