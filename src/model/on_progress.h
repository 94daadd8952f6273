// How a long load tells how far it is, and is told to stop.
#pragma once

#include <functional>

namespace mill::model {

// Hears a growing share in [0, 1]; false: give it up. Called on the thread that loads, which may be
// kept for a while. May be empty.
using OnProgress = std::function<bool(double)>;

}  // namespace mill::model
