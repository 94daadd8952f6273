#include "scheduler/drain_rate.h"

#include <cmath>

namespace mill::scheduler {

void DrainRate::worked(double seconds, int64_t orders, int64_t tokens) {
  if (!(seconds > 0)) return;
  const double fade = std::exp2(-seconds / kHalfLife);
  seconds_ = seconds_ * fade + seconds;
  orders_ = orders_ * fade + static_cast<double>(orders);
  tokens_ = tokens_ * fade + static_cast<double>(tokens);
}

double DrainRate::seconds_for(int64_t orders, int64_t tokens) const {
  if (orders <= 0) return 0;
  // Less than half an order: the last end is so long ago that its rate says nothing.
  if (orders_ >= 0.5) return static_cast<double>(orders) * seconds_ / orders_;
  if (tokens_ > 0) return static_cast<double>(tokens) * seconds_ / tokens_;
  return 1;
}

}  // namespace mill::scheduler
