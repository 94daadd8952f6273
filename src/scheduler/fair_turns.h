// Who uses the cores next, where several engines share them: start-time fair queueing (Goyal, Vin,
// Cheng: SIGCOMM 1996) over the time that was really used.
//
// Each lane has a share and a virtual time that grows by used / share; the turn goes to the lane
// that asks with the least. While two are busy their times are as their shares, whatever their
// steps take; who rests saves nothing up, and the others have all of it. A lane waits at most until
// each of the others has had one turn more than its share. Pure; time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace mill::scheduler {

using LaneId = int32_t;

class FairTurns {
 public:
  // Who holds the turn keeps it, while it asks, until it is `quantum` of its own time ahead: very
  // short steps need not change hands each time.
  explicit FairTurns(Duration quantum) : quantum_(quantum) {}

  // Requires: share > 0 and finite.
  LaneId add(double share);
  // Requires: the lane neither asks nor holds the turn.
  void remove(LaneId lane);

  // The lane wants a turn.  Requires: it neither asks nor holds one.
  void ask(LaneId lane);
  // Gives the free turn to who is next; nothing when nobody asks.  Requires: nobody holds it.
  std::optional<LaneId> grant();
  // The holder gives the turn back after `used`; it may ask again before the next grant().
  // Requires: `lane` holds the turn.
  void give_back(LaneId lane, Duration used);

  std::optional<LaneId> holder() const { return holder_; }

 private:
  struct Lane {
    double share = 0;  // 0: removed
    double start = 0;  // virtual time of the turn that is asked for or held, in seconds
    double end = 0;    // of the last one
    bool asks = false;
  };

  Lane& at(LaneId lane);

  const Duration quantum_;
  std::vector<Lane> lanes_;  // by LaneId
  double time_ = 0;          // the start of the turn granted last
  std::optional<LaneId> holder_;
  std::optional<LaneId> last_;  // whose the turn was before
};

}  // namespace mill::scheduler
