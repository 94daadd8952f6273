// How many files and connections this process may have open.
#pragma once

#include <cstdint>
#include <string>

namespace mill::app {

// Raises the soft limit (RLIMIT_NOFILE) to the hard one and gives what is then in force.
int64_t raise_open_file_limit();

// What to say when `limit` open files don't suffice for `connections`; "" when they do. Besides the
// connections the process needs some for models, logs and those it turns away.
std::string open_file_warning(int64_t limit, int64_t connections);

}  // namespace mill::app
