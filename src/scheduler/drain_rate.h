// How fast the line moves: orders ended and tokens computed per second of work, by the recent past.
//
// Only time spent working counts, so that an hour without orders does not make the mill look slow.
// The past fades: what happened kHalfLife seconds of work ago counts half. Pure.
#pragma once

#include <cstdint>

namespace mill::scheduler {

class DrainRate {
 public:
  static constexpr double kHalfLife = 10.0;  // seconds of work

  // In the last `seconds` so many orders ended and so many tokens went through the model.
  void worked(double seconds, int64_t orders, int64_t tokens);

  // How long until so many orders have ended. `tokens` is what they may take at most, prompts and
  // answers: it counts where no order has ended lately. 0 for no orders; 1 when nothing is known.
  double seconds_for(int64_t orders, int64_t tokens) const;

 private:
  double seconds_ = 0;  // all faded
  double orders_ = 0;
  double tokens_ = 0;
};

}  // namespace mill::scheduler
