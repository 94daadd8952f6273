// What one rendering may spend. Steps bound its time and, because whatever is made costs a step per
// 32 bytes, its memory as well: a rendering never holds more than about 32 bytes per step.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace mill::text::jinja {

class Budget {
 public:
  Budget(int64_t steps, int32_t depth) : steps_left_(steps), depth_(depth) {}

  // Both fail with kTooLarge when the steps are used up.
  Status spend(int64_t steps) {
    if (steps > steps_left_) [[unlikely]]
      return over();
    steps_left_ -= steps;
    return {};
  }
  Status make(int64_t bytes) { return spend(bytes / 32 + 1); }

  int64_t steps_left() const { return steps_left_; }
  int32_t depth() const { return depth_; }  // how deep values and calls may nest

 private:
  Status over() {
    steps_left_ = 0;
    return fail(Code::kTooLarge, "the chat template used up its steps");
  }

  int64_t steps_left_;
  int32_t depth_;
};

}  // namespace mill::text::jinja
