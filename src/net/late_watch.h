// Watching, for whom it takes long: most answers are over before it is worth asking the kernel
// whether the client is still there. Internal to net; of one loop's thread alone.
#pragma once

#include <boost/intrusive/list.hpp>

#include "base/clock.h"
#include "base/task.h"

namespace mill::net {

// Who may be watched. Gone from the line when it is destroyed.
class LateWatched : public boost::intrusive::list_base_hook<
                        boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual void watch_now() = 0;

 protected:
  virtual ~LateWatched() = default;

 private:
  friend class LateWatch;
  Instant since_{};
};

class LateWatch {
 public:
  static constexpr Duration kPatience = std::chrono::milliseconds(10);

  explicit LateWatch(const Executor& loop) : timer_(loop) {}

  // Calls its watch_now() from kPatience on, unless it is unlinked before. Requires: not linked.
  void add(LateWatched& one);

 private:
  void wait();

  boost::intrusive::list<LateWatched, boost::intrusive::constant_time_size<false>> waiting_;
  Timer timer_;
  bool armed_ = false;
};

}  // namespace mill::net
