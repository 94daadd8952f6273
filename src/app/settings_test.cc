#include "app/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "app/cmd_config.h"

namespace mill::app {
namespace {

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    char pattern[] = "/tmp/tokenmill_settings_XXXXXX";
    folder_ = ::mkdtemp(pattern);
    given_.environment["HOME"] = folder_;
  }
  ~SettingsTest() override { std::filesystem::remove_all(folder_); }

  // Writes the YAML and makes it the file of settings.
  std::string use_file(const std::string& yaml) {
    const std::string path = folder_ + "/c.yaml";
    std::ofstream(path) << yaml;
    given_.config_file = path;
    return path;
  }
  // The sentence of the failure; "" when there was none.
  std::string failure() {
    const auto settings = Settings::resolve(given_);
    if (settings) return "";
    EXPECT_EQ(settings.error().code, Code::kInvalid) << settings.error().message;
    return settings.error().message;
  }

  std::string folder_;
  Given given_;
};

TEST_F(SettingsTest, EveryDefaultOfTheTableParses) {
  const auto settings = Settings::resolve(given_);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->entries().size(), settings_table().size());
  EXPECT_EQ(settings->integer("port"), 8080);
  EXPECT_EQ(settings->bytes("max-body-bytes"), 8 << 20);
  EXPECT_EQ(settings->duration("header-deadline"), std::chrono::seconds(10));
  EXPECT_EQ(settings->text("host"), "127.0.0.1");
  EXPECT_TRUE(settings->texts("model").empty());
  EXPECT_FALSE(settings->on("pull"));
  EXPECT_EQ(settings->path("models-dir"), folder_ + "/.local/share/tokenmill/models");
  EXPECT_EQ(settings->origin("port").kind, OriginKind::kDefault);
}

TEST_F(SettingsTest, NamesAreUniqueAndWritable) {
  std::set<std::string_view> names;
  for (const Setting& setting : settings_table()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_FALSE(setting.help.empty()) << setting.name;
    EXPECT_NE(setting.commands, 0u) << setting.name;
    for (const char c : setting.name)
      EXPECT_TRUE(std::islower(c) || std::isdigit(c) || c == '-') << setting.name;
  }
}

TEST_F(SettingsTest, FlagBeatsFileBeatsEnvironmentBeatsDefault) {
  given_.environment["TOKENMILL_PORT"] = "1";
  auto settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->integer("port"), 1);
  EXPECT_EQ(settings->origin("port").where, "TOKENMILL_PORT");

  const std::string path = use_file("host: ::1\nport: 2\n");
  settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->integer("port"), 2);
  EXPECT_EQ(settings->origin("port").where, path + ":2");

  given_.flags["port"] = {"3"};
  settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->integer("port"), 3);
  EXPECT_EQ(settings->origin("port").where, "--port");
  EXPECT_EQ(settings->text("host"), "::1");
}

TEST_F(SettingsTest, TheUsualFileIsReadWhereItExists) {
  std::filesystem::create_directories(folder_ + "/.config/tokenmill");
  std::ofstream(folder_ + "/.config/tokenmill/config.yaml") << "port: 5\n";
  auto settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->integer("port"), 5);
  given_.environment["XDG_CONFIG_HOME"] = folder_ + "/elsewhere";
  settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->integer("port"), 8080);
  EXPECT_EQ(settings->config_file(), "");
}

TEST_F(SettingsTest, AFileThatWasAskedForMustBeThere) {
  given_.environment["TOKENMILL_CONFIG"] = folder_ + "/none.yaml";
  EXPECT_NE(failure().find(folder_ + "/none.yaml"), std::string::npos);
  given_.config_file = folder_;  // a folder is no file
  EXPECT_NE(failure().find("not a regular file"), std::string::npos);
}

TEST_F(SettingsTest, WrongFilesNameTheLineAndTheKey) {
  const struct {
    const char* yaml;
    const char* says;
  } cases[] = {
      {"host: a\nprot: 1\n", ":2: 'prot' is no setting (did you mean 'port'?)"},
      {"host: a\nzzzzzzzz: 1\n", ":2: 'zzzzzzzz' is no setting (see"},
      {"port: 1\nport: 2\n", ":2: 'port' is given twice"},
      {"port: [1, 2]\n", ":1: port must be a single value, not a list"},
      {"port: {a: 1}\n", ":1: port must be a single value, not a map"},
      {"port:\n", ":1: port has no value"},
      {"port: many\n", ":1: port must be a whole number from 0 to 65535, not 'many'"},
      {"port: 65536\n", ":1: port must be a whole number"},
      {"port: -1\n", ":1: port must be a whole number"},
      {"port: 80.5\n", ":1: port must be a whole number"},
      {"port: 99999999999999999999999\n", ":1: port must be a whole number"},
      {"model: {a: b}\n", ":1: model must be a list, not a map"},
      {"model: [[a]]\n", ":1: model must be a list of single values, and holds a list"},
      {"pull: perhaps\n", ":1: pull must be true or false, not 'perhaps'"},
      {"log-level: loud\n", ":1: log-level must be one of debug, info, warn, error, not 'loud'"},
      {"max-body-bytes: 3 parsecs\n", ":1: max-body-bytes must be a size from 1 KiB to 1 GiB"},
      {"max-body-bytes: nan\n", ":1: max-body-bytes must be a size"},
      {"header-deadline: 10\n", ":1: header-deadline must be a time"},
      {"- a\n- b\n", ":1: the file of settings must be a map of names to values, not a list"},
      {"? [a]\n: 1\n", ": a name in the file of settings must be plain text, not a list"},
      {"port: [1, 2\n", "no valid YAML"},
      {"port: *nobody\n", "no valid YAML"},
      {"---\nport: 1\n---\nport: 2\n", "more than one YAML document"},
  };
  for (const auto& one : cases) {
    use_file(one.yaml);
    const std::string said = failure();
    EXPECT_NE(said.find(one.says), std::string::npos) << one.yaml << " gave: " << said;
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
  }
}

