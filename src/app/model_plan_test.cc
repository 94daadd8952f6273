#include "app/model_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mill::app {
namespace {

namespace fs = std::filesystem;

class ModelsFile : public testing::Test {
 protected:
  ModelsFile() : folder_(fs::temp_directory_path() / ("mill_plan_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~ModelsFile() override { fs::remove_all(folder_); }

  std::string write(const std::string& text) {
    const fs::path path = folder_ / "models.yaml";
    std::ofstream(path) << text;
    return path.string();
  }
  static Settings settings(std::map<std::string, std::vector<std::string>> flags = {}) {
    Given given;
    given.flags = std::move(flags);
    given.environment = {{"HOME", "/nowhere"}};
    return Settings::resolve(given).value();
  }
  // The sentence that says what is wrong with such a file.
  std::string wrong(const std::string& text) {
    const auto read = read_models_file(write(text), settings());
    if (read) return "nothing";
    EXPECT_EQ(read.error().code, Code::kInvalid);
    return read.error().message;
  }

  fs::path folder_;
};

TEST_F(ModelsFile, has_all_that_can_be_said_of_a_model) {
  const auto plans = read_models_file(write(R"(
- model: smollm2-135m
- model: /models/some.thing.gguf
  id: org/thing
  share: 2.5
  ctx: 4096
  kv_memory: 2GiB
  preload: false
  idle_unload: 10m
  ttl: 12h
- model: ./other.gguf
  idle_unload: never
)"),
                                      settings({{"ctx", {"1024"}}, {"idle-unload", {"5m"}}}));
  ASSERT_TRUE(plans) << plans.error().message;
  ASSERT_EQ(plans->size(), 3U);
  EXPECT_EQ((*plans)[0].id, "smollm2-135m");
  EXPECT_EQ((*plans)[0].context, 1024);
  EXPECT_EQ((*plans)[0].idle_unload, std::chrono::minutes(5));
  EXPECT_TRUE((*plans)[0].preload);
  EXPECT_EQ((*plans)[1], (ModelPlan{.model = "/models/some.thing.gguf",
                                    .id = "org/thing",
                                    .share = 2.5,
                                    .context = 4096,
                                    .kv_bytes = int64_t{2} << 30,
                                    .preload = false,
                                    .idle_unload = std::chrono::minutes(10),
                                    .ttl = std::chrono::hours(12)}));
  EXPECT_EQ((*plans)[2].id, "other");
  EXPECT_EQ((*plans)[2].idle_unload, std::nullopt);
}

TEST_F(ModelsFile, says_where_it_is_wrong) {
  const auto says = [&](const std::string& text, const std::string& place,
                        const std::string& words) {
    const std::string message = wrong(text);
    EXPECT_NE(message.find(place), std::string::npos) << message;
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  says("- model: a\n  sahre: 2\n", "models.yaml:2: ", "'sahre' is not known");
  says("- model: a\n  share: 2\n  share: 3\n", "models.yaml:3: ", "given twice");
  for (const char* share : {"nan", ".nan", "inf", "-1", "0", "2000", "much", "''", "~"})
    says("- model: a\n  share: " + std::string(share) + "\n", "models.yaml:2: ", "share");
  says("- model: a\n  idle_unload: soon\n", "models.yaml:2: ", "nor 'never'");
  says("- model: a\n  ctx: [1]\n", "models.yaml:2: ", "single value");
  says("- model: a\n  ctx: 1.5\n", "models.yaml:2: ", "whole number");
  says("- model: a\n  kv_memory: -1GiB\n", "models.yaml:2: ", "a size");
  says("- model: a\n  preload: perhaps\n", "models.yaml:2: ", "true or false");
  says("- model: a\n- id: b\n", "models.yaml:2: ", "needs `model:`");
  says("- model: a\n- model: b\n  id: a\n", "models.yaml:2: ", "'a'");
  says("- model: a\n  id: 'a b'\n", "models.yaml:1: ", "no spaces");
  says("- a\n", "models.yaml:1: ", "must be a map");
  says("model: a\n", "models.yaml:1: ", "must be a list");
  says("- model: [\n", "models.yaml:", "no valid YAML");
}

TEST_F(ModelsFile, may_be_empty_and_must_be_there) {
  EXPECT_TRUE(read_models_file(write(""), settings())->empty());
  EXPECT_TRUE(read_models_file(write("[]"), settings())->empty());
  EXPECT_EQ(read_models_file((folder_ / "none.yaml").string(), settings()).error().code,
            Code::kNotFound);
}

TEST_F(ModelsFile, and_the_flags_together_are_the_models) {
  const std::string file = write("- model: b\n- model: c\n");
  const auto plans = model_plans(settings({{"model", {"a", "x/d.gguf"}}, {"models", {file}}}));
  ASSERT_TRUE(plans) << plans.error().message;
  std::string ids;
  for (const ModelPlan& plan : *plans) ids += plan.id + " ";
  EXPECT_EQ(ids, "a d b c ");
  EXPECT_EQ(model_plans(settings()).error().code, Code::kInvalid);
  EXPECT_FALSE(model_plans(settings({{"model", {"a", "a"}}})));
  EXPECT_FALSE(model_plans(settings({{"model", {"b"}}, {"models", {file}}})));
  EXPECT_TRUE(model_plans(settings({{"models", {write("[]")}}}))->empty());
}

TEST_F(ModelsFile, a_wish_has_the_same_fields) {
  const auto plan =
      model_plan_of({{"model", "a"}, {"share", "0.5"}, {"idle_unload", "1h"}}, settings(), "");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->share, 0.5);
  EXPECT_EQ(plan->idle_unload, std::chrono::hours(1));
  EXPECT_EQ(model_plan_of({{"share", "1"}}, settings(), "").error().param, "model");
  EXPECT_EQ(model_plan_of({{"model", "a"}, {"port", "1"}}, settings(), "").error().param, "port");
  EXPECT_FALSE(model_plan_of({{"model", "a"}, {"model", "b"}}, settings(), ""));
}

}  // namespace
}  // namespace mill::app
