// What this machine is: processor, caches, memory, NUMA nodes, huge pages, accelerators. Read from
// /proc and /sys, of which any file may be absent or hold nonsense: then its field is empty or 0,
// and nothing else happens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "device/isa.h"
#include "device/limits.h"

namespace mill::device {

struct Cache {
  int level = 0;
  std::string type;   // "Data", "Instruction", "Unified"
  int64_t bytes = 0;  // of one
  int count = 0;      // such caches in the machine
};

struct NumaNode {
  int id = 0;
  int logical_cpus = 0;
  int64_t memory_bytes = 0;
};

struct HugePages {
  std::string
      mode;  // of transparent huge pages: "always", "madvise", "never"; "" when the kernel has none
  int64_t page_bytes = 0;  // of a huge page
  int64_t reserved = 0;    // pages set aside by the administrator
};

struct Accelerator {
  std::string kind;         // "NVIDIA GPU", "Ascend NPU", "AMD GPU", "Intel GPU", "accelerator"
  std::string path;         // "/dev/nvidia0"
  bool accessible = false;  // this process may open it
};

struct Machine {
  std::string cpu;           // as the processor names itself
  std::string architecture;  // "x86_64"
  bool virtual_machine = false;
  int sockets = 0;
  int cores = 0;         // physical
  int logical_cpus = 0;  // online; more than `cores` with SMT
  int allowed_cpus = 0;  // by this process's affinity mask
  int usable_cores = 0;  // limits.h: the mask and the control group's quota
  std::vector<Cache> caches;
  std::vector<NumaNode> nodes;
  int64_t memory_bytes = 0;
  int64_t available_bytes = 0;  // limits.h: also what the control group has left
  GroupLimits group;
  HugePages huge_pages;
  std::string governor;  // of the clock frequency: "performance", "powersave"; "" when the system
                         // does not say
  double load = 0;       // programs that want a core, mean of the last minute
  std::vector<Accelerator> accelerators;
};

Machine read_machine();

// The same from another root than /, for tests. `allowed_cpus` stands for the affinity mask.
Machine read_machine(const std::filesystem::path& root, int allowed_cpus);

// Bytes of all caches of the highest level together; 0 when unknown.
int64_t last_level_cache_bytes(const Machine& machine);

}  // namespace mill::device
