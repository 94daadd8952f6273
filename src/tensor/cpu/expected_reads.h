// What a thread will read of the KV cache, for products to fetch between their own work.
#pragma once

#include <vector>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/row_parts.h"

namespace mill::tensor {

// What this thread is going to read in an attention, as far as it fits the second-level cache
// beside weights and activations.
class ExpectedReads {
 public:
  void clear() {
    runs_.clear();
    bytes_ = 0;
    begin();
  }
  // False, and nothing is added, when there is no room for more.
  bool add(const std::byte* from, const std::byte* to) {
    if (bytes_ + (to - from) > cached_bytes()) return false;
    bytes_ += to - from;
    if (!runs_.empty() && runs_.back().to == from) {
      runs_.back().to = to;
    } else {
      runs_.push_back({from, to});
    }
    return true;
  }
  void begin() {
    ahead_ = {runs_.data(), runs_.data() + runs_.size(), runs_.empty() ? nullptr : runs_[0].from};
  }
  FetchAhead* ahead() { return ahead_.run != ahead_.end ? &ahead_ : nullptr; }

 private:
  std::vector<FetchRun> runs_;
  int64_t bytes_ = 0;
  FetchAhead ahead_;
};

inline ExpectedReads& expected_reads() {
  thread_local ExpectedReads reads;
  return reads;
}

}  // namespace mill::tensor
