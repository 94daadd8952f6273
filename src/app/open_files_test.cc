#include "app/open_files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace mill::app {
namespace {

TEST(OpenFiles, AreRaisedToTheHardLimit) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(before.rlim_max, 64);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const int64_t raised = raise_open_file_limit();
  rlimit after{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  if (before.rlim_max != RLIM_INFINITY) {
    EXPECT_EQ(raised, static_cast<int64_t>(before.rlim_max));
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(OpenFiles, TooFewOfThemAreToldOf) {
  EXPECT_EQ(open_file_warning(1152, 1024), "");
  EXPECT_EQ(open_file_warning(INT64_MAX, 1'000'000), "");
  const std::string warning = open_file_warning(1024, 1024);
  EXPECT_NE(warning.find("1024"), std::string::npos) << warning;
  EXPECT_NE(warning.find("--max-connections"), std::string::npos) << warning;
}

}  // namespace
}  // namespace mill::app
