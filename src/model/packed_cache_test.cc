#include "model/packed_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/decoder.h"
#include "model/packed_file.h"
#include "model/scratch_folder.h"
#include "model/small_model.h"

namespace mill::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPlenty = uint64_t{1} << 30;

std::shared_ptr<const Gguf> open(const fs::path& path) {
  auto file = Gguf::open(path);
  EXPECT_TRUE(file) << file.error().message;
  return std::make_shared<Gguf>(std::move(*file));
}

ModelIdentity identity(const fs::path& path) {
  return identity_of(*open(path)).value();
}

void set_byte(const fs::path& path, uint64_t at, char value) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<long>(at));
  file.put(value);
  ASSERT_TRUE(file.good());
}

std::vector<fs::path> packed_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The logits of some tokens, and whether the weights came from the cache.
struct Answer {
  std::vector<float> logits;
  bool from_cache = false;
};

class PackedCacheTest : public testing::Test {
 protected:
  Answer answer(const fs::path& path, std::string_view backend_name, PackedCache* cache,
                tensor::KvType kv_type = tensor::KvType::kI8) {
    const auto backend = std::move(*tensor::make_backend(backend_name));
    const DecoderLimits limits{.batch_tokens = 64, .logit_rows = 64, .kv_type = kv_type};
    auto decoder = Decoder::load(open(path), *backend, pool_, limits,
                                 {.cache = cache, .name = path.stem().string()});
    EXPECT_TRUE(decoder) << decoder.error().message;
    const KvRoom kv = std::move(*KvRoom::reserve((*decoder)->kv_layout(), 4));
    const std::vector<TokenId> tokens = {5, 9, 77, 0, 31, 31, 2};
    const std::vector<int32_t> blocks = {1, 3};
    const SequenceSlice slice{
        .tokens = tokens, .blocks = blocks, .window_blocks = blocks, .logits_from = 0};
    const tensor::ConstMatrix logits = (*decoder)->forward({&slice, 1}, kv.memory());
    Answer made{.from_cache = (*decoder)->from_cache()};
    for (int64_t row = 0; row < logits.rows; ++row)
      made.logits.insert(made.logits.end(), logits.row(row), logits.row(row) + logits.cols);
    return made;
  }

  fs::path model(const std::string& kind, const std::string& name = "m.gguf") const {
    return files_.write(name, SmallModel(kind, 3).bytes());
  }

  void expect_same_bits(const Answer& a, const Answer& b) {
    ASSERT_EQ(a.logits.size(), b.logits.size());
    ASSERT_FALSE(a.logits.empty());
    EXPECT_EQ(std::memcmp(a.logits.data(), b.logits.data(), a.logits.size() * sizeof(float)), 0);
  }

  ScratchFolder files_, folder_;
  tensor::ThreadPool pool_{2};
  PackedCache cache_{folder_.path() / "cache", kPlenty};
};

TEST_F(PackedCacheTest, LogitsAreTheSameBitsWithIt) {
  for (const char* kind :
       {"llama", "llama Q8_0", "qwen2", "qwen2 Q8_0", "qwen3 Q8_0", "gemma3", "gemma3 Q8_0"}) {
    const fs::path path = model(kind);
    for (const std::string_view backend : tensor::backend_names()) {
      for (const tensor::KvType kv_type : {tensor::KvType::kI8, tensor::KvType::kF32}) {
        SCOPED_TRACE(std::string(kind) + " " + std::string(backend));
        const Answer without = answer(path, backend, nullptr, kv_type);
        const Answer first = answer(path, backend, &cache_, kv_type);
        const Answer second = answer(path, backend, &cache_, kv_type);
        EXPECT_FALSE(without.from_cache);
        EXPECT_TRUE(second.from_cache);
        expect_same_bits(without, first);
        expect_same_bits(without, second);
      }
    }
  }
}

