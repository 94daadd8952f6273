#include "load/report.h"

namespace mill::load {

std::optional<size_t> fastest(const Report& report) {
  std::optional<size_t> best;
  double most = 0;
  for (size_t i = 0; i < report.points.size(); ++i) {
    const double rate = report.points[i].per_second(report.points[i].completion_tokens);
    if (rate > most) {
      most = rate;
      best = i;
    }
  }
  return best;
}

std::optional<size_t> best_good(const Report& report) {
  std::optional<size_t> best;
  double most = 0;
  for (size_t i = 0; i < report.points.size(); ++i) {
    const double rate = report.points[i].good_per_second.value_or(0);
    if (rate > most) {
      most = rate;
      best = i;
    }
  }
  return best;
}

}  // namespace mill::load
