// The keyring under many threads, and with many keys.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <thread>

#include "maas/tenancy/keyring_for_test.h"

namespace mill::maas {
namespace {

using KeyringLoad = KeyringTest;

TEST_F(KeyringLoad, ARevokedKeyIsRefusedAtOnceInEveryThread) {
  one_project();
  constexpr int kKeys = 25, kThreads = 4;
  std::vector<MintedKey> made;
  for (int i = 0; i < kKeys; ++i) made.push_back(minted());
  const std::string other = minted().secret;
  std::atomic<int> revoked{0};  // administer has returned for the first so many
  std::atomic<bool> over{false};
  std::atomic<int64_t> let_in_after{0}, let_in_before{0}, lost{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while (!over) {
        const int gone = revoked.load(std::memory_order_acquire);
        for (int i = std::max(0, gone - 2); i < std::min(kKeys, gone + 2); ++i) {
          const bool in = keys->identify(made[static_cast<size_t>(i)].secret, "").has_value();
          const bool stands = keys->standing(static_cast<uint64_t>(i) + 1).has_value();
          if (i < gone)
            let_in_after += in || stands ? 1 : 0;
          else
            let_in_before += in ? 1 : 0;
        }
        if (!keys->identify(other, "")) ++lost;
      }
    });
  }
  for (int i = 0; i < kKeys; ++i) {
    done(RevokeKey{made[static_cast<size_t>(i)].done.serial});
    revoked.store(i + 1, std::memory_order_release);
  }
  over = true;
  threads.clear();
  EXPECT_EQ(let_in_after, 0);
  EXPECT_GT(let_in_before, 0);  // the threads did look while keys were good
  EXPECT_EQ(lost, 0);           // and nobody else's key suffered
}

TEST_F(KeyringLoad, ActsAndCallersTogether) {
  one_project();
  constexpr int kReaders = 4, kWriters = 2, kRounds = 40;
  // Secrets by serial number, as the writers get them; a reader checks whose they are.
  std::mutex mutex;
  std::vector<std::pair<std::string, uint64_t>> known{{minted().secret, 1}};
  std::atomic<bool> over{false};
  std::atomic<int64_t> asked{0}, wrong{0};
  std::vector<std::jthread> readers, writers;
  for (int t = 0; t < kReaders; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      while (!over) {
        std::pair<std::string, uint64_t> one;
        {
          const std::lock_guard lock(mutex);
          one = known[random() % known.size()];
        }
        for (int i = 0; i < 20; ++i) {
          const auto caller = keys->identify(one.first, "");
          if (caller ? caller->payer.key != one.second : caller.error().param != "key") ++wrong;
          ++asked;
        }
      }
    });
  }
  int64_t longest_us = 0;
  for (int t = 0; t < kWriters; ++t) {
    writers.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const Instant start = now();
        const MintedKey key = minted();
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now() - start);
        {
          const std::lock_guard lock(mutex);
          known.emplace_back(key.secret, key.done.serial);
          longest_us = std::max<int64_t>(longest_us, took.count());
        }
        EXPECT_TRUE(let_in(key.secret));
        if (round % 3 == 0) {
          const auto rotated = keys->rotate_key(key.done.serial, "cli", soon());
          ASSERT_TRUE(rotated) << rotated.error().message;
          EXPECT_FALSE(let_in(key.secret));
          EXPECT_TRUE(let_in(rotated->secret));
        }
        if (round % 4 == 0) done(RevokeKey{key.done.serial});
      }
    });
  }
  writers.clear();
  over = true;
  readers.clear();
  fmt::print("{} identified beside acts; the slowest key took {} us\n", asked.load(), longest_us);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(asked, kRounds);
  const std::string live = bytes();
  open();
  EXPECT_EQ(bytes(), live);
}

TEST_F(KeyringLoad, TenThousandKeysTakeFewMegabytes) {
  constexpr uint64_t kKeys = 10'000;
  one_project();
  keys.reset();
  // Past the keyring, so that one fsync is for many.
  ledger::Ticket last;
  for (uint64_t i = 0; i < kKeys; ++i) {
    ledger::Entry entry;
    entry.kind = ledger::Kind::kAct;
    entry.actor = "cli";
    entry.body = encode(key_act(100 + i, 1, fmt::format("customer key {:05}", i)));
    const auto posted = book->post(std::move(entry));
    ASSERT_TRUE(posted) << posted.error().message;
    last = *posted;
  }
  ASSERT_TRUE(book->durable_blocking(last, soon()));
  open_book();
  // What the journal keeps of a read is there before the measure begins.
  ASSERT_TRUE(book->scan({}, [](const ledger::Entry&) -> Status { return {}; }));
  const size_t before = heap_bytes();
  const Instant start = now();
  auto opened = new_keyring();
  ASSERT_TRUE(opened) << opened.error().message;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now() - start);
  keys = std::move(*opened);
  const auto bytes_used = static_cast<int64_t>(heap_bytes()) - static_cast<int64_t>(before);
  const int64_t per_key = bytes_used / static_cast<int64_t>(kKeys);
  fmt::print("{} keys: {} bytes a key, replayed in {} ms, {} bytes of snapshot\n", kKeys, per_key,
             took.count(), bytes().size());
  RecordProperty("bytes_per_key", static_cast<int>(per_key));
  if constexpr (kHeapIsCounted) {
    EXPECT_GT(per_key, static_cast<int64_t>(sizeof(Key)));
    EXPECT_LT(per_key, 600);  // 6 MB of the plant's 32 idle with so many
  }
  EXPECT_EQ(keys->read([](const Directory& d) { return d.key_count(); }), kKeys);
  for (const uint64_t i : {uint64_t{0}, uint64_t{4711}, kKeys - 1}) {
    const auto caller = keys->identify(secret_of(100 + i), "");
    ASSERT_TRUE(caller);
    EXPECT_EQ(caller->payer.key, i + 1);
  }
}

}  // namespace
}  // namespace mill::maas
