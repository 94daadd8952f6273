// AVX2 with FMA and F16C for the templates of this folder. Only avx2.cc includes this.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/long_dots.h"
#include "tensor/cpu/panel.h"

namespace mill::tensor::avx2 {

#define MILL_INLINE [[gnu::always_inline]] static inline

struct Simd {
  using F = __m256;
  using I = __m256i;
  using B = __m256i;
  static constexpr int kLanes = 8;
  static constexpr int64_t kExpandRows = 24;
  static constexpr int64_t kExpandRowsOfPieces = 2;
  static constexpr int64_t kExpandRowsOfBytes = kNever;
  static constexpr bool kFetchInParts = true;  // of the next panel, by all tiles
  static constexpr bool kSumsAsFloats = true;  // code_products.h
  static constexpr bool kStartsAhead = true;   // likewise
  static constexpr bool kWordProducts = true;  // likewise
  static constexpr bool kBfloats = false;      // has store_bfloats
  static constexpr int kValueRows = 6;
  static constexpr int kValueVectors = 2;
  static constexpr int kScoreRows = 3;  // queries of a tile in attention
  static constexpr int kMixRows = 3;
  static constexpr int kMixVectors = 4;
  static constexpr int kCodeScoreRows = 4;  // the same over 8-bit codes
  static constexpr int kCodeScoreVectors = 2;
  static constexpr int kCodeMixRows = 4;
  static constexpr int kCodeMixVectors = 2;
  static constexpr int kCodeUnroll = 1;           // steps of four numbers
  static constexpr bool kQueriesInLanes = false;  // see Attention::weigh_lanes

