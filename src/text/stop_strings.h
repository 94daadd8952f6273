// Ends an answer at the first of some strings, and never lets the first bytes of one leak to the
// reader.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/pieces/byte_matcher.h"

namespace mill::text {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // empty ones stop nothing

  struct Step {
    std::string text;      // safe to show: no stop string starts in it
    bool stopped = false;  // a stop string was completed; nothing more will come
  };
  // The earliest-ending stop wins; of those, the longest. Its own text is not shown. Time is linear
  // in all text pushed, however it is cut. After a stop, what is pushed is dropped (stopped stays
  // true, text is empty). Text of whole UTF-8 sequences stays whole where the stops are UTF-8.
  Step push(std::string_view text);
  // The held-back rest of an answer that ended without a stop string; "" after a stop.
  std::string finish();

 private:
  std::string take(size_t bytes);

  ByteMatcher matcher_;
  ByteMatcher::State state_ = ByteMatcher::kStart;
  std::string held_;  // from shown_ on: read, and not shown, because a stop may have begun in it
  size_t shown_ = 0;
  bool stopped_ = false;
};

}  // namespace mill::text
