// What this process may use of the machine: the less of what the machine has and what its control
// group (cgroup v1 or v2) allows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace mill::device {

// Cores that this process may run on at a time: its affinity mask, cut to the control group's CPU
// quota (rounded up). At least 1.
int usable_cores();

// Bytes that can be taken without pushing anything out: the kernel's MemAvailable, cut to what the
// control group has left. Pages of files that the kernel would let go of count as left.
int64_t available_memory_bytes();

// Bytes of this process that no file stands behind and that it has touched: heap, weights, keys and
// values. 0 where the system doesn't say.
int64_t anonymous_memory_bytes();

// The same read from another root than /, for tests: `root`/proc/meminfo, `root`/proc/self/cgroup,
// `root`/sys/fs/cgroup/…
int usable_cores(const std::filesystem::path& root, int affinity_cores);
int64_t available_memory_bytes(const std::filesystem::path& root);
int64_t anonymous_memory_bytes(const std::filesystem::path& root);

// What the process's control groups allow, the tightest of them; nothing where none limits.
struct GroupLimits {
  std::optional<int64_t> cores;         // the CPU quota, rounded up
  std::optional<int64_t> memory_bytes;  // used and free together
};
GroupLimits group_limits(const std::filesystem::path& root);

}  // namespace mill::device