// What is packed alike is kept once: all paths of the CPU read the same panels.
TEST_F(PackedCacheTest, BackendsOfOneOrderShareAFile) {
  const fs::path path = model("llama Q8_0");
  for (const std::string_view backend : tensor::backend_names()) answer(path, backend, &cache_);
  const std::vector<fs::path> kept = packed_in(folder_.path() / "cache");
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_TRUE(kept[0].string().ends_with("-panel32-1.packed"));
  EXPECT_TRUE(kept[1].string().ends_with("-rows-f32-1.packed"));
  EXPECT_TRUE(kept[0].filename().string().starts_with("m-"));
}

TEST_F(PackedCacheTest, AChangedModelFileIsPackedAnew) {
  const fs::path path = model("llama Q8_0");
  answer(path, "auto", &cache_);
  ASSERT_TRUE(answer(path, "auto", &cache_).from_cache);
  struct stat before = {};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  uint64_t at = 0;  // of a scale in the first block of the last layer's matrix
  {
    const auto file = open(path);
    at = static_cast<uint64_t>(file->find("blk.2.ffn_down.weight")->data.data() -
                               file->bytes().data()) +
         1;
  }
  set_byte(path, at, 0x19);
  // Even when somebody sets the time back.
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  const Answer without = answer(path, "auto", nullptr);
  const Answer changed = answer(path, "auto", &cache_);
  EXPECT_FALSE(changed.from_cache);
  expect_same_bits(without, changed);
  const Answer again = answer(path, "auto", &cache_);
  EXPECT_TRUE(again.from_cache);
  expect_same_bits(without, again);
}

TEST_F(PackedCacheTest, AModelOfTheSameShapesInItsPlaceIsAnother) {
  const fs::path path = model("llama");
  answer(path, "auto", &cache_);
  const fs::path other = files_.path() / "other.gguf";
  std::vector<std::byte> bytes = SmallModel("llama", 3).bytes();
  bytes[bytes.size() - 5] ^= std::byte{0x10};
  files_.write("other.gguf", bytes);
  fs::rename(other, path);
  const Answer changed = answer(path, "auto", &cache_);
  EXPECT_FALSE(changed.from_cache);
  expect_same_bits(answer(path, "auto", nullptr), changed);
}

// Where a file system keeps no times, what is in the tensors tells them apart.
TEST_F(PackedCacheTest, TheIdentityIsOfTheContentToo) {
  const fs::path path = model("llama Q8_0");
  const auto file = open(path);
  EXPECT_EQ(identity(path), *identity_of(*file));
  EXPECT_FALSE(identity_of(*SmallModel("llama", 3).open()));  // no file of its own
  std::set<ModelIdentity> seen = {identity(path)};
  const auto of_image = [&](uint64_t at, char flip) {
    std::vector<std::byte> bytes = SmallModel("llama Q8_0", 3).bytes();
    bytes[at] ^= static_cast<std::byte>(flip);
    const auto gguf = Gguf::parse(bytes);
    EXPECT_TRUE(gguf);
    return identity_of(*gguf, file->stamp());
  };
  EXPECT_EQ(of_image(0, 0), identity(path));
  size_t count = 1;
  for (const GgufTensor& tensor : file->tensors()) {
    const auto middle =
        static_cast<uint64_t>(tensor.data.data() - file->bytes().data()) + tensor.data.size() / 2;
    EXPECT_TRUE(seen.insert(*of_image(middle, 1)).second) << tensor.name;
    ++count;
  }
  EXPECT_EQ(seen.size(), count);
}

TEST_F(PackedCacheTest, ABrokenFileIsReplaced) {
  const fs::path path = model("llama Q8_0");
  const Answer without = answer(path, "auto", &cache_);
  const fs::path kept = packed_in(folder_.path() / "cache").at(0);
  const uint64_t size = fs::file_size(kept);
  for (const uint64_t at : {uint64_t{9}, uint64_t{70}, uint64_t{5000}, size - 200}) {
    std::fstream in(kept, std::ios::binary | std::ios::in);
    in.seekg(static_cast<long>(at));
    set_byte(kept, at, static_cast<char>(in.get() ^ 4));
    const Answer packed = answer(path, "auto", &cache_);
    EXPECT_FALSE(packed.from_cache) << at;
    expect_same_bits(without, packed);
    EXPECT_TRUE(answer(path, "auto", &cache_).from_cache) << at;
  }
  fs::resize_file(kept, size / 2);
  EXPECT_FALSE(answer(path, "auto", &cache_).from_cache);
  EXPECT_TRUE(answer(path, "auto", &cache_).from_cache);
}

