// Plain C++ with the vector types of gcc and clang, for any machine. Only scalar.cc includes this.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/long_dots.h"
#include "tensor/cpu/panel.h"
#include "tensor/half.h"

namespace mill::tensor::portable {

#define MILL_INLINE [[gnu::always_inline]] static inline

struct Simd {
  using F = float __attribute__((vector_size(16)));
  using I = int32_t __attribute__((vector_size(16)));
  using B = uint8_t __attribute__((vector_size(16)));
  static constexpr int kLanes = 4;
  static constexpr int64_t kExpandRows = 0;
  static constexpr int64_t kExpandRowsOfPieces = 0;
  static constexpr int64_t kExpandRowsOfBytes = 0;
  static constexpr bool kFetchInParts = false;  // of the next panel, by all tiles
  static constexpr bool kSumsAsFloats = false;  // code_products.h
  static constexpr bool kStartsAhead = false;
  static constexpr bool kWordProducts = false;
  static constexpr bool kBfloats = false;  // has store_bfloats
  static constexpr int kValueRows = 4;
  static constexpr int kValueVectors = 2;
  static constexpr int kScoreRows = 1;  // queries of a tile in attention
  static constexpr int kMixRows = 2;
  static constexpr int kMixVectors = 4;
  static constexpr int kCodeScoreRows = 1;  // the same over 8-bit codes
  static constexpr int kCodeScoreVectors = 1;
  static constexpr int kCodeMixRows = 1;
  static constexpr int kCodeMixVectors = 1;
  static constexpr int kCodeUnroll = 1;           // steps of four numbers
  static constexpr bool kQueriesInLanes = false;  // see Attention::weigh_lanes

  template <class V>
  MILL_INLINE V take(const void* p) {
    V value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }

  // Sums that a NaN in the input may overflow wrap around.
  using U = uint32_t __attribute__((vector_size(16)));
  MILL_INLINE U bits_of(I a) { return take<U>(&a); }
  MILL_INLINE I take_bits(U a) { return take<I>(&a); }

  MILL_INLINE F zero() { return F{}; }
  MILL_INLINE F set(float x) { return F{x, x, x, x}; }
  MILL_INLINE F load(const float* p) { return take<F>(p); }
  MILL_INLINE void store(float* p, F x) { std::memcpy(p, &x, sizeof x); }
  // The first `lanes` of them; the others read as 0.
  MILL_INLINE F load_part(const float* p, int lanes) {
    F value = {};
    std::memcpy(&value, p, static_cast<size_t>(lanes) * sizeof(float));
    return value;
  }
  MILL_INLINE void store_part(float* p, F x, int lanes) {
    std::memcpy(p, &x, static_cast<size_t>(lanes) * sizeof(float));
  }
  MILL_INLINE F add(F a, F b) { return a + b; }
  MILL_INLINE F sub(F a, F b) { return a - b; }
  MILL_INLINE F mul(F a, F b) { return a * b; }
  MILL_INLINE F div(F a, F b) { return a / b; }
  MILL_INLINE F min(F a, F b) { return a < b ? a : b; }
  MILL_INLINE F max(F a, F b) { return a > b ? a : b; }
  MILL_INLINE F abs(F a) { return a < 0.0F ? -a : a; }
  MILL_INLINE F round(F a) { return from_int(to_int(a)); }
  MILL_INLINE F add_product(F sum, F a, F b) { return sum + a * b; }
  MILL_INLINE F subtract_product(F from, F a, F b) { return from - a * b; }
  // a * 2^n for integral n in [-126, 127].
  MILL_INLINE F scale_by_power(F a, F n) {
    const I bits = (to_int(n) + 127) << 23;
    return a * take<F>(&bits);
  }
  MILL_INLINE float sum(F a) { return (a[0] + a[2]) + (a[1] + a[3]); }
  MILL_INLINE float highest(F a) {
    float top = a[0];
    for (int i = 1; i < kLanes; ++i) top = a[i] > top ? a[i] : top;
    return top;
  }
  // Lanes [from, to) of a, the others of b.
  MILL_INLINE F choose_lanes(F a, F b, int from, int to) {
    const I lane = {0, 1, 2, 3};
    return (lane >= from) & (lane < to) ? a : b;
  }

  // x where a > limit, elsewhere (and where a is a NaN) y.
  MILL_INLINE F choose_above(F a, F limit, F x, F y) { return a > limit ? x : y; }

  // `count` numbers, each twice.
  MILL_INLINE F load_doubled(const float* p, int count) {
    return count > 1 ? F{p[0], p[0], p[1], p[1]} : F{p[0], p[0], 0, 0};
  }
  MILL_INLINE F swap_neighbours(F a) { return F{a[1], a[0], a[3], a[2]}; }
  // a - b in even lanes, a + b in odd ones.
  MILL_INLINE F subtract_add(F a, F b) { return a + F{-b[0], b[1], -b[2], b[3]}; }

