#include "engine/kv_split.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mill::engine {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Gemma 3 270M with an 8-bit cache: 3 layers without a window and 15 with one of 512 tokens.
KvNeed gemma(size_t bytes, int64_t context = 32768, int64_t sequences = 64) {
  return {.bytes = bytes,
          .block_bytes = 3 * 16640,
          .window_block_bytes = 15 * 16640,
          .window = 512,
          .context = context,
          .sequences = sequences,
          .step_tokens = 512};
}

size_t bytes_of(const KvSizes& sizes) {
  return static_cast<size_t>(sizes.blocks) * sizes.block_bytes +
         static_cast<size_t>(sizes.window_blocks) * sizes.window_block_bytes;
}

// How many sequences of so many tokens fit side by side.
int64_t held(const KvSizes& sizes, int64_t tokens) {
  const int64_t full = (tokens + 31) / 32;
  return std::min(sizes.blocks / full, sizes.window_blocks / std::min<int64_t>(full, 17));
}

// The most that any split of so many bytes holds.
int64_t best_held(const KvNeed& need, size_t bytes, int64_t tokens) {
  int64_t best = 0;
  for (size_t windowed = 1; windowed * need.window_block_bytes < bytes; ++windowed) {
    const size_t full = (bytes - windowed * need.window_block_bytes) / need.block_bytes;
    best = std::max(
        best, held({static_cast<int32_t>(full), 1, static_cast<int32_t>(windowed), 1}, tokens));
  }
  return best;
}

TEST(KvSplit, WithoutWindowsThereIsOnePool) {
  const KvSizes sizes =
      split_kv({.bytes = 1000 * 640 + 5, .block_bytes = 640, .context = 3200, .sequences = 64});
  EXPECT_EQ(sizes.blocks, 1000);
  EXPECT_EQ(sizes.window_blocks, 0);
  EXPECT_EQ(
      split_kv({.bytes = 10 * kMiB, .block_bytes = 640, .context = 64, .sequences = 3}).blocks, 6)
      << "no more than three sequences can use";
}

TEST(KvSplit, NoOtherSplitHoldsMoreSequencesOfTheTypicalLength) {
  for (const size_t bytes : {64 * kMiB, 100 * kMiB, 300 * kMiB, 333 * kMiB}) {
    const KvNeed need = gemma(bytes);
    const KvSizes made = split_kv(need);
    ASSERT_LE(bytes_of(made), bytes);
    EXPECT_GT(bytes_of(made), bytes - need.window_block_bytes) << "hardly a block is left over";
    const size_t step = 16 * need.window_block_bytes;  // the price: what a step's prompts get
    EXPECT_GE(held(made, kTypicalTokens), best_held(need, bytes - step, kTypicalTokens));
  }
}

TEST(KvSplit, AtOtherLengthsItIsNeverFarFromTheBest) {
  const KvNeed need = gemma(300 * kMiB);
  const KvSizes made = split_kv(need);
  const auto in_one_pool = static_cast<int64_t>(need.bytes / (18 * 16640));
  for (const int64_t tokens : {512, 1024, 2048, 8192, 16384, 32768}) {
    const auto best = static_cast<double>(best_held(need, need.bytes, tokens));
    EXPECT_GE(2.2 * static_cast<double>(held(made, tokens)), best) << tokens;
    if (tokens > 1024) {
      EXPECT_GE(held(made, tokens), in_one_pool / ((tokens + 31) / 32)) << tokens;
    }
  }
}

TEST(KvSplit, OneSequenceGetsAsFarAsItCan) {
  // Hardly more than one of the typical length; blocks for all layers would hold 1,792 tokens.
  const KvSizes some = split_kv(gemma(16 * kMiB));
  EXPECT_GE(some.window_blocks, 17);
  EXPECT_GT(some.blocks * 32, 4096);
  // Less than its window: both kinds hold the same tokens.
  const KvSizes few = split_kv(gemma(3 * kMiB));
  EXPECT_EQ(few.blocks, few.window_blocks);
  EXPECT_EQ(few.blocks, static_cast<int32_t>(3 * kMiB / (18 * 16640)));
  const KvSizes none = split_kv(gemma(100));
  EXPECT_EQ(none.blocks, 0);
  EXPECT_EQ(none.window_blocks, 0);
}

TEST(KvSplit, WithPlentyOfMemoryAllThatCanBeUsedIsThere) {
  const KvSizes sizes = split_kv(gemma(100 * 1024 * kMiB));
  EXPECT_EQ(sizes.blocks, 64 * 1024);
  EXPECT_EQ(sizes.window_blocks, 64 * 1024) << "prefixes of all that was ever computed";
  const KvSizes middle = split_kv(gemma(5 * 1024 * kMiB));
  EXPECT_EQ(middle.blocks, 64 * 1024);
  EXPECT_GT(middle.window_blocks, 64 * 17 + 16) << "what is left over keeps prefixes";
  EXPECT_LE(bytes_of(middle), 5 * 1024 * kMiB);
}

TEST(KvSplit, ShortContextsNeedAsManyOfBothKinds) {
  const KvSizes sizes = split_kv(gemma(100 * kMiB, 256));
  EXPECT_EQ(sizes.blocks, sizes.window_blocks);
  EXPECT_GT(bytes_of(sizes), 99 * kMiB);
}

TEST(KvSplit, AModelOfWindowsAlone) {
  KvNeed need = gemma(64 * kMiB);
  need.block_bytes = 0;
  const KvSizes sizes = split_kv(need);
  EXPECT_GE(sizes.blocks, 1024) << "the whole context";
  EXPECT_GT(sizes.window_blocks, 200);
  EXPECT_LE(bytes_of(sizes), need.bytes);
}

}  // namespace
}  // namespace mill::engine
