#include "scheduler/fair_turns.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace mill::scheduler {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Lanes that ask again at once, each with steps of its own length, on a virtual clock.
struct Busy {
  LaneId lane;
  std::function<Duration()> step;
  bool resting = false;
  Duration used{};
};

// Lets them work for `span`; the longest that one of them waited between two turns.
Duration work(FairTurns& turns, std::vector<Busy>& busy, Duration span) {
  Duration time{};
  std::vector<Duration> asked(busy.size());
  Duration longest{};
  for (Busy& one : busy) {
    one.used = {};
    if (!one.resting) turns.ask(one.lane);
  }
  while (time < span) {
    const std::optional<LaneId> lane = turns.grant();
    EXPECT_TRUE(lane.has_value());
    for (size_t i = 0; i < busy.size(); ++i) {
      if (busy[i].lane != *lane) continue;
      longest = std::max(longest, time - asked[i]);
      const Duration used = busy[i].step();
      time += used;
      busy[i].used += used;
      turns.give_back(*lane, used);
      turns.ask(*lane);
      asked[i] = time;
    }
  }
  for (;;) {  // those that still ask
    const std::optional<LaneId> lane = turns.grant();
    if (!lane) break;
    turns.give_back(*lane, {});
  }
  return longest;
}

double part(const std::vector<Busy>& busy, size_t which) {
  double all = 0;
  for (const Busy& one : busy) all += to_seconds(one.used);
  return to_seconds(busy[which].used) / all;
}

std::function<Duration()> always(Duration step) {
  return [step] { return step; };
}

TEST(FairTurns, time_is_divided_as_the_shares_are) {
  for (const Duration quantum : {Duration(milliseconds(0)), Duration(milliseconds(2))}) {
    FairTurns turns(quantum);
    std::vector<Busy> busy{{turns.add(1), always(milliseconds(10))},
                           {turns.add(3), always(milliseconds(10))}};
    work(turns, busy, seconds(100));
    EXPECT_NEAR(part(busy, 0), 0.25, 0.002);
    EXPECT_NEAR(part(busy, 1), 0.75, 0.002);
  }
}

TEST(FairTurns, the_length_of_steps_makes_no_difference) {
  FairTurns turns(milliseconds(2));
  std::mt19937 random(3);
  std::vector<Busy> busy{{turns.add(1), always(microseconds(50))},
                         {turns.add(1), always(milliseconds(40))},
                         {turns.add(2), [&] { return microseconds(1 + random() % 20000); }}};
  work(turns, busy, seconds(200));
  EXPECT_NEAR(part(busy, 0), 0.25, 0.005);
  EXPECT_NEAR(part(busy, 1), 0.25, 0.005);
  EXPECT_NEAR(part(busy, 2), 0.5, 0.005);
}

TEST(FairTurns, what_one_does_not_use_goes_to_the_others_and_is_not_saved_up) {
  FairTurns turns(milliseconds(2));
  std::vector<Busy> busy{{turns.add(1), always(milliseconds(5))},
                         {turns.add(1), always(milliseconds(5))},
                         {turns.add(8), always(milliseconds(5)), true}};
  work(turns, busy, seconds(100));
  EXPECT_NEAR(part(busy, 0), 0.5, 0.002);
  EXPECT_EQ(busy[2].used, Duration::zero());
  busy[2].resting = false;
  work(turns, busy, seconds(1));  // not the 80 s that it would be behind
  EXPECT_NEAR(part(busy, 2), 0.8, 0.02);
}

TEST(FairTurns, nobody_starves) {
  FairTurns turns(Duration::zero());
  std::vector<Busy> busy{{turns.add(0.01), always(milliseconds(1))},
                         {turns.add(100), always(milliseconds(20))},
                         {turns.add(100), always(milliseconds(20))}};
  // Of 20,001 parts of time it has one: a turn of 1 ms each 20 s.
  EXPECT_LE(work(turns, busy, seconds(200)), seconds(21));
  EXPECT_GE(busy[0].used, milliseconds(9));
}

TEST(FairTurns, one_alone_has_every_turn) {
  FairTurns turns(milliseconds(2));
  const LaneId lane = turns.add(0.5);
  for (int i = 0; i < 100; ++i) {
    turns.ask(lane);
    EXPECT_EQ(turns.grant(), lane);
    turns.give_back(lane, milliseconds(7));
  }
  EXPECT_EQ(turns.grant(), std::nullopt);
}

TEST(FairTurns, short_steps_keep_the_turn_for_a_quantum) {
  FairTurns turns(milliseconds(2));
  const LaneId a = turns.add(1);
  const LaneId b = turns.add(1);
  turns.ask(a);
  turns.ask(b);
  int changes = 0;
  std::optional<LaneId> last;
  for (int i = 0; i < 10000; ++i) {  // steps of 50 µs: 40 of them are a quantum
    const std::optional<LaneId> lane = turns.grant();
    changes += lane != last ? 1 : 0;
    last = lane;
    turns.give_back(*lane, microseconds(50));
    turns.ask(*lane);
  }
  EXPECT_LE(changes, 10000 / 40 + 2);
  EXPECT_GE(changes, 10000 / 90);
  EXPECT_TRUE(a != b);
}

TEST(FairTurns, places_of_lanes_that_left_are_used_again) {
  FairTurns turns(milliseconds(2));
  const LaneId first = turns.add(1);
  const LaneId second = turns.add(1);
  turns.ask(second);
  EXPECT_EQ(turns.grant(), second);
  turns.give_back(second, seconds(5));
  turns.remove(first);
  EXPECT_EQ(turns.add(2), first);
  turns.ask(first);
  turns.ask(second);
  EXPECT_EQ(turns.grant(), first);  // new ones begin at the present time, not at 0, not behind
}

}  // namespace
}  // namespace mill::scheduler
