// Random bytes for ids. Not synchronised.
#pragma once

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"

namespace mill::ledger {

// Random bytes of the system, some at a time.
class RandomBytes {
 public:
  void fill(std::span<uint8_t, 10> to) {
    if (at_ + to.size() > pool_.size()) {
      size_t have = 0;
      while (have < pool_.size()) {
        const ssize_t got = getrandom(pool_.data() + have, pool_.size() - have, 0);
        MILL_CHECK(got > 0);
        have += static_cast<size_t>(got);
      }
      at_ = 0;
    }
    std::copy_n(pool_.begin() + static_cast<std::ptrdiff_t>(at_), to.size(), to.begin());
    at_ += to.size();
  }

 private:
  std::array<uint8_t, 2560> pool_{};
  size_t at_ = pool_.size();
};

}  // namespace mill::ledger
