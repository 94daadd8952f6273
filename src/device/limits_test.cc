#include "device/limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace mill::device {
namespace {

namespace fs = std::filesystem;

// A folder that stands in for /.
class Root : public testing::Test {
 protected:
  Root() : root_(fs::temp_directory_path() / ("mill_limits_" + std::to_string(::getpid()))) {
    write("proc/meminfo",
          "MemTotal:       24000000 kB\nMemFree: 1 kB\nMemAvailable:   1000000 kB\n");
  }
  ~Root() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

constexpr int64_t kMachine = 1'000'000LL * 1024;

TEST_F(Root, WithoutControlGroupsTheMachineCounts) {
  EXPECT_EQ(available_memory_bytes(root_), kMachine);
  EXPECT_EQ(usable_cores(root_, 6), 6);
}

TEST_F(Root, EveryGroupAboveLimitsInVersion2) {
  write("proc/self/cgroup", "0::/plant/mill\n");
  write("sys/fs/cgroup/plant/mill/memory.max", "max\n");
  write("sys/fs/cgroup/plant/memory.max", "5000000\n");
  write("sys/fs/cgroup/plant/memory.current", "2000000\n");
  write("sys/fs/cgroup/plant/mill/cpu.max", "150000 100000\n");
  EXPECT_EQ(available_memory_bytes(root_), 3000000);
  EXPECT_EQ(usable_cores(root_, 6), 2);
}

TEST_F(Root, Version1) {
  write("proc/self/cgroup", "4:memory:/box\n5:cpu,cpuacct:/box\n");
  write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9000000\n");
  write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "1000000\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "300000\n");
  write("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(available_memory_bytes(root_), 8000000);
  EXPECT_EQ(usable_cores(root_, 6), 3);
}

TEST_F(Root, PagesOfFilesThatCanGoCountAsLeft) {
  write("proc/self/cgroup", "0::/mill\n");
  write("sys/fs/cgroup/mill/memory.max", "5000000\n");
  write("sys/fs/cgroup/mill/memory.current", "4500000\n");
  write("sys/fs/cgroup/mill/memory.stat",
        "anon 500000\nfile 4000000\ninactive_anon 7\nactive_anon 9\ninactive_file 3000000\n"
        "active_file 1000000\n");
  EXPECT_EQ(available_memory_bytes(root_), 5000000 - 4500000 + 3000000 + 1000000 / 2);
  write("sys/fs/cgroup/mill/memory.stat", "inactive_file 9000000000\n");  // never more than is used
  EXPECT_EQ(available_memory_bytes(root_), 5000000);
}

TEST_F(Root, PagesOfFilesInVersion1AreThoseOfTheGroupsBelowToo) {
  write("proc/self/cgroup", "4:memory:/box\n");
  write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9000000\n");
  write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "8000000\n");
  write("sys/fs/cgroup/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 2000000\n");
  EXPECT_EQ(available_memory_bytes(root_), 3000000);
}

TEST_F(Root, AnonymousMemoryIsTheProcesssOwn) {
  EXPECT_EQ(anonymous_memory_bytes(root_), 0);
  write("proc/self/status", "VmRSS:\t 900 kB\nRssAnon:\t     700 kB\nRssFile: 1 kB\n");
  EXPECT_EQ(anonymous_memory_bytes(root_), 700 * 1024);
  EXPECT_GT(anonymous_memory_bytes(), 0);
}

TEST_F(Root, NonsenseIsPassedOver) {
  write("proc/self/cgroup", "0\n:::\n0::/../../..\n\xFF\n");
  write("sys/fs/cgroup/cpu.max", "many 0\n");
  write("sys/fs/cgroup/memory.max", "\n");
  EXPECT_EQ(available_memory_bytes(root_), kMachine);
  EXPECT_EQ(usable_cores(root_, 4), 4);
  fs::remove(root_ / "proc/meminfo");
  EXPECT_EQ(available_memory_bytes(root_), 0);
}

TEST_F(Root, TheGroupsOwnLimits) {
  EXPECT_FALSE(group_limits(root_).cores);
  EXPECT_FALSE(group_limits(root_).memory_bytes);
  write("proc/self/cgroup", "0::/plant/mill\n");
  write("sys/fs/cgroup/plant/mill/memory.max", "max\n");
  write("sys/fs/cgroup/plant/memory.max", "5000000\n");
  write("sys/fs/cgroup/plant/memory.current", "2000000\n");
  write("sys/fs/cgroup/plant/mill/cpu.max", "150000 100000\n");
  EXPECT_EQ(group_limits(root_).memory_bytes, 5000000);
  EXPECT_EQ(group_limits(root_).cores, 2);
}

TEST(Limits, ThisMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_GT(available_memory_bytes(), 0);
}

}  // namespace
}  // namespace mill::device