  MILL_INLINE I zero_int() { return I{}; }
  MILL_INLINE I set_int(int32_t x) { return I{x, x, x, x}; }
  // Four bytes, in every lane.
  MILL_INLINE I broadcast(const void* p) { return set_int(take<int32_t>(p)); }
  MILL_INLINE F as_float(I a) { return take<F>(&a); }  // the same bits
  MILL_INLINE void store_ints(int32_t* p, I a) { std::memcpy(p, &a, sizeof a); }
  MILL_INLINE F from_int(I a) { return __builtin_convertvector(a, F); }
  // To nearest, ties to even, of numbers within ±2^22: adding 1.5 * 2^23 leaves the integer in the
  // low bits.
  MILL_INLINE I to_int(F a) {
    const F shifted = a + 0x1.8p23F;
    return take_bits(take<U>(&shifted) - 0x4b400000U);
  }
  // The bits of |a|, which order as the numbers do, with a NaN above all.
  MILL_INLINE I magnitude(F a) { return take<I>(&a) & 0x7fffffff; }
  MILL_INLINE I max_int(I a, I b) { return a > b ? a : b; }
  MILL_INLINE int32_t highest_int(I a) {
    int32_t top = a[0];
    for (int i = 1; i < kLanes; ++i) top = a[i] > top ? a[i] : top;
    return top;
  }
  MILL_INLINE I add_int(I a, I b) { return take_bits(bits_of(a) + bits_of(b)); }
  // Lanes as two s16 words each. Numbers that are no words lose their high bits.
  MILL_INLINE I join_words(I low, I high) {
    return take_bits((bits_of(low) & 0xffffU) | bits_of(high) << 16);
  }
  MILL_INLINE I low_words(I a) { return take_bits(bits_of(a) << 16) >> 16; }
  MILL_INLINE I high_words(I a) { return a >> 16; }
  MILL_INLINE I add_words(I a, I b) {
    return join_words(add_int(low_words(a), low_words(b)), add_int(high_words(a), high_words(b)));
  }
  // (a * b + 2^14) / 2^15, rounded down.  Requires: b is not -2^15.
  MILL_INLINE I scale_words(I a, I b) {
    return join_words((low_words(a) * low_words(b) + (1 << 14)) >> 15,
                      (high_words(a) * high_words(b) + (1 << 14)) >> 15);
  }
  // (a + 128) / 256, rounded down, and what that leaves of a.  Requires: a < 2^15 - 128.
  MILL_INLINE I round_words(I a) {
    return join_words((low_words(a) + 128) >> 8, (high_words(a) + 128) >> 8);
  }
  MILL_INLINE I low_bytes(I a) {
    return join_words(take_bits(bits_of(a) << 24) >> 24, take_bits(bits_of(a) << 8) >> 24);
  }
  // Adds the squares of the low bytes (s8) of both words.
  MILL_INLINE void add_low_squares(I& sum, I a) {
    const I off = low_bytes(a);
    sum = add_int(sum, dot_pairs(off, off));
  }
  MILL_INLINE void add_pairs(I& sum, I a, I b) { sum = add_int(sum, dot_pairs(a, b)); }
  // Quads are four lanes each: of what follows, more is to be said where a vector has several. Quad
  // q of vector g changes places with quad g of vector q.
  MILL_INLINE void exchange_quads(F (&)[1]) {}
  // The highest lane of each quad, in all its lanes.
  MILL_INLINE I highest_of_quad(I a) { return set_int(highest_int(a)); }
  // Lane i of each quad gets the sum, modulo 2^32, of the quad of argument i.
  MILL_INLINE I sums_of_quads(I a, I b, I c, I d) {
    return I{sum_int(a), sum_int(b), sum_int(c), sum_int(d)};
  }
  // Lane kLane of each quad, in all its lanes.
  template <int kLane>
  MILL_INLINE I from_quad(I a) {
    return set_int(a[kLane]);
  }
  // In each quad `of` the lane for which a * weight (of the lane) is least, the first of equals.
  // Requires: 0 <= a < 2^31; the weights are multiples of 4.
  template <uint32_t kWeight0, uint32_t kWeight1, uint32_t kWeight2, uint32_t kWeight3>
  MILL_INLINE I of_least(I a, const int32_t (&of)[4]) {
    constexpr int64_t kWeights[4] = {kWeight0, kWeight1, kWeight2, kWeight3};
    // The lane in the bits below, so that there is nothing to branch on.
    int64_t least = kWeights[0] * a[0];
    for (int i = 1; i < 4; ++i) {
      const int64_t other = kWeights[i] * a[i] + i;
      least = other < least ? other : least;
    }
    return set_int(of[least & 3]);
  }
  // Of four vectors of words in [-128, 127], quad g to the 32 bytes at to[g]: the low words of all
  // vectors, then the high ones.
  MILL_INLINE void store_groups(int8_t* const (&to)[1], const I (&a)[4]) {
    for (int i = 0; i < 4; ++i) {
      store_codes(to[0] + 4 * i, low_words(a[i]));
      store_codes(to[0] + 16 + 4 * i, high_words(a[i]));
    }
  }
  MILL_INLINE int32_t sum_int(I a) {
    const U bits = bits_of(a);
    return static_cast<int32_t>(bits[0] + bits[1] + bits[2] + bits[3]);
  }
  // kLanes numbers in [-128, 127] to bytes.
  MILL_INLINE void store_codes(int8_t* p, I a) {
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<int8_t>(a[i]);
  }
  // kLanes bytes (or the first `lanes`), each to the first of four at p; what lies between stays.
  MILL_INLINE void store_apart(int8_t* p, const int8_t* bytes, int lanes) {
    if (lanes == kLanes) {
#pragma GCC unroll 8
      for (int i = 0; i < kLanes; ++i) p[4 * i] = bytes[i];
    } else {
      for (int i = 0; i < lanes; ++i) p[4 * i] = bytes[i];
    }
  }
  // Per lane, s16 pairs: a.low * b.low + a.high * b.high.
  MILL_INLINE I dot_pairs(I a, I b) {
    return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
  }
  // Per lane: the sum of kSteps times four u8 of w (at most kMost) times four s8 of x.
  template <int kMost, int kSteps>
  struct Dots {
    static constexpr int kRows = 2;
    static constexpr int kVectors = 1;
    I sum;
    template <int kStep>
    [[gnu::always_inline]] void add(B w, I x) {
      using Words = int16_t __attribute__((vector_size(32)));
      using Signed = int8_t __attribute__((vector_size(16)));
      using Pairs = int32_t __attribute__((vector_size(32)));
      const Words products =
          __builtin_convertvector(w, Words) * __builtin_convertvector(take<Signed>(&x), Words);
      Pairs both;
      std::memcpy(&both, &products, sizeof both);
      const Pairs pairs = ((both << 16) >> 16) + (both >> 16);
      sum += __builtin_shufflevector(pairs, pairs, 0, 2, 4, 6);
      sum += __builtin_shufflevector(pairs, pairs, 1, 3, 5, 7);
    }
  };