TEST_F(PackedCacheTest, WhatCannotBeKeptIsLoadedAllTheSameAndToldOnce) {
  const fs::path path = model("llama Q8_0");
  PackedCache nowhere(files_.write("plain", {}) / "cache", kPlenty);
  PackedCache tiny(folder_.path() / "tiny", 100);
  const Answer without = answer(path, "auto", nullptr);
  for (PackedCache* cache : {&nowhere, &tiny}) {
    testing::internal::CaptureStderr();
    for (int i = 0; i < 2; ++i) {
      const Answer packed = answer(path, "auto", cache);
      EXPECT_FALSE(packed.from_cache);
      expect_same_bits(without, packed);
    }
    const std::string log = testing::internal::GetCapturedStderr();
    const size_t first = log.find("packed_cache_unusable");
    EXPECT_NE(first, log.npos) << log;
    EXPECT_EQ(log.find("packed_cache_unusable", first + 1), log.npos) << log;
  }
  EXPECT_FALSE(fs::exists(folder_.path() / "tiny"));
}

TEST_F(PackedCacheTest, WhatWasUsedLeastRecentlyGoes) {
  const fs::path models[] = {model("llama", "a.gguf"), model("llama", "b.gguf"),
                             model("llama", "c.gguf")};
  answer(models[0], "auto", &cache_);
  const fs::path folder = folder_.path() / "cache";
  const uint64_t one = fs::file_size(packed_in(folder).at(0));
  PackedCache two(folder, 2 * one + 100);
  std::ofstream(folder / "notes.packed") << "not ours";
  const auto age = [&](const char* stem, int64_t second) {
    for (const fs::path& path : packed_in(folder)) {
      if (!path.filename().string().starts_with(stem)) continue;
      const timespec times[2] = {{second, 0}, {second, 0}};
      ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    }
  };
  answer(models[1], "auto", &two);
  age("a-", 1'000'000'000);
  age("b-", 1'100'000'000);
  ASSERT_TRUE(answer(models[0], "auto", &two).from_cache);  // now b is the older one
  EXPECT_FALSE(answer(models[2], "auto", &two).from_cache);
  EXPECT_TRUE(answer(models[2], "auto", &two).from_cache);
  EXPECT_TRUE(answer(models[0], "auto", &two).from_cache);
  EXPECT_TRUE(fs::exists(folder / "notes.packed"));
  const auto found = look_into(folder);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->files, 2);
  EXPECT_EQ(found->bytes, 2 * one);
  EXPECT_FALSE(answer(models[1], "auto", &two).from_cache);
  EXPECT_FALSE(look_into(folder / "nowhere"));
}

TEST_F(PackedCacheTest, AnyNameOfAModelIsFitForAFile) {
  const PackedHead head{.layout = "panel32-1"};
  const std::string end = "-00000000000000000000000000000000-panel32-1.packed";
  EXPECT_EQ(cache_.path_of("qwen2.5_x-Q4", head).filename(), "qwen2.5_x-Q4" + end);
  EXPECT_EQ(cache_.path_of("../../etc/x", head).parent_path(), folder_.path() / "cache");
  EXPECT_EQ(cache_.path_of("", head).filename(), "_" + end);
  EXPECT_EQ(cache_.path_of(".hidden\n", head).filename(), "_.hidden_" + end);
  EXPECT_EQ(cache_.path_of(std::string(4000, 'a'), head).filename(), std::string(64, 'a') + end);
}

TEST_F(PackedCacheTest, ALoadThatIsGivenUpLeavesNothing) {
  const fs::path path = model("llama");
  const auto backend = std::move(*tensor::make_backend("auto"));
  const LoadOptions stop{.progress = [](double share) { return share < 1; }, .cache = &cache_};
  const auto given_up = Decoder::load(open(path), *backend, pool_, {}, stop);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, Code::kCancelled);
  EXPECT_FALSE(fs::exists(folder_.path() / "cache"));
}

}  // namespace
}  // namespace mill::model
