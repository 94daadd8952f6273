// Lets engines that share the cores take turns as their shares say: the body of
// scheduler/fair_turns.h.
#pragma once

#include <memory>

#include "scheduler/fair_turns.h"

namespace mill::engine {

class Turnstile;

// One engine's way in, or a load's. Belongs to one thread at a time.
class TurnLane {
 public:
  ~TurnLane();  // rests
  TurnLane(const TurnLane&) = delete;
  TurnLane& operator=(const TurnLane&) = delete;

  // Returns when it is this lane's turn. Whoever holds the turn gives it back by the next call,
  // and goes on at once when nobody else is before it.
  void take_turn();
  // Gives the turn back and asks for no other.
  void rest();

 private:
  friend class Turnstile;
  struct Core;
  TurnLane(std::shared_ptr<Core> core, scheduler::LaneId id);

  const std::shared_ptr<Core> core_;
  const scheduler::LaneId id_;
};

class Turnstile {
 public:
  Turnstile();
  ~Turnstile();
  // The lane may outlive the turnstile.  Requires: share > 0.
  std::unique_ptr<TurnLane> open(double share);

 private:
  const std::shared_ptr<TurnLane::Core> core_;
};

}  // namespace mill::engine
