// One run of a load: who asks when, and what was seen.
//
// Closed loop: a number of clients, each asks again as soon as it has its answer. Open loop:
// requests start at their times whatever becomes of those before them, and every latency counts
// from the time at which a request should have started, so that a target that is slow can't slow
// its own load down unseen (coordinated omission).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "load/ask.h"
#include "load/target.h"
#include "net/event_loop.h"

namespace mill::load {

struct Drive {
  int32_t clients = 0;  // closed loop with so many; 0: open loop
  int32_t in_flight =
      4096;            // open loop: no more at a time; those beyond wait, and their time counts
  Duration at_most{};  // no request begins later than this after the run's begin; 0: no limit
  Duration patience = std::chrono::hours(1);  // of one request, from its intended start
  // Called about every 100 ms on the run's thread; may be empty.
  std::function<void(const struct Progress&)> on_tick;
};

struct Progress {
  int64_t done = 0, failed = 0, in_flight = 0, tokens = 0;
  double seconds = 0;
};

// One request, as it went.
struct Record {
  int64_t index = 0;
  int64_t asked_prompt = 0;
  int32_t asked_output = 0;
  Instant intended{};  // when it should have started
  Instant started{};
  Instant ended{};
  bool ok = false;
  std::string failure;  // why not: "deadline: …"
  Reply reply;          // of one that is ok
};

struct RunLog {
  Instant begun{};
  Instant ended{};
  bool open_loop = false;
  int64_t most_in_flight = 0;
  std::vector<Record> records;  // in the order of their ends
};

// Runs all of `asks`, or as many as there is time for, to their ends, on `loop`. Blocks.
RunLog drive(net::EventLoop& loop, Target& target, AskSource asks, const Drive& how);

}  // namespace mill::load
