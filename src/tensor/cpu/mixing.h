// The Walsh-Hadamard transform of a head: what an 8-bit cache keeps of a key or value (kv_cache.h).
// Templates over the vector type of an instruction set; see kernels.h.
//
// Sums and differences are taken over strides 1, 2, 4, … in this order, whatever the vectors' size,
// so that every instruction set rounds alike.
#pragma once

#include <utility>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// Lanes `stride` apart: their sum in the lower, their difference in the upper.
template <class S, int kStride>
struct LanePairs {
  using F = typename S::F;

  [[gnu::always_inline]] static F of(F x) {
    return of(x, std::make_integer_sequence<int, S::kLanes>());
  }

 private:
  template <int... kLane>
  [[gnu::always_inline]] static F of(F x, std::integer_sequence<int, kLane...>) {
    const F other = __builtin_shufflevector(x, x, (kLane ^ kStride)...);
    const F sign = {(kLane & kStride ? -1.0F : 1.0F)...};
    return S::add_product(other, x, sign);
  }
};

// All strides within a vector of which `lanes` count, a power of two.
template <class S, int kStride = 1>
[[gnu::always_inline]] inline typename S::F mix_lanes(typename S::F x, int64_t lanes) {
  if constexpr (kStride < S::kLanes) {
    if (kStride >= lanes) return x;
    return mix_lanes<S, 2 * kStride>(LanePairs<S, kStride>::of(x), lanes);
  }
  return x;
}

// Strides step, 2 step, … below kWays * step, of kWays vectors that lie `step` apart.
template <class S, int kWays>
[[gnu::always_inline]] inline void mix_ways(typename S::F (&part)[kWays]) {
#pragma GCC unroll 3
  for (int stride = 1; stride < kWays; stride *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) {
      if (i & stride) continue;
      const typename S::F low = part[i], high = part[i + stride];
      part[i] = S::add(low, high);
      part[i + stride] = S::sub(low, high);
    }
  }
}
template <class S, int kWays>
void mix_vectors(float* x, int64_t step) {
  typename S::F part[kWays];
#pragma GCC unroll 8
  for (int i = 0; i < kWays; ++i) part[i] = S::load(x + i * step);
  mix_ways<S>(part);
#pragma GCC unroll 8
  for (int i = 0; i < kWays; ++i) S::store(x + i * step, part[i]);
}

template <class S, int kWays>
void mix_strides(float* x, int64_t count, int64_t step) {
  for (int64_t at = 0; at < count; at += kWays * step) {
    for (int64_t i = 0; i < step; i += S::kLanes) mix_vectors<S, kWays>(x + at + i, step);
  }
}

// All strides of blocks of kWays vectors.
template <class S, int kWays>
void mix_blocks(const float* from, int64_t count, typename S::F share, float* to) {
  for (int64_t at = 0; at < count; at += kWays * S::kLanes) {
    typename S::F part[kWays];
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) {
      const typename S::F x = S::load(from + at + i * S::kLanes);
      part[i] = mix_lanes<S>(S::mul(x, share), S::kLanes);
    }
    mix_ways<S>(part);
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) S::store(to + at + i * S::kLanes, part[i]);
  }
}

// From `count` numbers to their transform, in blocks of mixed_size(count). `to` may be `from`.
template <class S>
void mix_head(const float* from, int64_t count, float* to) {
  const int64_t size = mixed_size(count);
  const int lanes = static_cast<int>(size < S::kLanes ? size : S::kLanes);
  const typename S::F share = S::set(1.0F / __builtin_sqrtf(static_cast<float>(size)));
  if (size == 4 * S::kLanes) return mix_blocks<S, 4>(from, count, share, to);
  if (size == 8 * S::kLanes) return mix_blocks<S, 8>(from, count, share, to);
  for (int64_t i = 0; i < count; i += lanes) {
    if (lanes == S::kLanes) {
      S::store(to + i, mix_lanes<S>(S::mul(S::load(from + i), share), lanes));
    } else {
      const typename S::F part = S::mul(S::load_part(from + i, lanes), share);
      S::store_part(to + i, mix_lanes<S>(part, lanes), lanes);
    }
  }
  for (int64_t step = S::kLanes; step < size;) {
    const int64_t ways = size / step < 8 ? size / step : 8;
    if (ways == 8) {
      mix_strides<S, 8>(to, count, step);
    } else if (ways == 4) {
      mix_strides<S, 4>(to, count, step);
    } else {
      mix_strides<S, 2>(to, count, step);
    }
    step *= ways;
  }
}

}  // namespace mill::tensor
