#include "device/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "device/system_text.h"

namespace mill::device {
namespace {

namespace fs = std::filesystem;

// A folder that stands in for /.
class MachineTest : public testing::Test {
 protected:
  MachineTest()
      : root_(fs::temp_directory_path() / ("mill_machine_" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
  }
  ~MachineTest() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  // Two sockets of two cores with two threads each; one node a socket.
  void build_server() {
    write("proc/cpuinfo",
          "processor\t: 0\nmodel name\t: Example 9000\nflags\t\t: fpu hypervisor "
          "avx2\n\nprocessor\t: 1\n");
    write("proc/meminfo",
          "MemTotal:       32000000 kB\nMemAvailable:   20000000 kB\nHugePages_Total:       "
          "7\nHugepagesize:       2048 kB\n");
    write("proc/loadavg", "1.25 1.00 0.50 1/200 4242\n");
    write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    write("sys/devices/system/cpu/online", "0-7\n");
    for (int cpu = 0; cpu < 8; ++cpu) {
      const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/";
      const int core = cpu % 4;
      const std::string siblings = std::to_string(core) + "," + std::to_string(core + 4) + "\n";
      write(folder + "topology/physical_package_id", std::to_string(core / 2) + "\n");
      write(folder + "topology/thread_siblings_list", siblings);
      write(folder + "cpufreq/scaling_governor", "powersave\n");
      write(folder + "cache/index0/level", "1\n");
      write(folder + "cache/index0/type", "Data\n");
      write(folder + "cache/index0/size", "32K\n");
      write(folder + "cache/index0/shared_cpu_list", siblings);
      write(folder + "cache/index3/level", "3\n");
      write(folder + "cache/index3/type", "Unified\n");
      write(folder + "cache/index3/size", "16M\n");
      write(folder + "cache/index3/shared_cpu_list", core < 2 ? "0-1,4-5\n" : "2-3,6-7\n");
    }
    for (int node = 0; node < 2; ++node) {
      const std::string folder = "sys/devices/system/node/node" + std::to_string(node) + "/";
      write(folder + "cpulist", node == 0 ? "0-1,4-5\n" : "2-3,6-7\n");
      write(folder + "meminfo", "Node " + std::to_string(node) + " MemTotal:       16000000 kB\n");
    }
  }
  fs::path root_;
};

TEST_F(MachineTest, AServer) {
  build_server();
  write("dev/nvidia0", "");
  write("dev/nvidia1", "");
  write("dev/nvidiactl", "");
  write("dev/davinci0", "");
  write("dev/accel/accel0", "");
  write("sys/class/drm/card0/device/vendor", "0x10de\n");
  write("sys/class/drm/card1/device/vendor", "0x1002\n");
  write("sys/class/drm/card2/device/vendor", "0x1a03\n");
  write("sys/class/drm/card0-DP-1/status", "connected\n");
  const Machine machine = read_machine(root_, 6);
  EXPECT_EQ(machine.cpu, "Example 9000");
  EXPECT_TRUE(machine.virtual_machine);
  EXPECT_EQ(machine.logical_cpus, 8);
  EXPECT_EQ(machine.cores, 4);
  EXPECT_EQ(machine.sockets, 2);
  EXPECT_EQ(machine.allowed_cpus, 6);
  EXPECT_EQ(machine.usable_cores, 6);
  EXPECT_EQ(machine.governor, "powersave");
  EXPECT_DOUBLE_EQ(machine.load, 1.25);
  ASSERT_EQ(machine.caches.size(), 2u);
  EXPECT_EQ(machine.caches[0].count, 4);
  EXPECT_EQ(machine.caches[0].bytes, 32 << 10);
  EXPECT_EQ(machine.caches[1].count, 2);
  EXPECT_EQ(last_level_cache_bytes(machine), 32 << 20);
  ASSERT_EQ(machine.nodes.size(), 2u);
  EXPECT_EQ(machine.nodes[1].logical_cpus, 4);
  EXPECT_EQ(machine.nodes[1].memory_bytes, 16000000LL * 1024);
  EXPECT_EQ(machine.memory_bytes, 32000000LL * 1024);
  EXPECT_EQ(machine.available_bytes, 20000000LL * 1024);
  EXPECT_EQ(machine.huge_pages.mode, "madvise");
  EXPECT_EQ(machine.huge_pages.page_bytes, 2 << 20);
  EXPECT_EQ(machine.huge_pages.reserved, 7);
  std::vector<std::string> found;
  for (const Accelerator& one : machine.accelerators) found.push_back(one.kind + " " + one.path);
  EXPECT_EQ(found, (std::vector<std::string>{"NVIDIA GPU /dev/nvidia0", "NVIDIA GPU /dev/nvidia1",
                                             "AMD GPU /dev/dri/card1", "Ascend NPU /dev/davinci0",
                                             "accelerator /dev/accel/accel0"}));
  EXPECT_TRUE(machine.accelerators[0].accessible);
  EXPECT_FALSE(machine.accelerators[2].accessible);
}

TEST_F(MachineTest, AnEmptySystemIsNoTrouble) {
  const Machine machine = read_machine(root_, 3);
  EXPECT_EQ(machine.cpu, "");
  EXPECT_EQ(machine.logical_cpus, 3);
  EXPECT_EQ(machine.cores, 3);
  EXPECT_EQ(machine.usable_cores, 3);
  EXPECT_EQ(machine.memory_bytes, 0);
  EXPECT_TRUE(machine.caches.empty());
  EXPECT_TRUE(machine.nodes.empty());
  EXPECT_TRUE(machine.accelerators.empty());
  EXPECT_EQ(machine.huge_pages.mode, "");
  EXPECT_EQ(last_level_cache_bytes(machine), 0);
  EXPECT_EQ(read_machine(root_ / "not there", 0).allowed_cpus, 1);
}

TEST_F(MachineTest, NonsenseIsNoTrouble) {
  build_server();
  constexpr char kNoise[] = "\xff\x00\x1b[31m]:::,-,9-1,999999999999999999999";
  const std::string noise(kNoise, sizeof kNoise - 1);
  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (entry.is_regular_file()) std::ofstream(entry.path()) << noise;
  }
  const Machine machine = read_machine(root_, 2);
  EXPECT_EQ(machine.logical_cpus, 8);  // by the names of the folders
  EXPECT_TRUE(machine.caches.empty());
  EXPECT_EQ(machine.memory_bytes, 0);
  EXPECT_EQ(machine.usable_cores, 2);
  EXPECT_EQ(machine.cpu.find('\x1b'), std::string::npos);
}

TEST_F(MachineTest, FilesThatAreFoldersAndHugeFilesAreNoTrouble) {
  for (const char* path :
       {"proc/cpuinfo", "proc/meminfo", "proc/loadavg", "sys/devices/system/cpu/online",
        "sys/class/drm/card0", "sys/devices/system/node/node99999999999999999999",
        "sys/devices/system/cpu/cpu3/cache/index0/size"}) {
    fs::create_directories(root_ / path);
  }
  write("sys/kernel/mm/transparent_hugepage/enabled", std::string(1 << 20, '['));
  const Machine machine = read_machine(root_, 1);
  EXPECT_EQ(machine.logical_cpus, 1);
  EXPECT_EQ(machine.memory_bytes, 0);
}

TEST(MachineHere, IsSomething) {
  const Machine machine = read_machine();
  EXPECT_GE(machine.logical_cpus, 1);
  EXPECT_GE(machine.cores, 1);
  EXPECT_LE(machine.cores, machine.logical_cpus);
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_LE(machine.usable_cores, machine.allowed_cpus);
#if defined(__x86_64__)
  EXPECT_TRUE(has_isa("sse4_2"));
  // The kernel's own list must agree with what cpuid says.
  const std::string cpuinfo = small_text("/proc/cpuinfo");
  const size_t begin = cpuinfo.find("\nflags");
  ASSERT_NE(begin, std::string::npos);
  const std::string flags = cpuinfo.substr(begin, cpuinfo.find('\n', begin + 1) - begin) + " ";
  for (const IsaFlag& flag : isa_flags()) {
    const bool listed = flags.find(" " + std::string(flag.name) + " ") != std::string::npos;
    EXPECT_EQ(flag.usable, listed) << flag.name;
  }
#endif
}

TEST(SystemText, Lists) {
  EXPECT_EQ(numbers_in_list("0-3,8\n"), (std::vector<int>{0, 1, 2, 3, 8}));
  EXPECT_EQ(numbers_in_list("5"), std::vector<int>{5});
  for (const char* bad : {"", "x", "3-1", "-4", "1,,2", "0-99999999999999999999"})
    EXPECT_TRUE(numbers_in_list(bad).empty()) << bad;
  EXPECT_EQ(numbers_in_list("0-2000000000").size(), 4096u);
}

}  // namespace
}  // namespace mill::device
