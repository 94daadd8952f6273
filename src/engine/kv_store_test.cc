#include "engine/kv_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace mill::engine {
namespace {

TEST(KvStore, StartsZeroedAndScrubsOnlyTheBlocksNamed) {
  auto kv = KvStore::reserve(4, 100);
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->bytes(), 400U);
  EXPECT_TRUE(std::all_of(kv->data(), kv->data() + 400, [](auto b) { return b == std::byte{0}; }));
  std::fill(kv->data(), kv->data() + 400, std::byte{7});
  kv->scrub(std::vector<int32_t>{1, 3});
  for (size_t i = 0; i < 400; ++i) {
    const bool scrubbed = i / 100 == 1 || i / 100 == 3;
    ASSERT_EQ(kv->data()[i], std::byte{scrubbed ? uint8_t{0} : uint8_t{7}}) << i;
  }
}

TEST(KvStore, MoreThanTheMachineHasIsAnError) {
  const auto kv = KvStore::reserve(1 << 30, size_t{1} << 32);
  ASSERT_FALSE(kv.has_value());
  EXPECT_EQ(kv.error().code, Code::kOverloaded);
  EXPECT_EQ(kv.error().param, "kv_bytes");
}

}  // namespace
}  // namespace mill::engine
