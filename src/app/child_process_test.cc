#include "app/child_process.h"

#include <gtest/gtest.h>

namespace mill::app {
namespace {

TEST(ChildProcessTest, HearsOutputErrorsAndExit) {
  std::string output;
  ChildCommand command;
  command.words = {"sh", "-c", "echo $GREETING; pwd; echo bad >&2; exit 3"};
  command.folder = "/";
  command.environment = {{"GREETING", "hello world"}};
  command.output = [&](std::span<const std::byte> bytes) -> Status {
    output.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  const auto end = run_child(command);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit, 3);
  EXPECT_EQ(output, "hello world\n/\n");
  EXPECT_EQ(end->errors, "bad\n");
}

TEST(ChildProcessTest, AProgramThatIsNotThere) {
  EXPECT_EQ(run_child({.words = {"/nonexistent/program"}}).error().code, Code::kNotFound);
  EXPECT_EQ(run_child({.words = {"/etc"}}).error().code, Code::kIo);
}

TEST(ChildProcessTest, AFlowThatIsTooMuchIsEnded) {
  size_t seen = 0;
  ChildCommand command;
  command.words = {"yes"};
  command.output = [&](std::span<const std::byte> bytes) -> Status {
    seen += bytes.size();
    return seen < 1'000'000 ? Status() : Status(fail(Code::kTooLarge, "enough"));
  };
  const auto end = run_child(command);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().message, "enough");
}

TEST(ChildProcessTest, ManyErrorsKeepTheirTail) {
  const auto end =
      run_child({.words = {"sh", "-c", "yes noise | head -c 300000 >&2; echo last >&2; kill -9 $$"},
                 .output = [](auto) -> Status { return {}; }});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit, 128 + 9);
  EXPECT_LE(end->errors.size(), 16u << 10);
  EXPECT_EQ(end->errors.substr(end->errors.size() - 5), "last\n");
}

}  // namespace
}  // namespace mill::app
