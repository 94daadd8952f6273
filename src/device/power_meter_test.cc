#include "device/power_meter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace mill::device {
namespace {

// A machine of files with counters in it.
class PowerMeterTest : public testing::Test {
 protected:
  PowerMeterTest()
      : root_(std::filesystem::temp_directory_path() /
              ("power-meter-test-" + std::to_string(::getpid()))) {}
  ~PowerMeterTest() override { std::filesystem::remove_all(root_); }

  void put(const std::string& counter, const std::string& file, const std::string& text) {
    const auto folder = root_ / "sys/class/powercap" / counter;
    std::filesystem::create_directories(folder);
    std::ofstream(folder / file, std::ios::trunc) << text << '\n';
  }
  void put_package(const std::string& counter, const std::string& name, int64_t energy) {
    put(counter, "name", name);
    put(counter, "energy_uj", std::to_string(energy));
    put(counter, "max_energy_range_uj", "1000000000");
  }

  const std::filesystem::path root_;
};

TEST_F(PowerMeterTest, adds_up_packages_and_nothing_else) {
  put_package("intel-rapl:0", "package-0", 5'000'000);
  put_package("intel-rapl:0:0", "core", 1'000'000);
  put_package("intel-rapl:1", "package-1", 7'000'000);
  put_package("intel-rapl:2", "psys", 20'000'000);
  auto meter = PowerMeter::open(root_);
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->source(), "RAPL, package-0 + package-1");
  EXPECT_EQ(meter->joules(), 0);
  put("intel-rapl:0", "energy_uj", "6500000");
  put("intel-rapl:0:0", "energy_uj", "9000000");
  put("intel-rapl:1", "energy_uj", "9000000");
  put("intel-rapl:2", "energy_uj", "90000000");
  EXPECT_DOUBLE_EQ(meter->joules(), 3.5);
  EXPECT_DOUBLE_EQ(meter->joules(), 3.5);
}

TEST_F(PowerMeterTest, counters_go_around) {
  put_package("intel-rapl:0", "package-0", 999'000'000);
  auto meter = PowerMeter::open(root_);
  ASSERT_TRUE(meter);
  put("intel-rapl:0", "energy_uj", "4000000");
  EXPECT_DOUBLE_EQ(meter->joules(), 5);
  put("intel-rapl:0", "energy_uj", "nonsense");
  EXPECT_DOUBLE_EQ(meter->joules(), 5);
}

TEST_F(PowerMeterTest, says_why_there_is_none) {
  EXPECT_EQ(PowerMeter::open(root_).error().code, Code::kNotFound);
  put("intel-rapl:0", "name", "package-0");  // energy_uj can't be read
  const auto closed = PowerMeter::open(root_);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, Code::kPermission);
  EXPECT_NE(closed.error().message.find("chmod a+r"), std::string::npos);
}

}  // namespace
}  // namespace mill::device
