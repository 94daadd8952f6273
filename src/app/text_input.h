// Text that a command was given: a file, or standard input.
#pragma once

#include <string>

#include "base/result.h"

namespace mill::app {

inline constexpr size_t kMaxTextInput = size_t{1} << 30;

// The bytes of the file at `path`; "-" is standard input. Fails with kNotFound, kPermission or kIo
// (naming the file), and kTooLarge over kMaxTextInput.
Result<std::string> read_text(const std::string& path);

}  // namespace mill::app
