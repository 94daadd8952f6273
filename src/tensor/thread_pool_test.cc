#include "tensor/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <tuple>
#include <vector>

#include "base/clock.h"

namespace mill::tensor {
namespace {

TEST(ThreadPool, SharesCoverEveryItemOnce) {
  for (int size = 1; size <= 5; ++size) {
    for (const int64_t grain : {1, 3, 32}) {
      for (int64_t count = 0; count < 200; ++count) {
        int64_t next = 0;
        for (int index = 0; index < size; ++index) {
          const auto [first, last] = Team(index, size, nullptr).share(count, grain);
          ASSERT_EQ(first, next);
          ASSERT_LE(first, last);
          next = last;
        }
        ASSERT_EQ(next, count);
      }
    }
  }
}

// No wait between the rounds: a member may be rounds ahead of the others.
TEST(ThreadPool, ClaimsTakeEveryItemOnce) {
  for (const int size : {1, 2, 3, 5}) {
    ThreadPool pool(size);
    constexpr int64_t kRounds = 60;
    std::vector<std::vector<std::atomic<int>>> taken;
    for (int64_t count = 0; count < kRounds; ++count) taken.emplace_back(static_cast<size_t>(count));
    for (int job = 1; job <= 20; ++job) {
      pool.run([&](Team& team) {
        for (std::vector<std::atomic<int>>& items : taken) {
          Team::Claims claims = team.claims(static_cast<int64_t>(items.size()));
          for (auto [first, last] = claims.next(); first < last;
               std::tie(first, last) = claims.next()) {
            for (int64_t i = first; i < last; ++i) ++items[static_cast<size_t>(i)];
          }
        }
      });
      for (const std::vector<std::atomic<int>>& items : taken) {
        for (const std::atomic<int>& times : items) ASSERT_EQ(times, job) << "members " << size;
      }
    }
  }
}

TEST(ThreadPool, AWaitMakesTheOthersWritesVisible) {
  ThreadPool pool(3);
  std::vector<int64_t> values(3), sums(3);
  for (int round = 0; round < 500; ++round) {
    pool.run([&](Team& team) {
      const auto me = static_cast<size_t>(team.index());
      values[me] = round + team.index();
      team.wait();
      sums[me] = std::accumulate(values.begin(), values.end(), int64_t{0});
    });
    for (const int64_t sum : sums) ASSERT_EQ(sum, 3 * round + 3);
  }
}

TEST(ThreadPool, MoreMembersThanCoresMakeProgress) {
  constexpr int kMembers = 9;
  ThreadPool pool(kMembers);
  std::vector<int64_t> counts(kMembers);
  std::atomic<bool> behind = false;
  pool.run([&](Team& team) {
    for (int round = 1; round <= 300; ++round) {
      ++counts[static_cast<size_t>(team.index())];
      team.wait();
      for (const int64_t count : counts) behind = behind || count != round;
      team.wait();
    }
  });
  EXPECT_FALSE(behind);
}

// Long enough between the calls for the others to fall asleep, and short enough not to.
TEST(ThreadPool, CallsMayComeAtAnyPace) {
  ThreadPool pool(3);
  std::atomic<int> runs = 0;
  for (int i = 0; i < 60; ++i) {
    pool.run([&](Team&) { ++runs; });
    const Instant until = now() + std::chrono::microseconds(i % 2 == 0 ? 1500 : 20);
    while (now() < until) continue;
  }
  EXPECT_EQ(runs, 180);
}

}  // namespace
}  // namespace mill::tensor
