#include "net/late_watch.h"

namespace mill::net {

void LateWatch::add(LateWatched& one) {
  one.since_ = now();
  waiting_.push_back(one);
  if (!armed_) wait();
}

// The first in line is the one that waits the longest.
void LateWatch::wait() {
  armed_ = true;
  timer_.expires_at(waiting_.front().since_ + kPatience);
  timer_.async_wait([this](boost::system::error_code dropped) {
    if (dropped) return;
    armed_ = false;
    const Instant due = now() - kPatience;
    while (!waiting_.empty() && waiting_.front().since_ <= due) {
      LateWatched& one = waiting_.front();
      waiting_.pop_front();
      one.watch_now();
    }
    if (!waiting_.empty()) wait();
  });
}

}  // namespace mill::net
