#include "app/command_line.h"

#include <gtest/gtest.h>

#include "app/cmd_config.h"

namespace mill::app {
namespace {

struct Outcome {
  int exit = -1;
  std::string errors;
  std::string output;
};

// Runs a program with one command, `mill`, that takes the flags of `serve` and one positional word.
Outcome run_line(std::vector<const char*> words, const Status& answer,
                 std::vector<std::string>* models = nullptr) {
  CommandLine line("test 1.0");
  std::string word;
  CLI::App& command =
      line.add(nullptr, "mill", "Mills", kServe, [&](const Settings& settings) -> Status {
        if (models != nullptr) *models = settings.texts("model");
        return answer;
      });
  command.add_option("WORD", word, "any word");
  line.add(nullptr, "group", "Groups", 0, {});
  words.insert(words.begin(), "tokenmill");
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.exit = line.run(static_cast<int>(words.size()), words.data());
  outcome.output = ::testing::internal::GetCapturedStdout();
  outcome.errors = ::testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(CommandLineTest, ExitCodes) {
  EXPECT_EQ(run_line({"mill"}, {}).exit, 0);
  EXPECT_EQ(run_line({"mill"}, fail(Code::kInvalid, "wrong")).exit, kUsageExit);
  EXPECT_EQ(run_line({"mill"}, fail(Code::kIo, "broken")).exit, kFailExit);
  EXPECT_EQ(run_line({"mill"}, fail(Code::kIo, "broken")).errors, "tokenmill: broken\n");
  EXPECT_EQ(run_line({}, {}).exit, 0);
  EXPECT_EQ(run_line({"--help"}, {}).exit, 0);
  EXPECT_EQ(run_line({"--version"}, {}).output, "test 1.0\n");
}

TEST(CommandLineTest, WrongLinesAreUsageAndOneSentence) {
  const std::vector<std::vector<const char*>> lines = {{"grind"},
                                                       {"mill", "--prot", "1"},
                                                       {"mill", "--port"},
                                                       {"mill", "a", "b"},
                                                       {"mill", "--port", "x"},
                                                       {"group"},
                                                       {"mill", "--config", "/nonexistent/c.yaml"},
                                                       {"mill", "--pull=perhaps"}};
  for (const auto& words : lines) {
    const Outcome outcome = run_line(words, {});
    EXPECT_EQ(outcome.exit, kUsageExit) << words.back();
    EXPECT_EQ(outcome.errors.rfind("tokenmill: ", 0), 0u) << outcome.errors;
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    EXPECT_EQ(outcome.output, "");
  }
}

TEST(CommandLineTest, RepeatedFlagsMakeAList) {
  std::vector<std::string> models;
  EXPECT_EQ(run_line({"mill", "--model", "a", "--model=b,c", "word"}, {}, &models).exit, 0);
  EXPECT_EQ(models, (std::vector<std::string>{"a", "b,c"}));
}

TEST(CommandLineTest, HelpNamesEveryFlagOfTheCommandWithItsVariable) {
  const std::string help = run_line({"mill", "--help"}, {}).output;
  for (const Setting& setting : settings_table()) {
    if ((setting.commands & kServe) == 0) continue;
    EXPECT_NE(help.find("--" + std::string(setting.name)), std::string::npos) << setting.name;
    EXPECT_NE(help.find("$" + environment_name(setting)), std::string::npos) << setting.name;
  }
}

}  // namespace
}  // namespace mill::app