  using LongDots = BytePairs<Simd>;

  // Numbers of 14 bits: the high seven of all, then the low seven, as bytes.
  template <int kVectors>
  MILL_INLINE void store_halves(int8_t* p, const I (&a)[kVectors]) {
    for (int v = 0; v < kVectors; ++v) {
      store_codes(p + v * kLanes, a[v] >> 7);
      store_codes(p + (kVectors + v) * kLanes, a[v] & 127);
    }
  }

  MILL_INLINE B bytes_of(I a) { return take<B>(&a); }
  MILL_INLINE I ints_of(B a) { return take<I>(&a); }
  MILL_INLINE B load_bytes(const std::byte* p) { return take<B>(p); }
  MILL_INLINE void store_bytes(std::byte* p, B a) { std::memcpy(p, &a, sizeof a); }
  MILL_INLINE B low_nibbles(B a) { return a & 15; }
  MILL_INLINE B high_nibbles(B a) { return a >> 4; }
  // Adds kValue to the bytes whose bit is set.
  template <int kValue>
  MILL_INLINE B add_bits(B a, const std::byte* bits) {
    const int mask = take<uint16_t>(bits);
    for (int i = 0; i < 16; ++i) a[i] = static_cast<uint8_t>(a[i] | (mask >> i & 1) * kValue);
    return a;
  }
  MILL_INLINE B look_up(B places) {
    for (int i = 0; i < 16; ++i) places[i] = kIq4Table[places[i]];
    return places;
  }

  // kLanes numbers of another type, widened.
  MILL_INLINE F from_half(const void* p) {
    F value = {};
    for (int i = 0; i < kLanes; ++i) {
      value[i] = f16_to_f32(take<uint16_t>(static_cast<const std::byte*>(p) + 2 * i));
    }
    return value;
  }
  MILL_INLINE F from_bfloat(const void* p) {
    F value = {};
    for (int i = 0; i < kLanes; ++i) {
      value[i] = bf16_to_f32(take<uint16_t>(static_cast<const std::byte*>(p) + 2 * i));
    }
    return value;
  }
  MILL_INLINE F from_bytes(const std::byte* p) {
    F value = {};
    for (int i = 0; i < kLanes; ++i) value[i] = static_cast<int8_t>(p[i]);
    return value;
  }
  MILL_INLINE void to_half_part(uint16_t* p, F a, int lanes) {
    for (int i = 0; i < lanes; ++i) p[i] = f32_to_f16(a[i]);
  }

  MILL_INLINE void fetch(const std::byte* p) {
    __builtin_prefetch(p);
  }
};

#undef MILL_INLINE

}  // namespace mill::tensor::portable
