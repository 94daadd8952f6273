// MILL_CHECK(condition): an invariant of ours. A broken one ends the process with file, line and condition; it is on in every
// build. Never use it on input: the world's faults are Results (result.h).
#pragma once

namespace mill {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define MILL_CHECK(condition)                                          \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::mill::check_failed(#condition, __FILE__, __LINE__);            \
  } while (false)
