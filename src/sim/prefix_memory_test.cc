#include "sim/prefix_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

namespace mill::sim {
namespace {

std::vector<TokenId> prompt_of(std::mt19937& random, size_t tokens) {
  std::vector<TokenId> prompt(tokens);
  for (TokenId& token : prompt) token = static_cast<TokenId>(random() % 100);
  return prompt;
}

TEST(PrefixMemory, NamesABlockByAllThatComesBeforeIt) {
  std::mt19937 random(1);
  std::vector<TokenId> prompt = prompt_of(random, 4 * kBlockTokens + 7);
  const auto names = block_names(prompt, {1, 2});
  ASSERT_EQ(names.size(), 4u);
  EXPECT_EQ(block_names(prompt, {1, 2}), names);
  EXPECT_NE(block_names(prompt, {1, 3}), names) << "another tenant's";
  ++prompt[kBlockTokens];
  const auto changed = block_names(prompt, {1, 2});
  EXPECT_EQ(changed[0], names[0]);
  for (size_t i = 1; i < names.size(); ++i) EXPECT_NE(changed[i], names[i]);
}

// The same, without a table.
class SlowMemory {
 public:
  explicit SlowMemory(size_t capacity) : capacity_(capacity) {}
  int64_t find(std::span<const uint64_t> names) {
    int64_t known = 0;
    for (const uint64_t name : names) {
      if (std::find(uses_.begin(), uses_.end(), name) == uses_.end()) break;
      use(name);
      ++known;
    }
    return known;
  }
  void add(std::span<const uint64_t> names) {
    for (size_t i = names.size(); i-- > 0;) {
      use(names[i]);
      if (uses_.size() > capacity_) uses_.pop_back();
    }
  }

 private:
  void use(uint64_t name) {
    uses_.remove(name);
    uses_.push_front(name);
  }
  size_t capacity_;
  std::list<uint64_t> uses_;
};

TEST(PrefixMemory, ForgetsTheLeastRecentlyUsed) {
  for (const int64_t capacity : {0, 1, 3, 40, 100}) {
    for (uint32_t seed = 0; seed < 20; ++seed) {
      std::mt19937 random(seed);
      PrefixMemory memory(capacity);
      SlowMemory slow(static_cast<size_t>(capacity));
      for (int i = 0; i < 200; ++i) {
        std::vector<uint64_t> names(random() % 12);
        // Few of them, of which many share a bucket.
        for (uint64_t& name : names) name = (random() % 60) << (random() % 2 * 40);
        if (random() % 2 == 0) {
          memory.add(names);
          slow.add(names);
        } else {
          ASSERT_EQ(memory.find(names), slow.find(names)) << "seed " << seed << ", call " << i;
        }
        ASSERT_LE(memory.size(), capacity);
      }
    }
  }
}

}  // namespace
}  // namespace mill::sim
