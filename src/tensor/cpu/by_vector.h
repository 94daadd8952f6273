// What an instruction set does vector by vector, where it has nothing better for several at once.
// A base of its Simd (S); see kernels.h.
#pragma once

#include <cstdint>

namespace mill::tensor {

template <class S>
struct ByVector {
  // The sums of the lanes of each, modulo 2^32.
  template <class I>
  [[gnu::always_inline]] static inline void store_sums(I a, I b, I c, I d, int32_t* to) {
    to[0] = S::sum_int(a);
    to[1] = S::sum_int(b);
    to[2] = S::sum_int(c);
    to[3] = S::sum_int(d);
  }
  // 32 numbers in [-128, 127] to bytes: the low words of all vectors, then the high ones.
  template <class I, int kVectors>
  [[gnu::always_inline]] static inline void store_group(int8_t* p, const I (&a)[kVectors]) {
    static_assert(kVectors * S::kLanes == 16);
    for (int i = 0; i < kVectors; ++i) {
      S::store_codes(p + i * S::kLanes, S::low_words(a[i]));
      S::store_codes(p + 16 + i * S::kLanes, S::high_words(a[i]));
    }
  }
};

}  // namespace mill::tensor
