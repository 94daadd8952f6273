#include "base/watermark.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace mill {
namespace {

using std::chrono::milliseconds;

Task<void> wait_for(Watermark& mark, int64_t level, Instant deadline, std::vector<int64_t>& seen,
                    int& in_vain) {
  const bool reached = co_await mark.reached(level, deadline);
  if (reached) {
    EXPECT_GE(mark.level(), level);
    seen.push_back(level);
  } else {
    ++in_vain;
  }
}

TEST(WatermarkTest, NobodyIsForgottenWhileItRises) {
  constexpr int64_t kLevels = 20000;
  Watermark mark;
  struct Loop {
    boost::asio::io_context io;
    std::vector<int64_t> seen;
    int in_vain = 0;
    std::thread thread;
  };
  std::vector<std::unique_ptr<Loop>> loops;
  for (int i = 0; i < 2; ++i) loops.push_back(std::make_unique<Loop>());
  for (const auto& loop : loops) {
    // Starts waits while others end: some find their level reached, some are reached while they
    // begin to wait.
    boost::asio::co_spawn(
        loop->io,
        [](Watermark& all, Loop& own) -> Task<void> {
          for (int64_t level = 1; level <= kLevels; ++level) {
            boost::asio::co_spawn(own.io, wait_for(all, level, kNever, own.seen, own.in_vain),
                                  boost::asio::detached);
            if (level % 64 == 0) co_await all.reached(level - 32, kNever);
          }
        }(mark, *loop),
        boost::asio::detached);
    loop->thread = std::thread([raw = loop.get()] { raw->io.run(); });
  }
  for (int64_t level = 1; level <= kLevels; ++level) {
    mark.rise(level);
    if (level % 512 == 0) std::this_thread::yield();
  }
  for (const auto& loop : loops) {
    loop->thread.join();
    EXPECT_EQ(loop->seen.size(), static_cast<size_t>(kLevels));
    EXPECT_EQ(loop->in_vain, 0);
  }
}

TEST(WatermarkTest, WaitsInOrderOfTheirLevels) {
  Watermark mark(3);
  boost::asio::io_context io;
  std::vector<int64_t> seen;
  int in_vain = 0;
  for (const int64_t level : {9, 3, 5})
    boost::asio::co_spawn(io, wait_for(mark, level, kNever, seen, in_vain), boost::asio::detached);
  io.poll();
  EXPECT_EQ(seen, (std::vector<int64_t>{3}));
  mark.rise(8);
  mark.rise(4);  // lower: nothing
  EXPECT_EQ(mark.level(), 8);
  io.poll();
  EXPECT_EQ(seen, (std::vector<int64_t>{3, 5}));
  mark.rise(9);
  io.run();
  EXPECT_EQ(seen, (std::vector<int64_t>{3, 5, 9}));
}

TEST(WatermarkTest, AWaitEndsAtItsDeadline) {
  Watermark mark;
  boost::asio::io_context io;
  std::vector<int64_t> seen;
  int in_vain = 0;
  boost::asio::co_spawn(io, wait_for(mark, 1, now() + milliseconds(5), seen, in_vain),
                        boost::asio::detached);
  io.run();
  EXPECT_EQ(in_vain, 1);
  mark.rise(1);  // nobody is there any more
}

TEST(WatermarkTest, ClosingEndsEveryWaitAndLaterOnes) {
  Watermark mark(1);
  boost::asio::io_context io;
  std::vector<int64_t> seen;
  int in_vain = 0;
  boost::asio::co_spawn(io, wait_for(mark, 2, kNever, seen, in_vain), boost::asio::detached);
  io.poll();
  mark.close();
  boost::asio::co_spawn(io, wait_for(mark, 2, kNever, seen, in_vain), boost::asio::detached);
  boost::asio::co_spawn(io, wait_for(mark, 1, kNever, seen, in_vain), boost::asio::detached);
  io.run();
  EXPECT_EQ(in_vain, 2);
  EXPECT_EQ(seen, (std::vector<int64_t>{1}));
}

TEST(WatermarkTest, ALoopMayGoAwayWithItsWaiters) {
  Watermark mark;
  std::vector<int64_t> seen;
  int in_vain = 0;
  {
    boost::asio::io_context io;
    boost::asio::co_spawn(io, wait_for(mark, 1, kNever, seen, in_vain), boost::asio::detached);
    io.poll();
  }
  mark.rise(1);
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(in_vain, 0);
}

}  // namespace
}  // namespace mill
