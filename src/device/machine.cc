#include "device/machine.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>

#include "device/system_text.h"

namespace mill::device {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBytes = int64_t{1} << 56;  // anything above is nonsense

int64_t kilobytes(const std::string& value) {
  const int64_t count = leading_number(value).value_or(0);
  return count > 0 && count < kMostBytes / 1024 ? count * 1024 : 0;
}

// "32K", "1024K", "32M"
int64_t cache_bytes(const std::string& text) {
  const int64_t count = leading_number(text).value_or(0);
  if (count <= 0 || count > kMostBytes >> 30 || text.empty()) return 0;
  switch (text.back()) {
    case 'K':
      return count << 10;
    case 'M':
      return count << 20;
    case 'G':
      return count << 30;
    default:
      return count;
  }
}

std::vector<fs::path> online_cpus(const fs::path& root) {
  const fs::path folder = root / "sys/devices/system/cpu";
  const std::vector<int> online = numbers_in_list(small_text(folder / "online"));
  std::vector<fs::path> cpus;
  for (const int cpu : online) cpus.push_back(folder / ("cpu" + std::to_string(cpu)));
  return cpus.empty() ? numbered_entries(folder, "cpu") : cpus;
}

void read_topology(const std::vector<fs::path>& cpus, Machine& machine) {
  std::set<std::string> sockets;
  std::set<std::string> cores;
  for (const fs::path& cpu : cpus) {
    const std::string siblings = word_in(cpu / "topology/thread_siblings_list");
    sockets.insert(word_in(cpu / "topology/physical_package_id"));
    cores.insert(siblings.empty() ? cpu.filename().string() : siblings);
  }
  machine.logical_cpus = static_cast<int>(cpus.size());
  machine.sockets = static_cast<int>(sockets.size());
  machine.cores = static_cast<int>(cores.size());
}

void read_caches(const std::vector<fs::path>& cpus, Machine& machine) {
  using Key = std::tuple<int, std::string, int64_t>;
  std::map<Key, std::set<std::string>>
      owners;  // of each kind of cache, by the processors that share one
  for (const fs::path& cpu : cpus) {
    for (const fs::path& index : numbered_entries(cpu / "cache", "index")) {
      const auto level = static_cast<int>(
          std::clamp<int64_t>(leading_number(word_in(index / "level")).value_or(0), 0, 9));
      const int64_t bytes = cache_bytes(word_in(index / "size"));
      if (level == 0 || bytes == 0) continue;
      owners[{level, word_in(index / "type"), bytes}].insert(word_in(index / "shared_cpu_list"));
    }
  }
  for (const auto& [key, shared] : owners) {
    machine.caches.push_back(
        {std::get<0>(key), std::get<1>(key), std::get<2>(key), static_cast<int>(shared.size())});
  }
}

void read_memory(const fs::path& root, Machine& machine) {
  const std::string meminfo = small_text(root / "proc/meminfo");
  machine.memory_bytes = kilobytes(value_of(meminfo, "MemTotal"));
  machine.huge_pages.page_bytes = kilobytes(value_of(meminfo, "Hugepagesize"));
  machine.huge_pages.reserved =
      std::max<int64_t>(0, leading_number(value_of(meminfo, "HugePages_Total")).value_or(0));
  // "always [madvise] never": the mode in force stands in brackets.
  const std::string modes = word_in(root / "sys/kernel/mm/transparent_hugepage/enabled");
  const size_t open = modes.find('[');
  const size_t close = modes.find(']', open == std::string::npos ? modes.size() : open);
  if (close != std::string::npos)
    machine.huge_pages.mode = modes.substr(open + 1, close - open - 1);
}

void read_nodes(const fs::path& root, Machine& machine) {
  for (const fs::path& node : numbered_entries(root / "sys/devices/system/node", "node")) {
    NumaNode one;
    one.id = static_cast<int>(leading_number(node.filename().string().substr(4)).value_or(0));
    one.logical_cpus = static_cast<int>(numbers_in_list(small_text(node / "cpulist")).size());
    const std::string key = "Node " + std::to_string(one.id) + " MemTotal";
    one.memory_bytes = kilobytes(value_of(small_text(node / "meminfo"), key));
    machine.nodes.push_back(one);
  }
}

void add_devices(const fs::path& root, const char* folder, const char* prefix, const char* kind,
                 Machine& machine) {
  for (const fs::path& device : numbered_entries(root / folder, prefix)) {
    machine.accelerators.push_back({kind, "/" + device.lexically_relative(root).string(),
                                    ::access(device.c_str(), R_OK | W_OK) == 0});
  }
}

// Graphics cards by the vendor's PCI number; others than these three only draw the console.
void add_cards(const fs::path& root, Machine& machine) {
  const bool nvidia_seen = !machine.accelerators.empty();
  for (const fs::path& card : numbered_entries(root / "sys/class/drm", "card")) {
    const std::string vendor = word_in(card / "device/vendor");
    const char* kind = vendor == "0x1002"   ? "AMD GPU"
                       : vendor == "0x8086" ? "Intel GPU"
                       : vendor == "0x10de" ? "NVIDIA GPU"
                                            : nullptr;
    if (kind == nullptr || (vendor == "0x10de" && nvidia_seen)) continue;
    const fs::path device = root / "dev/dri" / card.filename();
    machine.accelerators.push_back(
        {kind, "/dev/dri/" + card.filename().string(), ::access(device.c_str(), R_OK | W_OK) == 0});
  }
}

}  // namespace

