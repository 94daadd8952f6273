#include "text/pieces/ordered_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace mill::text {
namespace {

using Queue = OrderedQueue<uint32_t, uint32_t>;

// Few ranks or more than there are lists, in order or not, pushed and popped in turns.
TEST(OrderedQueue, GivesTheLowestRankAndThenTheLowestPlace) {
  Queue queue;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const uint32_t ranks = seed % 3 == 0 ? 2 : seed % 3 == 1 ? 100 : 1000;
    const bool in_order = random() % 2 == 0;
    queue.clear();
    std::multiset<std::pair<uint32_t, uint32_t>> expected;
    uint32_t place = 0;
    const auto pop = [&] {
      Queue::Item item{};
      ASSERT_TRUE(queue.pop(item));
      ASSERT_EQ(std::pair(item.rank, item.place), *expected.begin()) << "seed " << seed;
      EXPECT_EQ(item.more, item.rank ^ item.place);
      expected.erase(expected.begin());
    };
    for (int step = 0; step < 2000; ++step) {
      if (random() % 3 == 0 && !expected.empty()) {
        pop();
        continue;
      }
      const uint32_t rank = random() % ranks;
      place = in_order ? place + random() % 2 : random() % 5000;
      queue.push({rank, place, rank ^ place});
      expected.emplace(rank, place);
    }
    while (!expected.empty()) pop();
    Queue::Item none{};
    EXPECT_FALSE(queue.pop(none));
  }
}

}  // namespace
}  // namespace mill::text
