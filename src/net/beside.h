// Runs a task beside the one that calls, on the same loop: the two never run at the same time.
#pragma once

#include "base/task.h"

namespace mill::net {

// Starts `task` at the caller's next wait. The task must own, or outlive the use of, what it works
// on: nobody waits for its end. It must not fail: an exception that leaves it ends the process.
Task<void> start_beside(Task<void> task);

}  // namespace mill::net
