// What was built, from which commit and by which compiler.
#pragma once

#include <string>

namespace mill::app {

// "0.1.0"
std::string version_number();

// The lines of `tokenmill --version`: version and commit, compiler and kind of build, kernels.
std::string version_text();

}  // namespace mill::app
