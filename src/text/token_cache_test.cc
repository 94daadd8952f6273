#include "text/token_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "text/test_vocabulary.h"
#include "text/tokenizer.h"

namespace mill::text {
namespace {

using Ids = std::vector<TokenId>;

constexpr TokenCache::Owner kAda{1, 2}, kBob{1, 3};

std::optional<Ids> found(TokenCache& cache, TokenCache::Key key) {
  Ids ids;
  if (!cache.find(key, ids)) return std::nullopt;
  return ids;
}

TEST(TokenCache, FindsWhatWasAddedByAllOfItsKey) {
  TokenCache cache(1 << 20);
  const Ids ids{5, 6, 7};
  cache.add({kAda, 1, "a text"}, ids);
  EXPECT_EQ(found(cache, {kAda, 1, "a text"}), ids);
  EXPECT_FALSE(found(cache, {kBob, 1, "a text"}));
  EXPECT_FALSE(found(cache, {kAda, 2, "a text"}));
  EXPECT_FALSE(found(cache, {kAda, 1, "a texT"}));
  EXPECT_FALSE(found(cache, {kAda, 1, "a tex"}));
  Ids more{1};
  EXPECT_TRUE(cache.find({kAda, 1, "a text"}, more));
  EXPECT_EQ(more, (Ids{1, 5, 6, 7}));
  cache.add({kAda, 1, "makes no tokens"}, {});
  EXPECT_EQ(found(cache, {kAda, 1, "makes no tokens"}), Ids{});
  const TokenCache::Counts counts = cache.counts();
  EXPECT_EQ(counts.hits, 3);
  EXPECT_EQ(counts.misses, 4);
  EXPECT_EQ(counts.hit_bytes, 6 + 6 + 15);
  EXPECT_EQ(counts.missed_bytes, 6 + 6 + 6 + 5);
  EXPECT_EQ(counts.entries, 2);
}

TEST(TokenCache, KeepsWithinItsBytesAndForgetsTheLeastRecentlyUsed) {
  constexpr size_t kCapacity = 100'000;
  TokenCache cache(kCapacity);
  const auto text = [](int i) { return std::to_string(i) + std::string(1000, 'x'); };
  for (int i = 0; i < 1000; ++i) {
    cache.add({kAda, 1, text(i)}, Ids(100, i));
    EXPECT_TRUE(found(cache, {kAda, 1, text(0)})) << "in use all the time";
    EXPECT_LE(cache.counts().bytes, static_cast<int64_t>(kCapacity));
  }
  EXPECT_GT(cache.counts().bytes, static_cast<int64_t>(kCapacity) - 2000) << "there was room";
  EXPECT_TRUE(found(cache, {kAda, 1, text(999)}));
  EXPECT_FALSE(found(cache, {kAda, 1, text(1)}));
  cache.add({kAda, 1, std::string(kCapacity, 'y')}, {});
  EXPECT_TRUE(found(cache, {kAda, 1, text(999)})) << "too large a text puts nothing out";
  const int64_t before = cache.counts().bytes;
  cache.add({kAda, 1, text(999)}, Ids(100, 999));
  EXPECT_EQ(cache.counts().bytes, before) << "once more is not twice";
}

TEST(TokenCache, OfNoBytesKeepsNothing) {
  TokenCache cache(0);
  cache.add({kAda, 1, "text"}, Ids{1});
  EXPECT_FALSE(found(cache, {kAda, 1, "text"}));
  EXPECT_EQ(cache.counts().misses, 0);
}

TEST(TokenCache, TakesManyThreads) {
  TokenCache cache(200'000);  // less than what they add
  const auto text = [](uint32_t i) { return std::to_string(i) + std::string(i % 2000, 'z'); };
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint32_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 20'000; ++i) {
        const uint32_t which = random() % 300;
        const std::string said = text(which);
        const TokenCache::Key key{kAda, 1, said};
        const Ids ids(which % 50, static_cast<TokenId>(which));
        if (const auto known = found(cache, key); !known)
          cache.add(key, ids);
        else
          wrong += *known != ids;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(cache.counts().hits, 0);
  EXPECT_LE(cache.counts().bytes, 200'000);
}

// Behind a tokenizer.

std::string prose(std::mt19937& random, size_t bytes) {
  std::string text;
  while (text.size() < bytes) {
    for (uint32_t n = random() % 9 + 1; n > 0; --n) text += static_cast<char>('a' + random() % 26);
    text += random() % 12 == 0 ? ", " : " ";
  }
  return text;
}

TEST(TokenCache, ATenantNeverFindsTheTextOfAnother) {
  const Tokenizer tokenizer = *Tokenizer::build(byte_vocabulary({"h e", "l l"}));
  TokenCache cache(1 << 20);
  std::mt19937 random(1);
  const std::string text = prose(random, 20'000);
  const TextSpan span{text, false};
  const auto whole = static_cast<int64_t>(text.size());
  const auto hit_bytes = [&](TokenCache::Owner owner) {
    const int64_t before = cache.counts().hit_bytes;
    (void)tokenizer.encode({&span, 1}, Tokenizer::Ends::kNone, {&cache, owner});
    return cache.counts().hit_bytes - before;
  };
  EXPECT_EQ(hit_bytes(kAda), 0);
  EXPECT_EQ(hit_bytes(kBob), 0) << "as new as Ada's was to her";
  EXPECT_GT(hit_bytes(kAda), whole * 9 / 10);
  EXPECT_GT(hit_bytes(kBob), whole * 9 / 10);
}

TEST(TokenCache, KnowsTokenizersApart) {
  const Tokenizer one = *Tokenizer::build(byte_vocabulary({"h e", "l l"}));
  const Tokenizer other = *Tokenizer::build(byte_vocabulary({}));
  TokenCache cache(1 << 20);
  std::string text;
  while (text.size() < 5000) text += "hello hello ";
  const TextSpan span{text, false};
  for (const Tokenizer* tokenizer : {&one, &other, &one, &other}) {
    EXPECT_EQ(tokenizer->encode({&span, 1}, Tokenizer::Ends::kNone, {&cache, kAda}),
              tokenizer->encode({&span, 1}, Tokenizer::Ends::kNone));
  }
  EXPECT_GT(cache.counts().hits, 0);
}

TEST(TokenCache, ALongTurnThatGrowsOrChangesIsMostlyKnown) {
  const Tokenizer tokenizer = *Tokenizer::build(byte_vocabulary({"h e", "l l"}));
  TokenCache cache(4 << 20);
  std::mt19937 random(2);
  std::string text = prose(random, 200'000);
  const auto missed_bytes = [&] {
    const TextSpan span{text, false};
    const int64_t before = cache.counts().missed_bytes;
    EXPECT_EQ(tokenizer.encode({&span, 1}, Tokenizer::Ends::kNone, {&cache, kAda}),
              tokenizer.encode({&span, 1}, Tokenizer::Ends::kNone));
    return cache.counts().missed_bytes - before;
  };
  EXPECT_GT(missed_bytes(), 199'000);
  text += "and so on";
  EXPECT_LT(missed_bytes(), 20'000) << "longer";
  text.insert(100'000, "a word put into the middle of it ");
  EXPECT_LT(missed_bytes(), 30'000) << "changed in the middle";
  text.erase(0, 17);
  EXPECT_LT(missed_bytes(), 30'000) << "shorter in front";
}

}  // namespace
}  // namespace mill::text
