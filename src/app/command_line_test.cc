#include "app/command_line.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

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
  Command& command =
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

// A command with flags that no row of the table describes, one of them needed.
class OwnFlagsTest : public ::testing::Test {
 protected:
  ~OwnFlagsTest() override {
    ::unsetenv("TOKENMILL_BENCH_GEN");
    ::unsetenv("TOKENMILL_BENCH_FILE");
    ::unsetenv("TOKENMILL_CONFIG");
    std::remove(path_.c_str());
  }
  void use_file(const std::string& yaml) {
    std::ofstream(path_) << yaml;
    ::setenv("TOKENMILL_CONFIG", path_.c_str(), 1);
  }
  Outcome run(std::vector<const char*> words) {
    CommandLine line("test 1.0");
    Command& bench =
        line.add(nullptr, "bench", "Benches", kBench, [](const Settings&) -> Status { return {}; });
    bench.add_option("--gen", gen_, "steps").range(1, 1000);
    bench.add_option("--batch", batch_, "sizes");
    bench.add_flag("--quick", quick_, "quick");
    bench.add_option("--file", file_, "a file").required();
    add_config_command(line);
    words.insert(words.begin(), "tokenmill");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.exit = line.run(static_cast<int>(words.size()), words.data());
    outcome.output = ::testing::internal::GetCapturedStdout();
    outcome.errors = ::testing::internal::GetCapturedStderr();
    return outcome;
  }
  const std::string path_ = "/tmp/tokenmill_own_" + std::to_string(::getpid()) + ".yaml";
  int gen_ = 7;
  std::vector<int> batch_;
  bool quick_ = false;
  std::string file_;
};

TEST_F(OwnFlagsTest, FlagBeatsFileBeatsEnvironmentBeatsDefault) {
  EXPECT_EQ(run({"bench", "--file", "f"}).exit, 0);
  EXPECT_EQ(gen_, 7);
  ::setenv("TOKENMILL_BENCH_GEN", "8", 1);
  EXPECT_EQ(run({"bench", "--file", "f"}).exit, 0);
  EXPECT_EQ(gen_, 8);
  use_file("port: 1\nbench:\n  gen: 9\n  batch: [1, 2]\n  quick: true\n  file: g\n");
  EXPECT_EQ(run({"bench"}).errors, "");
  EXPECT_EQ(gen_, 9);
  EXPECT_EQ(batch_, (std::vector<int>{1, 2}));
  EXPECT_TRUE(quick_);
  EXPECT_EQ(file_, "g");
  EXPECT_EQ(run({"bench", "--gen", "10"}).exit, 0);
  EXPECT_EQ(gen_, 10);
  const std::string config = run({"config"}).output;
  EXPECT_NE(config.find("bench.gen"), std::string::npos) << config;
  EXPECT_NE(config.find(path_ + ":3"), std::string::npos) << config;
  EXPECT_EQ(config.find("TOKENMILL_BENCH_GEN sets nothing"), std::string::npos) << config;
}

TEST_F(OwnFlagsTest, WrongValuesAndNamesAreUsage) {
  EXPECT_NE(run({"bench"}).errors.find("--file is needed"), std::string::npos);
  ::setenv("TOKENMILL_BENCH_FILE", "f", 1);
  EXPECT_EQ(run({"bench"}).exit, 0);
  ::setenv("TOKENMILL_BENCH_GEN", "many", 1);
  const Outcome wrong = run({"bench"});
  EXPECT_EQ(wrong.exit, kUsageExit);
  EXPECT_EQ(wrong.errors.rfind("tokenmill: TOKENMILL_BENCH_GEN: gen of bench: ", 0), 0u)
      << wrong.errors;
  ::unsetenv("TOKENMILL_BENCH_GEN");
  const struct {
    const char* yaml;
    const char* says;
  } cases[] = {
      {"bench: {gem: 1}", ":1: 'gem' is no flag of bench alone (it has gen, batch, quick, file)"},
      {"bench: 3", ":1: bench must be a map"},
      {"bench:\n  gen: 5000", ":2: gen of bench: "},
      {"bench:\n  gen: [1, 2]", ":2: gen of bench: "},
      {"bench:\n  gen: {a: b}", ":2: gen must be a list, not a map"}};
  for (const auto& one : cases) {
    use_file(one.yaml);
    const Outcome outcome = run({"bench"});
    EXPECT_EQ(outcome.exit, kUsageExit) << one.yaml;
    EXPECT_NE(outcome.errors.find(one.says), std::string::npos) << outcome.errors;
  }
}

TEST_F(OwnFlagsTest, HelpNamesTheirVariables) {
  const std::string help = run({"bench", "--help"}).output;
  EXPECT_NE(help.find("$TOKENMILL_BENCH_GEN"), std::string::npos) << help;
  EXPECT_NE(help.find("(needed; $TOKENMILL_BENCH_FILE)"), std::string::npos) << help;
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
