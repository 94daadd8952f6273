// The Walsh-Hadamard transform of a head: what an 8-bit cache keeps of a key or value (kv_cache.h).
// Templates over the vector type of an instruction set; see kernels.h.
//
// Sums and differences are taken over strides 1, 2, 4, … in this order, whatever the vectors' size,
// so that every instruction set rounds alike.
#pragma once

#include <bit>
#include <utility>

#include "tensor/cpu/coding.h"
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

// Strides of whole vectors: 1, 2, … below kWays of them.
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

// Strides step, 2 step, … below kWays * step, of kWays vectors that lie `step` apart.
template <class S, int kWays>
[[gnu::always_inline]] inline void mix_vectors(float* x, int64_t step) {
  typename S::F part[kWays];
#pragma GCC unroll 8
  for (int i = 0; i < kWays; ++i) part[i] = S::load(x + i * step);
  mix_ways<S, kWays>(part);
#pragma GCC unroll 8
  for (int i = 0; i < kWays; ++i) S::store(x + i * step, part[i]);
}

// All strides within each kWays vectors that lie side by side, of numbers times `share`.
template <class S, int kWays>
void mix_runs(const float* from, int64_t count, typename S::F share, float* to) {
  for (int64_t at = 0; at < count; at += kWays * S::kLanes) {
    typename S::F part[kWays];
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) {
      part[i] = mix_lanes<S>(S::mul(S::load(from + at + i * S::kLanes), share), S::kLanes);
    }
    mix_ways<S, kWays>(part);
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) S::store(to + at + i * S::kLanes, part[i]);
  }
}

template <class S, int kWays>
void mix_strides(float* x, int64_t count, int64_t step) {
  for (int64_t at = 0; at < count; at += kWays * step) {
    for (int64_t i = 0; i < step; i += S::kLanes) mix_vectors<S, kWays>(x + at + i, step);
  }
}

// 1 / sqrt(size) of a power of two, as a root and a division round it.
template <class S>
float mixed_share(int64_t size) {
  const int power = std::countr_zero(static_cast<uint64_t>(size));
  const auto half = std::bit_cast<float>((127 - power / 2) << 23);
  return power % 2 == 0 ? half : half * 0x1.6a09e6p-1F;
}

// From `count` numbers to their transforms, in blocks of `size`. `to` may be `from`.
template <class S>
void mix_blocks(const float* from, int64_t count, int64_t size, float* to) {
  const typename S::F share = S::set(mixed_share<S>(size));
  if (size < S::kLanes) {
    const int lanes = static_cast<int>(size);
    for (int64_t i = 0; i < count; i += lanes) {
      const typename S::F part = S::mul(S::load_part(from + i, lanes), share);
      S::store_part(to + i, mix_lanes<S>(part, lanes), lanes);
    }
    return;
  }
  int64_t step = size / S::kLanes < 4 ? size : 4 * S::kLanes;
  if (step == 4 * S::kLanes) {
    mix_runs<S, 4>(from, count, share, to);
  } else if (step == 2 * S::kLanes) {
    mix_runs<S, 2>(from, count, share, to);
  } else {
    mix_runs<S, 1>(from, count, share, to);
  }
  while (step < size) {
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

// The same of one head.
template <class S>
void mix_head(const float* from, int64_t count, float* to) {
  mix_blocks<S>(from, count, mixed_size(count), to);
}

// What numbers are times as codes, where the largest magnitude is 127.
template <class S>
float code_inverse(float top) {
  return top > 1e-36F ? 127.0F / top : 0.0F;
}

// Of heads of kWays vectors that are transformed as a whole: they stay in registers.
template <class S, int kWays>
void code_whole_heads(const float* from, int64_t heads, int8_t* codes, float* tops) {
  constexpr int64_t kSize = kWays * S::kLanes;
  const typename S::F share = S::set(mixed_share<S>(kSize));
  for (int64_t h = 0; h < heads; ++h, from += kSize, codes += padded_head_dim(kSize)) {
    typename S::F part[kWays];
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) {
      part[i] = mix_lanes<S>(S::mul(S::load(from + i * S::kLanes), share), S::kLanes);
    }
    mix_ways<S, kWays>(part);
    typename S::I top = S::magnitude(part[0]);
#pragma GCC unroll 8
    for (int i = 1; i < kWays; ++i) top = S::max_int(top, S::magnitude(part[i]));
    tops[h] = std::bit_cast<float>(S::highest_int(top));
    const typename S::F inverse = S::set(code_inverse<S>(tops[h]));
#pragma GCC unroll 8
    for (int i = 0; i < kWays; ++i) {
      S::store_codes(codes + i * S::kLanes, S::to_int(S::mul(part[i], inverse)));
    }
  }
}

// The codes of heads' transforms, and the largest magnitude of each.
template <class S>
void code_heads(const float* from, int64_t heads, int64_t head_dim, float* room, int8_t* codes,
                float* tops) {
  const int64_t size = mixed_size(head_dim);
  if (size == head_dim) {
    if (size == 8 * S::kLanes) return code_whole_heads<S, 8>(from, heads, codes, tops);
    if (size == 4 * S::kLanes) return code_whole_heads<S, 4>(from, heads, codes, tops);
  }
  mix_blocks<S>(from, heads * head_dim, size, room);
  for (int64_t h = 0; h < heads; ++h, room += head_dim, codes += padded_head_dim(head_dim)) {
    tops[h] = highest<S>(room, head_dim);
    to_codes<S>(room, code_inverse<S>(tops[h]), codes, head_dim);
  }
}

template <class S>
void spread(const int8_t* codes, int64_t count, int8_t* to) {
  for (int64_t i = 0; i < count; i += S::kLanes) {
    const int lanes = static_cast<int>(count - i < S::kLanes ? count - i : S::kLanes);
    S::store_apart(to + 4 * i, codes + i, lanes);
  }
}

}  // namespace mill::tensor
