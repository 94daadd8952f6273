#include "device/limits.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace mill::device {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

int64_t number_in(const fs::path& file, int64_t otherwise) {
  return number_of(first_line(file)).value_or(otherwise);
}

// The control group's folders from the process's own up to the root: every one of them limits.
std::vector<fs::path> group_folders(const fs::path& root, std::string_view controller) {
  std::ifstream groups(root / "proc/self/cgroup");
  std::string line, path;
  fs::path base;
  while (std::getline(groups, line)) {  // "0::/a/b" (v2) or "4:memory:/a/b" (v1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names == ",,") {
      base = root / "sys/fs/cgroup";
      path = line.substr(second + 1);
    } else if (names.find("," + std::string(controller) + ",") != std::string::npos) {
      base = root / "sys/fs/cgroup" / controller;
      path = line.substr(second + 1);
      break;
    }
  }
  std::vector<fs::path> folders;
  if (base.empty()) return folders;
  for (fs::path at = fs::path(path).relative_path(); !at.empty(); at = at.parent_path())
    folders.push_back(base / at);
  folders.push_back(base);
  return folders;
}

int64_t group_memory_limit(const fs::path& folder) {
  const int64_t limit = std::min(number_in(folder / "memory.max", kUnlimited),
                                 number_in(folder / "memory.limit_in_bytes", kUnlimited));
  constexpr int64_t kPracticallyNone = int64_t{1} << 60;  // how v1 writes "no limit"
  return limit >= kPracticallyNone ? kUnlimited : limit;
}

// The number behind `key` in a file of lines "key number"; 0 when there is none. `key` has what
// stands between.
int64_t number_behind(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with(key)) continue;
    const size_t digits = line.find_first_of("0123456789", key.size());
    if (digits != std::string::npos)
      return number_of(std::string_view(line).substr(digits)).value_or(0);
  }
  return 0;
}

// Of the pages of files that a group is charged with, those that can go at once: what was not used
// lately, and half of the rest, as the kernel reckons MemAvailable.
int64_t group_file_pages(const fs::path& folder, const std::string& prefix) {
  const fs::path stat = folder / "memory.stat";
  return number_behind(stat, prefix + "inactive_file ") +
         number_behind(stat, prefix + "active_file ") / 2;
}

int64_t group_memory_left(const fs::path& folder) {
  const int64_t limit = group_memory_limit(folder);
  if (limit == kUnlimited) return kUnlimited;
  const int64_t used = std::max(number_in(folder / "memory.current", 0),
                                number_in(folder / "memory.usage_in_bytes", 0));
  const bool v1 = fs::exists(folder / "memory.usage_in_bytes");
  const int64_t can_go = std::min(used, group_file_pages(folder, v1 ? "total_" : ""));
  return std::clamp<int64_t>(limit - used + can_go, 0, limit);
}

// Cores that a quota of microseconds per period is worth, rounded up.
int64_t group_cores(const fs::path& folder) {
  int64_t quota = number_in(folder / "cpu.cfs_quota_us", -1);
  int64_t period = number_in(folder / "cpu.cfs_period_us", 0);
  std::istringstream both(first_line(folder / "cpu.max"));  // "200000 100000" or "max 100000"
  std::string first, second;
  if (both >> first >> second) {
    quota = number_of(first).value_or(-1);
    period = number_of(second).value_or(0);
  }
  if (quota <= 0 || period <= 0) return kUnlimited;
  return (quota + period - 1) / period;
}

}  // namespace

int usable_cores(const fs::path& root, int affinity_cores) {
  int64_t cores = affinity_cores;
  for (const fs::path& folder : group_folders(root, "cpu"))
    cores = std::min(cores, group_cores(folder));
  return static_cast<int>(std::max<int64_t>(1, cores));
}

int usable_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const bool known = ::sched_getaffinity(0, sizeof mask, &mask) == 0;
  return usable_cores("/", known ? CPU_COUNT(&mask) : 1);
}

int64_t available_memory_bytes(const fs::path& root) {
  int64_t available = number_behind(root / "proc/meminfo", "MemAvailable:") * 1024;
  for (const fs::path& folder : group_folders(root, "memory"))
    available = std::min(available, group_memory_left(folder));
  return available;
}

GroupLimits group_limits(const fs::path& root) {
  int64_t cores = kUnlimited;
  int64_t memory = kUnlimited;
  for (const fs::path& folder : group_folders(root, "cpu"))
    cores = std::min(cores, group_cores(folder));
  for (const fs::path& folder : group_folders(root, "memory")) {
    memory = std::min(memory, group_memory_limit(folder));
  }
  GroupLimits limits;
  if (cores != kUnlimited) limits.cores = cores;
  if (memory != kUnlimited) limits.memory_bytes = memory;
  return limits;
}

int64_t anonymous_memory_bytes(const fs::path& root) {
  return number_behind(root / "proc/self/status", "RssAnon:") * 1024;
}

int64_t anonymous_memory_bytes() {
  return anonymous_memory_bytes("/");
}

int64_t available_memory_bytes() {
  return available_memory_bytes("/");
}

}  // namespace mill::device
