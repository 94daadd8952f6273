#include "engine/kv_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace mill::engine {
namespace {

TEST(KvStore, StartsZeroedAndScrubsOnlyTheBlocksNamed) {
  auto kv = KvStore::reserve({.blocks = 4, .block_bytes = 100});
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->bytes(), 400U);
  std::byte* const data = kv->memory().full;
  EXPECT_TRUE(std::all_of(data, data + 400, [](auto b) { return b == std::byte{0}; }));
  std::fill(data, data + 400, std::byte{7});
  kv->scrub(std::vector<int32_t>{1, 3});
  for (size_t i = 0; i < 400; ++i) {
    const bool scrubbed = i / 100 == 1 || i / 100 == 3;
    ASSERT_EQ(data[i], std::byte{scrubbed ? uint8_t{0} : uint8_t{7}}) << i;
  }
}

TEST(KvStore, TheTwoKindsOfBlocksLieApart) {
  auto kv = KvStore::reserve(
      {.blocks = 3, .block_bytes = 100, .window_blocks = 5, .window_block_bytes = 40});
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->bytes(), 500U);
  EXPECT_EQ(kv->bytes_of(1, 2), 180U);
  const model::KvMemory memory = kv->memory();
  ASSERT_GE(memory.windowed, memory.full + 300);
  std::fill(memory.full, memory.full + 300, std::byte{7});
  std::fill(memory.windowed, memory.windowed + 200, std::byte{9});
  kv->scrub(std::vector<int32_t>{2});
  kv->scrub_windowed(std::vector<int32_t>{0, 4});
  EXPECT_EQ(std::count(memory.full, memory.full + 200, std::byte{7}), 200);
  EXPECT_EQ(std::count(memory.full + 200, memory.full + 300, std::byte{0}), 100);
  EXPECT_EQ(std::count(memory.windowed, memory.windowed + 40, std::byte{0}), 40);
  EXPECT_EQ(std::count(memory.windowed + 40, memory.windowed + 160, std::byte{9}), 120);
  EXPECT_EQ(std::count(memory.windowed + 160, memory.windowed + 200, std::byte{0}), 40);
}

TEST(KvStore, MoreThanTheMachineHasIsAnError) {
  const auto kv = KvStore::reserve({.blocks = 1 << 30, .block_bytes = size_t{1} << 32});
  ASSERT_FALSE(kv.has_value());
  EXPECT_EQ(kv.error().code, Code::kOverloaded);
  EXPECT_EQ(kv.error().param, "kv_bytes");
}

}  // namespace
}  // namespace mill::engine
