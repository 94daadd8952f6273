#include "scheduler/fair_turns.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace mill::scheduler {

FairTurns::Lane& FairTurns::at(LaneId lane) {
  MILL_CHECK(lane >= 0 && static_cast<size_t>(lane) < lanes_.size());
  Lane& found = lanes_[static_cast<size_t>(lane)];
  MILL_CHECK(found.share > 0);
  return found;
}

LaneId FairTurns::add(double share) {
  MILL_CHECK(share > 0 && std::isfinite(share));
  auto place =
      std::find_if(lanes_.begin(), lanes_.end(), [](const Lane& l) { return l.share == 0; });
  if (place == lanes_.end()) place = lanes_.insert(place, Lane{});
  *place = {.share = share, .start = time_, .end = time_};
  return static_cast<LaneId>(place - lanes_.begin());
}

void FairTurns::remove(LaneId lane) {
  Lane& gone = at(lane);
  MILL_CHECK(!gone.asks && holder_ != lane);
  gone.share = 0;
  if (last_ == lane) last_.reset();
}

void FairTurns::ask(LaneId lane) {
  Lane& asking = at(lane);
  MILL_CHECK(!asking.asks && holder_ != lane);
  asking.asks = true;
  asking.start = std::max(time_, asking.end);
}

std::optional<LaneId> FairTurns::grant() {
  MILL_CHECK(!holder_);
  std::optional<LaneId> best;
  double least = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = lanes_[i];
    if (lane.share == 0 || !lane.asks) continue;
    const auto id = static_cast<LaneId>(i);
    const double lead = last_ == id ? to_seconds(quantum_) / lane.share : 0;
    if (best && lane.start - lead >= least) continue;
    best = id;
    least = lane.start - lead;
  }
  if (!best) return best;
  Lane& next = at(*best);
  next.asks = false;
  time_ = std::max(time_, least);
  holder_ = last_ = best;
  return best;
}

void FairTurns::give_back(LaneId lane, Duration used) {
  MILL_CHECK(holder_ == lane);
  Lane& giver = at(lane);
  giver.end = giver.start + to_seconds(std::max(used, Duration::zero())) / giver.share;
  holder_.reset();
}

}  // namespace mill::scheduler
