#include "app/progress.h"

#include <gtest/gtest.h>

namespace mill::app {
namespace {

using Unit = Progress::Unit;

TEST(ProgressTest, Lines) {
  EXPECT_EQ(Progress::line("m", Unit::kBytes, 50'000'000, 100'000'000, 10e6, 0),
            "m  50%  50.0 MB of 100.0 MB, 10.0 MB/s, 5 s left");
  EXPECT_EQ(Progress::line("m", Unit::kBytes, 1234, std::nullopt, 0, 80), "m  1.2 kB");
  EXPECT_EQ(Progress::line("m", Unit::kTokens, 3, 4, 0, 0), "m  75%  3 tokens of 4 tokens");
  const std::string drawn = Progress::line("m", Unit::kBytes, 1, 2, 0, 80);
  EXPECT_NE(drawn.find("[####"), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("....]"), std::string::npos) << drawn;
}

TEST(ProgressTest, NoLineIsWiderThanTheTerminal) {
  for (const int width : {40, 80, 120}) {
    for (const uint64_t done :
         {uint64_t{0}, uint64_t{1}, uint64_t{5'000'000'000}, uint64_t{6'000'000'000}}) {
      const std::string line =
          Progress::line("qwen3-8b", Unit::kBytes, done, 5'000'000'000, 0, width);
      EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
    }
  }
}

TEST(ProgressTest, Amounts) {
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(999), "999 bytes");
  EXPECT_EQ(bytes_text(98'362'432), "98.4 MB");
  EXPECT_EQ(bytes_text(5'027'783'488), "5.03 GB");
}

}  // namespace
}  // namespace mill::app
