#include "base/channel.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>
#include <vector>

namespace mill {
namespace {

Task<void> read_all(Channel<int>& channel, std::vector<int>& seen) {
  for (;;) {
    const std::optional<int> item = co_await channel.next();
    if (!item) co_return;
    seen.push_back(*item);
  }
}

TEST(Channel, EveryItemOfAnotherThreadArrivesInOrder) {
  Channel<int> channel(100000);
  std::vector<int> seen;
  boost::asio::io_context io;
  boost::asio::co_spawn(io, read_all(channel, seen), boost::asio::detached);
  std::thread writer([&] {
    for (int i = 0; i < 20000; ++i) EXPECT_TRUE(channel.push(i));
    channel.close();
  });
  io.run();
  writer.join();
  ASSERT_EQ(seen.size(), 20000u);
  for (int i = 0; i < 20000; ++i) ASSERT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(Channel, FullAndClosedRefuse) {
  Channel<int> channel(2);
  EXPECT_TRUE(channel.push(1));
  EXPECT_TRUE(channel.push(2));
  EXPECT_FALSE(channel.push(3));
  channel.close();
  EXPECT_EQ(channel.next_blocking(), 1);
  EXPECT_FALSE(channel.push(4));
  EXPECT_EQ(channel.next_blocking(), 2);
  EXPECT_EQ(channel.next_blocking(), std::nullopt);
  EXPECT_FALSE(channel.timed_out());
}

TEST(Channel, AWaitEndsAtItsDeadline) {
  Channel<int> channel(1);
  EXPECT_EQ(channel.next_blocking(now()), std::nullopt);
  EXPECT_TRUE(channel.timed_out());
  bool late = false;
  boost::asio::io_context io;
  const auto wait = [&]() -> Task<void> {
    const std::optional<int> item = co_await channel.next(now());
    late = !item && channel.timed_out();
  };
  boost::asio::co_spawn(io, wait(), boost::asio::detached);
  io.run();
  EXPECT_TRUE(late);
}

}  // namespace
}  // namespace mill
