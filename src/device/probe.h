// Short measurements of what this machine can do, to hold speeds against: reading memory,
// multiplying small integers.
#pragma once

#include <string>

namespace mill::device {

struct Rates {
  double read_bytes_per_second = 0;  // all threads together, from memory and not from caches
  double int8_macs_per_second = 0;  // 8-bit multiply-and-adds, all threads together, from registers
  std::string int8_path;            // "avx512_vnni", "avx_vnni", "avx2", "scalar"
};

// Takes about 0.7 s with every core of `threads` busy. The best of several short windows, so that a
// moment's disturbance does not count; what else runs for all the time does.  Requires: threads >=
// 1
Rates measure_rates(int threads);

}  // namespace mill::device