Machine read_machine(const fs::path& root, int allowed_cpus) {
  Machine machine;
  const std::string cpuinfo = small_text(root / "proc/cpuinfo");
  machine.cpu = value_of(cpuinfo, "model name");
  if (machine.cpu.empty()) machine.cpu = value_of(cpuinfo, "Model");
  utsname system{};
  if (::uname(&system) == 0) machine.architecture = system.machine;
  machine.virtual_machine = cpuinfo.find(" hypervisor") != std::string::npos;
  const std::vector<fs::path> cpus = online_cpus(root);
  read_topology(cpus, machine);
  machine.allowed_cpus = std::max(1, allowed_cpus);
  machine.usable_cores = usable_cores(root, machine.allowed_cpus);
  // Where /sys tells nothing, what this process may use is all that is known.
  if (machine.logical_cpus == 0) machine.logical_cpus = machine.cores = machine.allowed_cpus;
  read_caches(cpus, machine);
  read_nodes(root, machine);
  read_memory(root, machine);
  machine.available_bytes = available_memory_bytes(root);
  machine.group = group_limits(root);
  if (!cpus.empty()) machine.governor = word_in(cpus.front() / "cpufreq/scaling_governor");
  const double load = std::strtod(word_in(root / "proc/loadavg").c_str(), nullptr);
  machine.load = load >= 0 && load < 1e6 ? load : 0;
  add_devices(root, "dev", "nvidia", "NVIDIA GPU", machine);
  add_cards(root, machine);
  add_devices(root, "dev", "davinci", "Ascend NPU", machine);
  add_devices(root, "dev/accel", "accel", "accelerator", machine);
  return machine;
}

Machine read_machine() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const bool known = ::sched_getaffinity(0, sizeof mask, &mask) == 0;
  return read_machine("/",
                      known ? CPU_COUNT(&mask) : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

int64_t last_level_cache_bytes(const Machine& machine) {
  int level = 0;
  int64_t bytes = 0;
  for (const Cache& cache : machine.caches) {
    if (cache.level > level) bytes = 0;
    if (cache.level >= level && cache.type != "Instruction") bytes += cache.bytes * cache.count;
    level = std::max(level, cache.level);
  }
  return bytes;
}

}  // namespace mill::device
