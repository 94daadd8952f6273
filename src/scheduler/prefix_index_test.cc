#include "scheduler/prefix_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mill::scheduler {
namespace {

std::vector<std::byte> counting(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

// Key 00 01 … 0f, input 00 01 … of the given length, results as little-endian words; made with
// `openssl mac -macopt hexkey:… -macopt size:16 SIPHASH` (3.0).
TEST(SipHash, GivesTheValuesOfTheReference) {
  const HashKey key{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
  const auto of = [&](size_t size) { return siphash(key, counting(size)); };
  EXPECT_EQ(of(0), (Hash128{0xe6a825ba047f81a3ULL, 0x930255c71472f66dULL}));
  EXPECT_EQ(of(1), (Hash128{0x44af996bd8c187daULL, 0x45fc229b11597634ULL}));
  EXPECT_EQ(of(7), (Hash128{0x53c1dbd8beebf1a1ULL, 0x3982f01fa64ab8c0ULL}));
  EXPECT_EQ(of(8), (Hash128{0x61f55862baa9623bULL, 0xb49714f364e2830fULL}));
  EXPECT_EQ(of(63), (Hash128{0x4a83502f77d15051ULL, 0x7cbd3f979a063e50ULL}));
}

TEST(PrefixIndex, NamesDependOnAllThatComesBefore) {
  const PrefixIndex index(4, {1, 2});
  const std::vector<TokenId> a = {1, 2, 3}, b = {1, 2, 4};
  const Hash128 root = index.root("model", {1, 1});
  const Hash128 first = index.next(root, a);
  EXPECT_EQ(first, index.next(index.root("model", {1, 1}), a));
  EXPECT_NE(first, index.next(root, b));
  EXPECT_NE(first, index.next(first, a));
  EXPECT_NE(first, index.next(index.root("model", {1, 2}), a)) << "another tenant";
  EXPECT_NE(first, index.next(index.root("model", {2, 1}), a));
  EXPECT_NE(first, index.next(index.root("other", {1, 1}), a)) << "another model";
  const PrefixIndex elsewhere(4, {1, 3});
  EXPECT_NE(first, elsewhere.next(elsewhere.root("model", {1, 1}), a)) << "another process's key";
}

TEST(PrefixIndex, TheFirstBlockWithANameKeepsIt) {
  PrefixIndex index(4, {});
  const Hash128 name = index.root("", {});
  EXPECT_EQ(index.find(name), kNoBlock);
  EXPECT_TRUE(index.insert(name, 2));
  EXPECT_FALSE(index.insert(name, 3));
  EXPECT_EQ(index.find(name), 2);
  EXPECT_FALSE(index.holds(3));
  index.forget(2);
  EXPECT_EQ(index.find(name), kNoBlock);
  EXPECT_TRUE(index.insert(name, 3));
  EXPECT_TRUE(index.consistent());
}

// Against a map; the names are chosen to fall on few slots, so that gaps have to be closed.
TEST(PrefixIndex, RandomComingsAndGoings) {
  std::mt19937_64 random(3);
  constexpr int32_t kBlocks = 40;
  PrefixIndex index(kBlocks, {});
  std::map<uint64_t, BlockId> model;
  for (int i = 0; i < 100000; ++i) {
    const auto block = static_cast<BlockId>(random() % kBlocks);
    const uint64_t one = random() % 60;
    const Hash128 name{one % 7 + (one % 3 == 0 ? 120 : 0), one};  // around the end of the table too
    if (index.holds(block)) {
      model.erase(index.name_of(block).second);
      index.forget(block);
    } else {
      ASSERT_EQ(index.insert(name, block), model.emplace(one, block).second);
    }
    ASSERT_EQ(index.find(name), model.contains(one) ? model[one] : kNoBlock);
    ASSERT_EQ(index.size(), std::ssize(model));
    if (i % 64 == 0) {
      ASSERT_TRUE(index.consistent());
    }
  }
}

}  // namespace
}  // namespace mill::scheduler