TEST_F(SettingsTest, HostileFilesFailQuickly) {
  use_file(std::string(100000, '['));
  EXPECT_NE(failure(), "");
  use_file(std::string((1 << 20) + 1, '#'));
  EXPECT_NE(failure().find("larger than"), std::string::npos);
  use_file("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n");
  EXPECT_NE(failure().find("'a' is no setting"), std::string::npos);
}

TEST_F(SettingsTest, WrongFlagsAndVariablesNameThemselves) {
  given_.flags["port"] = {"abc"};
  EXPECT_EQ(failure(), "--port must be a whole number from 0 to 65535, not 'abc'");
  given_.flags.clear();
  given_.environment["TOKENMILL_IDLE_DEADLINE"] = "2 weeks";
  EXPECT_EQ(failure(),
            "TOKENMILL_IDLE_DEADLINE must be a time from 100ms to 86400s, like 500ms, 30s or 2m, "
            "not '2 weeks'");
}

TEST_F(SettingsTest, AWrongValueIsToldEvenWhereAStrongerOneCoversIt) {
  given_.environment["TOKENMILL_PORT"] = "x";
  given_.flags["port"] = {"1"};
  EXPECT_EQ(failure(), "TOKENMILL_PORT must be a whole number from 0 to 65535, not 'x'");
}

TEST_F(SettingsTest, UnitsAndLists) {
  given_.flags = {
      {"max-body-bytes", {"1.5MiB"}}, {"header-deadline", {"2m"}}, {"model", {"a", "b,c"}}};
  given_.environment["TOKENMILL_KV_MEMORY"] = "2GB";
  auto settings = Settings::resolve(given_);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->bytes("max-body-bytes"), 3 << 19);
  EXPECT_EQ(settings->bytes("kv-memory"), 2000000000);
  EXPECT_EQ(settings->duration("header-deadline"), std::chrono::minutes(2));
  EXPECT_EQ(settings->texts("model"), (std::vector<std::string>{"a", "b,c"}));
  given_.flags.erase("model");
  given_.environment["TOKENMILL_MODEL"] = "a,b";
  settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->texts("model"), (std::vector<std::string>{"a", "b"}));
}

TEST_F(SettingsTest, PathsKnowTheHomeFolder) {
  const Environment environment{
      {"HOME", "/h"}, {"XDG_DATA_HOME", "/d"}, {"XDG_CONFIG_HOME", "relative"}};
  EXPECT_EQ(expand_path("~/x", environment), "/h/x");
  EXPECT_EQ(expand_path("~other/x", environment), "~other/x");
  EXPECT_EQ(expand_path("$DATA/models", environment), "/d/tokenmill/models");
  EXPECT_EQ(expand_path("$CONFIG/a", environment),
            "/h/.config/tokenmill/a");  // XDG wants absolute paths
  EXPECT_EQ(expand_path("plain", environment), "plain");
}

TEST_F(SettingsTest, ConfigPrintsOriginsAndHidesSecrets) {
  given_.environment["TOKENMILL_HF_TOKEN"] = "hush-hush";
  given_.environment["TOKENMILL_PROT"] = "1";
  given_.flags["port"] = {"0"};
  const auto settings = Settings::resolve(given_);
  ASSERT_TRUE(settings);
  for (const bool json : {false, true}) {
    const std::string text = describe_settings(*settings, json);
    EXPECT_EQ(text.find("hush-hush"), std::string::npos);
    EXPECT_NE(text.find("(set)"), std::string::npos);
    EXPECT_NE(text.find("--port"), std::string::npos);
    EXPECT_NE(text.find("TOKENMILL_PROT"), std::string::npos);
    for (const Setting& setting : settings_table()) {
      EXPECT_NE(text.find(setting.name), std::string::npos) << setting.name;
    }
  }
}

}  // namespace
}  // namespace mill::app