  MILL_INLINE F zero() { return _mm256_setzero_ps(); }
  MILL_INLINE F set(float x) { return _mm256_set1_ps(x); }
  MILL_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
  MILL_INLINE void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  MILL_INLINE I first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  // The first `lanes` of them; the others read as 0.
  MILL_INLINE F load_part(const float* p, int lanes) {
    return _mm256_maskload_ps(p, first_lanes(lanes));
  }
  // All of them go the plain way, as a masked store is tens of instructions on some cores.
  MILL_INLINE void store_part(float* p, F x, int lanes) {
    if (lanes == kLanes) return store(p, x);
    _mm256_maskstore_ps(p, first_lanes(lanes), x);
  }
  MILL_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  MILL_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  MILL_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  MILL_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
  MILL_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
  MILL_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
  MILL_INLINE F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  MILL_INLINE F round(F a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  MILL_INLINE F add_product(F sum, F a, F b) { return _mm256_fmadd_ps(a, b, sum); }
  MILL_INLINE F subtract_product(F from, F a, F b) { return _mm256_fnmadd_ps(a, b, from); }
  // a * 2^n for integral n.  Requires: a and the result are normal numbers, or a is a NaN.
  MILL_INLINE F scale_by_power(F a, F n) {
    const I power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), power));
  }
  MILL_INLINE float sum(F a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  MILL_INLINE float highest(F a) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  // Lanes [from, to) of a, the others of b.
  MILL_INLINE F choose_lanes(F a, F b, int from, int to) {
    const I mask = _mm256_andnot_si256(first_lanes(from), first_lanes(to));
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(mask));
  }

  // x where a > limit, elsewhere (and where a is a NaN) y.
  MILL_INLINE F choose_above(F a, F limit, F x, F y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, limit, _CMP_GT_OQ));
  }

  // `count` numbers, each twice.
  MILL_INLINE F load_doubled(const float* p, int count) {
    return _mm256_permutevar8x32_ps(load_part(p, count), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  }
  MILL_INLINE F swap_neighbours(F a) { return _mm256_permute_ps(a, 0xb1); }
  // a - b in even lanes, a + b in odd ones.
  MILL_INLINE F subtract_add(F a, F b) { return _mm256_addsub_ps(a, b); }

  MILL_INLINE I zero_int() { return _mm256_setzero_si256(); }
  MILL_INLINE I set_int(int32_t x) { return _mm256_set1_epi32(x); }
  // Four bytes, in every lane.
  MILL_INLINE I broadcast(const void* p) {
    int32_t x = 0;
    std::memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
  }
  MILL_INLINE F as_float(I a) { return _mm256_castsi256_ps(a); }  // the same bits
  MILL_INLINE void store_ints(int32_t* p, I a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
  }
  MILL_INLINE I load_ints(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  MILL_INLINE F from_int(I a) { return _mm256_cvtepi32_ps(a); }
  MILL_INLINE I to_int(F a) { return _mm256_cvtps_epi32(a); }  // to nearest, ties to even
  // The bits of |a|, which order as the numbers do, with a NaN above all.
  MILL_INLINE I magnitude(F a) { return _mm256_castps_si256(abs(a)); }
  MILL_INLINE I max_int(I a, I b) { return _mm256_max_epi32(a, b); }
  MILL_INLINE int32_t highest_int(I a) {
    const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  MILL_INLINE I add_int(I a, I b) { return _mm256_add_epi32(a, b); }
  // Lanes as two s16 words each. Numbers that are no words lose their high bits.
  MILL_INLINE I join_words(I low, I high) {
    return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
  }
  MILL_INLINE I low_words(I a) { return _mm256_srai_epi32(_mm256_slli_epi32(a, 16), 16); }
  MILL_INLINE I high_words(I a) { return _mm256_srai_epi32(a, 16); }
  MILL_INLINE I add_words(I a, I b) { return _mm256_add_epi16(a, b); }
  // (a * b + 2^14) / 2^15, rounded down.  Requires: b is not -2^15.
  MILL_INLINE I scale_words(I a, I b) { return _mm256_mulhrs_epi16(a, b); }
  // (a + 128) / 256, rounded down, and what that leaves of a.  Requires: a < 2^15 - 128.
  MILL_INLINE I round_words(I a) {
    return _mm256_srai_epi16(_mm256_add_epi16(a, _mm256_set1_epi16(128)), 8);
  }
  MILL_INLINE I low_bytes(I a) { return _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8); }
  // Adds the squares of the low bytes (s8) of both words.
  MILL_INLINE void add_low_squares(I& sum, I a) {
    const I off = low_bytes(a);
    sum = add_int(sum, dot_pairs(off, off));
  }
  MILL_INLINE int32_t sum_int(I a) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  // kLanes numbers in [-128, 127] to bytes.
  MILL_INLINE void store_codes(int8_t* p, I a) {
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  // Quads are four lanes each. Quad q of vector g changes places with quad g of vector q.
  MILL_INLINE void exchange_quads(F (&x)[2]) {
    const F low = _mm256_permute2f128_ps(x[0], x[1], 0x20);
    x[1] = _mm256_permute2f128_ps(x[0], x[1], 0x31);
    x[0] = low;
  }
  // The highest lane of each quad, in all its lanes.
  MILL_INLINE I highest_of_quad(I a) {
    const I two = max_int(a, _mm256_shuffle_epi32(a, 0x4e));
    return max_int(two, _mm256_shuffle_epi32(two, 0xb1));
  }
  // Lane i of each quad gets the sum, modulo 2^32, of the quad of argument i.
  MILL_INLINE I sums_of_quads(I a, I b, I c, I d) {
    return _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  }
  // Lane kLane of each quad, in all its lanes.
  template <int kLane>
  MILL_INLINE I from_quad(I a) {
    return _mm256_shuffle_epi32(a, kLane * 0x55);
  }
  // In each quad `of` the lane for which a * weight (of the lane) is least, the first of equals.
  // Requires: 0 <= a < 2^31; the weights are multiples of 4. As doubles above 2^52 the products
  // order as they do as integers.
  template <uint32_t kWeight0, uint32_t kWeight1, uint32_t kWeight2, uint32_t kWeight3>
  MILL_INLINE I of_least(I a, const int32_t (&of)[4]) {
    constexpr int64_t kBase = 0x4330000000000000;
    const I even = _mm256_mul_epu32(a, quads_of(kWeight0, kWeight2));
    const I odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), quads_of(kWeight1, kWeight3));
    __m256d least =
        _mm256_min_pd(_mm256_castsi256_pd(_mm256_or_si256(even, quads_of(kBase, kBase + 2))),
                      _mm256_castsi256_pd(_mm256_or_si256(odd, quads_of(kBase + 1, kBase + 3))));
    least = _mm256_min_pd(least, _mm256_permute_pd(least, 5));
    const I lane = from_quad<0>(_mm256_castpd_si256(least));
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(of));
    const F both = _mm256_castsi256_ps(_mm256_broadcastsi128_si256(table));
    return _mm256_castps_si256(_mm256_permutevar_ps(both, lane));
  }
  MILL_INLINE I quads_of(int64_t low, int64_t high) {
    return _mm256_setr_epi64x(low, high, low, high);
  }
  // Of four vectors of words in [-128, 127], quad g to the 32 bytes at to[g]: the low words of all
  // vectors, then the high ones.
  MILL_INLINE void store_groups(int8_t* const (&to)[2], const I (&a)[4]) {
    const I apart = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15,  //
                                     0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const I first = _mm256_shuffle_epi8(_mm256_packs_epi16(a[0], a[1]), apart);
    const I last = _mm256_shuffle_epi8(_mm256_packs_epi16(a[2], a[3]), apart);
    const I low = _mm256_unpacklo_epi64(first, last), high = _mm256_unpackhi_epi64(first, last);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to[0]),
                        _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to[1]),
                        _mm256_permute2x128_si256(low, high, 0x31));
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
    return _mm256_madd_epi16(a, b);
  }
  MILL_INLINE I add_dot_pairs(I sum, I a, I b) {
    return add_int(sum, dot_pairs(a, b));
  }
  // One sum after the other: gcc 12 would add in a tree, for which it runs out of registers.
  MILL_INLINE void add_pairs(I& sum, I a, I b) {
    sum = add_int(sum, dot_pairs(a, b));
    asm("" : "+x"(sum));
  }
  // Per lane: the sum of kSteps times four u8 of w (at most kMost) times four s8 of x. Pairs of
  // products are summed in 16 bits, as many as are sure to fit: 2 * 127 * kMost each.
  template <int kMost, int kSteps>
  struct Dots {
    static_assert(kMost <= 127);
    static constexpr int kFit = 32767 / (2 * 127 * kMost);
    static constexpr int kRun = kFit < kSteps ? kFit : kSteps;
    // As many rows as leave registers for all vectors' sums; where a sum in 32 bits is held beside
    // that of the pairs, for half of the vectors.
    static constexpr int kRows = kRun == kSteps ? 3 : 4;
    static constexpr int kVectors = kRun == kSteps ? 4 : 2;
    I sum;
    I pairs;
    template <int kStep>
    [[gnu::always_inline]] void add(B w, I x) {
      const I products = _mm256_maddubs_epi16(w, x);
      pairs = kStep % kRun == 0 ? products : _mm256_add_epi16(pairs, products);
      // One sum after the other: gcc 12 would add in a tree, for which all products must be kept.
      asm("" : "+x"(pairs));
      if constexpr (kStep % kRun == kRun - 1 || kStep == kSteps - 1) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        if constexpr (kRun < kSteps) asm("" : "+x"(sum));
      }
    }
  };
  // The same of two words each.
  struct WordDots {
    static constexpr int kRows = 5;
    static constexpr int kVectors = 2;
    I sum;
    template <int kStep>
    [[gnu::always_inline]] void add(B w, I x) {
      add_pairs(sum, w, x);
    }
  };

  using LongDots = Words<Simd>;
  // Of each four bytes, the first and the third (the second and the fourth) as words.
  MILL_INLINE I even_unsigned(I a) {
    return _mm256_and_si256(a, _mm256_set1_epi16(255));
  }
  MILL_INLINE I odd_unsigned(I a) {
    return _mm256_srli_epi16(a, 8);
  }
  MILL_INLINE I even_signed(I a) {
    return low_bytes(a);
  }
  MILL_INLINE I odd_signed(I a) {
    return _mm256_srai_epi16(a, 8);
  }
  // Numbers in s16; of each four, the first, third, second and fourth.
  MILL_INLINE void store_words(int8_t* p, I a) {
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_shuffle_epi8(words, order));
  }
  MILL_INLINE void store_words(int8_t* p, I a, I b) {
    const I order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,  //
                                     0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    const I words = _mm256_shuffle_epi8(_mm256_packs_epi32(a, b), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(words, 0xd8));
  }

  // 4 * kLanes codes as words; of each four, the first, third, second and fourth.
  MILL_INLINE void store_widened(int16_t* p, B codes) {
    const I even = even_signed(codes), odd = odd_signed(codes);
    const I low = _mm256_unpacklo_epi32(even, odd), high = _mm256_unpackhi_epi32(even, odd);
    auto* to = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(low, high, 0x31));
  }

  MILL_INLINE B bytes_of(I a) {
    return a;
  }
  MILL_INLINE I ints_of(B a) {
    return a;
  }
  MILL_INLINE B load_bytes(const std::byte* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  MILL_INLINE void store_bytes(std::byte* p, B a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
  }
  MILL_INLINE B low_nibbles(B a) {
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
  }
  MILL_INLINE B high_nibbles(B a) {
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
  }
  // Adds kValue to the bytes whose bit is set.
  template <int kValue>
  MILL_INLINE B add_bits(B a, const std::byte* bits) {
    const I places =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const I each = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    const I spread = _mm256_and_si256(_mm256_shuffle_epi8(broadcast(bits), places), each);
    const I chosen = _mm256_cmpeq_epi8(spread, each);
    return _mm256_or_si256(a, _mm256_and_si256(chosen, _mm256_set1_epi8(kValue)));
  }
  MILL_INLINE B look_up(B places) {
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), places);
  }

  // kLanes numbers of another type, widened.
  MILL_INLINE F from_half(const void* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  MILL_INLINE F from_bfloat(const void* p) {
    const __m128i raw = _mm_loadu_si128(static_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
  }
  MILL_INLINE F from_bytes(const std::byte* p) {
    const __m128i raw = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(raw));
  }
  MILL_INLINE void to_half_part(uint16_t* p, F a, int lanes) {
    alignas(16) uint16_t copy[kLanes];
    const __m128i half = _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_store_si128(reinterpret_cast<__m128i*>(copy), half);
    std::memcpy(p, copy, static_cast<size_t>(lanes) * 2);
  }

  MILL_INLINE void fetch(const std::byte* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1);
  }
};

#undef MILL_INLINE

}  // namespace mill::tensor::avx2
