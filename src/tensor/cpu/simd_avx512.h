// AVX-512 (F, BW, DQ, VL, VNNI) for the templates of this folder. Only avx512.cc includes this.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/long_dots.h"
#include "tensor/cpu/panel.h"

namespace mill::tensor::avx512 {

#define MILL_INLINE [[gnu::always_inline]] static inline

struct Simd {
  using F = __m512;
  using I = __m512i;
  using B = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int64_t kExpandRows = 96;
  static constexpr int64_t kExpandRowsOfPieces = 48;
  static constexpr int64_t kExpandRowsOfBytes = kNever;
  static constexpr bool kFetchInParts = true;  // of the next panel, by all tiles
  static constexpr bool kSumsAsFloats = true;  // code_products.h
  static constexpr bool kStartsAhead = false;
  static constexpr bool kWordProducts = false;
  static constexpr bool kBfloats = false;  // has store_bfloats
  static constexpr int kValueRows = 8;
  static constexpr int kValueVectors = 2;
  static constexpr int kScoreRows = 6;  // queries of a tile in attention
  static constexpr int kMixRows = 4;
  static constexpr int kMixVectors = 4;
  static constexpr int kCodeScoreRows = 4;  // the same over 8-bit codes
  static constexpr int kCodeScoreVectors = 2;
  static constexpr int kCodeMixRows = 4;
  static constexpr int kCodeMixVectors = 2;
  static constexpr int kCodeUnroll = 4;          // steps of four numbers
  static constexpr bool kQueriesInLanes = true;  // see Attention::weigh_lanes

  MILL_INLINE F zero() { return _mm512_setzero_ps(); }
  MILL_INLINE F set(float x) { return _mm512_set1_ps(x); }
  MILL_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  MILL_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  MILL_INLINE __mmask16 first_lanes(int count) { return static_cast<__mmask16>((1U << count) - 1); }
  // The first `lanes` of them; the others read as 0.
  MILL_INLINE F load_part(const float* p, int lanes) {
    return _mm512_maskz_loadu_ps(first_lanes(lanes), p);
  }
  MILL_INLINE void store_part(float* p, F x, int lanes) {
    _mm512_mask_storeu_ps(p, first_lanes(lanes), x);
  }
  MILL_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  MILL_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  MILL_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  MILL_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  MILL_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  MILL_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
  MILL_INLINE F abs(F a) { return _mm512_abs_ps(a); }
  MILL_INLINE F round(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  MILL_INLINE F add_product(F sum, F a, F b) { return _mm512_fmadd_ps(a, b, sum); }
  MILL_INLINE F subtract_product(F from, F a, F b) { return _mm512_fnmadd_ps(a, b, from); }
  // a * 2^n for integral n.
  MILL_INLINE F scale_by_power(F a, F n) { return _mm512_scalef_ps(a, n); }
  MILL_INLINE float sum(F a) { return _mm512_reduce_add_ps(a); }
  MILL_INLINE float highest(F a) { return _mm512_reduce_max_ps(a); }
  // Lanes [from, to) of a, the others of b.
  MILL_INLINE F choose_lanes(F a, F b, int from, int to) {
    const auto mask = static_cast<__mmask16>(first_lanes(to) & ~first_lanes(from));
    return _mm512_mask_blend_ps(mask, b, a);
  }

  // x where a > limit, elsewhere (and where a is a NaN) y.
  MILL_INLINE F choose_above(F a, F limit, F x, F y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, limit, _CMP_GT_OQ), y, x);
  }

  // `count` numbers, each twice.
  MILL_INLINE F load_doubled(const float* p, int count) {
    const __m512i places = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(places, load_part(p, count));
  }
  MILL_INLINE F swap_neighbours(F a) { return _mm512_permute_ps(a, 0xb1); }
  // a - b in even lanes, a + b in odd ones.
  MILL_INLINE F subtract_add(F a, F b) {
    return _mm512_mask_add_ps(_mm512_sub_ps(a, b), 0xaaaa, a, b);
  }

  MILL_INLINE I zero_int() { return _mm512_setzero_si512(); }
  MILL_INLINE I set_int(int32_t x) { return _mm512_set1_epi32(x); }
  // Four bytes, in every lane.
  MILL_INLINE I broadcast(const void* p) {
    int32_t x = 0;
    std::memcpy(&x, p, sizeof x);
    return _mm512_set1_epi32(x);
  }
  MILL_INLINE I load_ints(const int32_t* p) { return _mm512_loadu_si512(p); }
  MILL_INLINE F as_float(I a) { return _mm512_castsi512_ps(a); }  // the same bits
  MILL_INLINE void store_ints(int32_t* p, I a) { _mm512_storeu_si512(p, a); }
  MILL_INLINE F from_int(I a) { return _mm512_cvtepi32_ps(a); }
  MILL_INLINE I to_int(F a) { return _mm512_cvtps_epi32(a); }  // to nearest, ties to even
  // The bits of |a|, which order as the numbers do, with a NaN above all.
  MILL_INLINE I magnitude(F a) { return _mm512_castps_si512(_mm512_abs_ps(a)); }
  MILL_INLINE I max_int(I a, I b) { return _mm512_max_epi32(a, b); }
  MILL_INLINE int32_t highest_int(I a) { return _mm512_reduce_max_epi32(a); }
  MILL_INLINE I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
  // Lanes as two s16 words each. Numbers that are no words lose their high bits.
  MILL_INLINE I join_words(I low, I high) {
    return _mm512_mask_blend_epi16(0xaaaaaaaaU, low, _mm512_slli_epi32(high, 16));
  }
  MILL_INLINE I low_words(I a) { return _mm512_srai_epi32(_mm512_slli_epi32(a, 16), 16); }
  MILL_INLINE I high_words(I a) { return _mm512_srai_epi32(a, 16); }
  MILL_INLINE I add_words(I a, I b) { return _mm512_add_epi16(a, b); }
  // (a * b + 2^14) / 2^15, rounded down.  Requires: b is not -2^15.
  MILL_INLINE I scale_words(I a, I b) { return _mm512_mulhrs_epi16(a, b); }
  // (a + 128) / 256, rounded down, and what that leaves of a.  Requires: a < 2^15 - 128.
  MILL_INLINE I round_words(I a) {
    return _mm512_srai_epi16(_mm512_add_epi16(a, _mm512_set1_epi16(128)), 8);
  }
  // Adds the squares of the low bytes (s8) of both words.
  MILL_INLINE void add_low_squares(I& sum, I a) {
    const I off = _mm512_maskz_abs_epi8(0x5555555555555555U, a);
    sum = _mm512_dpwssd_epi32(sum, off, off);
  }
  MILL_INLINE void add_pairs(I& sum, I a, I b) { sum = _mm512_dpwssd_epi32(sum, a, b); }
  // Quads are four lanes each. Quad q of vector g changes places with quad g of vector q.
  MILL_INLINE void exchange_quads(F (&x)[4]) {
    const F a = _mm512_shuffle_f32x4(x[0], x[1], 0x44), b = _mm512_shuffle_f32x4(x[0], x[1], 0xee);
    const F c = _mm512_shuffle_f32x4(x[2], x[3], 0x44), d = _mm512_shuffle_f32x4(x[2], x[3], 0xee);
    x[0] = _mm512_shuffle_f32x4(a, c, 0x88);
    x[1] = _mm512_shuffle_f32x4(a, c, 0xdd);
    x[2] = _mm512_shuffle_f32x4(b, d, 0x88);
    x[3] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
  // The highest lane of each quad, in all its lanes.
  MILL_INLINE I highest_of_quad(I a) {
    const I two = max_int(a, _mm512_shuffle_epi32(a, _MM_PERM_BADC));
    return max_int(two, _mm512_shuffle_epi32(two, _MM_PERM_CDAB));
  }
  // Lane i of each quad gets the sum, modulo 2^32, of the quad of argument i.
  MILL_INLINE I sums_of_quads(I a, I b, I c, I d) {
    const I ab = add_int(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const I cd = add_int(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return add_int(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  }
  // Lane kLane of each quad, in all its lanes.
  template <int kLane>
  MILL_INLINE I from_quad(I a) {
    return _mm512_shuffle_epi32(a, static_cast<_MM_PERM_ENUM>(kLane * 0x55));
  }
  // In each quad `of` the lane for which a * weight (of the lane) is least, the first of equals.
  // Requires: 0 <= a < 2^31; the weights are multiples of 4. As doubles above 2^52 the products
  // order as they do as integers.
  template <uint32_t kWeight0, uint32_t kWeight1, uint32_t kWeight2, uint32_t kWeight3>
  MILL_INLINE I of_least(I a, const int32_t (&of)[4]) {
    constexpr int64_t kBase = 0x4330000000000000;
    const I even = _mm512_mul_epu32(a, quads_of(kWeight0, kWeight2));
    const I odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), quads_of(kWeight1, kWeight3));
    __m512d least =
        _mm512_min_pd(_mm512_castsi512_pd(_mm512_or_si512(even, quads_of(kBase, kBase + 2))),
                      _mm512_castsi512_pd(_mm512_or_si512(odd, quads_of(kBase + 1, kBase + 3))));
    least = _mm512_min_pd(least, _mm512_permute_pd(least, 0x55));
    const I lane = from_quad<0>(_mm512_castpd_si512(least));
    const F table = _mm512_castsi512_ps(_mm512_set4_epi32(of[3], of[2], of[1], of[0]));
    return _mm512_castps_si512(_mm512_permutevar_ps(table, lane));
  }
  MILL_INLINE I quads_of(int64_t low, int64_t high) {
    return _mm512_set4_epi64(high, low, high, low);
  }
  // Of four vectors of words in [-128, 127], quad g to the 32 bytes at to[g]: the low words of all
  // vectors, then the high ones.
  MILL_INLINE void store_groups(int8_t* const (&to)[4], const I (&a)[4]) {
    const I apart =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
    const I first = _mm512_shuffle_epi8(_mm512_packs_epi16(a[0], a[1]), apart);
    const I last = _mm512_shuffle_epi8(_mm512_packs_epi16(a[2], a[3]), apart);
    const I low = _mm512_unpacklo_epi64(first, last), high = _mm512_unpackhi_epi64(first, last);
    const I g01 = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high);
    const I g23 =
        _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high);
    const auto put = [](int8_t* p, __m256i group) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), group);
    };
    put(to[0], _mm512_castsi512_si256(g01));
    put(to[1], _mm512_extracti64x4_epi64(g01, 1));
    put(to[2], _mm512_castsi512_si256(g23));
    put(to[3], _mm512_extracti64x4_epi64(g23, 1));
  }
  MILL_INLINE int32_t sum_int(I a) { return _mm512_reduce_add_epi32(a); }
  // kLanes numbers in [-128, 127] to bytes.
  MILL_INLINE void store_codes(int8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }
  // kLanes bytes (or the first `lanes`), each to the first of four at p; what lies between stays.
  MILL_INLINE void store_apart(int8_t* p, const int8_t* bytes, int lanes) {
    const __m128i all = _mm_maskz_loadu_epi8(first_lanes(lanes), bytes);
    const __mmask64 firsts = 0x1111111111111111U >> (64 - 4 * lanes);
    _mm512_mask_storeu_epi8(p, firsts, _mm512_cvtepi8_epi32(all));
  }
  // Per lane, s16 pairs: a.low * b.low + a.high * b.high.
  MILL_INLINE I dot_pairs(I a, I b) { return _mm512_madd_epi16(a, b); }
  MILL_INLINE I add_dot_pairs(I sum, I a, I b) { return _mm512_dpwssd_epi32(sum, a, b); }
  // Per lane: the sum of kSteps times four u8 of w (at most kMost) times four s8 of x.
  template <int kMost, int kSteps>
  struct Dots {
    static constexpr int kRows = 6;
    static constexpr int kVectors = 2;
    I sum;
    template <int kStep>
    [[gnu::always_inline]] void add(B w, I x) {
      sum = _mm512_dpbusd_epi32(sum, w, x);
    }
  };

  using LongDots = BytePairs<Simd>;

  // Numbers of 14 bits: the high seven of all, then the low seven, as bytes.
  MILL_INLINE void store_halves(int8_t* p, const I (&a)[2]) {
    const I words = _mm512_packs_epi32(a[0], a[1]);
    const I bytes = _mm512_packs_epi16(_mm512_srli_epi16(words, 7),
                                       _mm512_and_si512(words, _mm512_set1_epi16(127)));
    _mm512_storeu_si512(p, by_vector(bytes));
  }
  // Numbers of 15 bits with a sign as 128 high + low, two bytes with a sign; adds the bytes to
  // sums, the high ones in lanes 0 to 7.
  MILL_INLINE void store_signed_halves(int8_t* high, int8_t* low, const I (&a)[2], I& sums) {
    const I words = _mm512_packs_epi32(a[0], a[1]);
    const I tops = _mm512_srai_epi16(_mm512_add_epi16(words, _mm512_set1_epi16(64)), 7);
    const I rests = _mm512_sub_epi16(words, _mm512_slli_epi16(tops, 7));
    const I bytes = by_vector(_mm512_packs_epi16(tops, rests));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), _mm512_castsi512_si256(bytes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm512_extracti64x4_epi64(bytes, 1));
    sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), bytes);
  }
  // The sums of lanes 0 to 7, and of 8 to 15.
  MILL_INLINE void store_half_sums(I a, int32_t* to) {
    a = _mm512_add_epi32(a, _mm512_shuffle_i32x4(a, a, 0xb1));
    a = _mm512_add_epi32(a, _mm512_shuffle_epi32(a, _MM_PERM_BADC));
    a = _mm512_add_epi32(a, _mm512_shuffle_epi32(a, _MM_PERM_CDAB));
    to[0] = _mm_cvtsi128_si32(_mm512_castsi512_si128(a));
    to[1] = _mm_cvtsi128_si32(_mm512_extracti32x4_epi32(a, 2));
  }
  // Lane i: what sum(a[i]), highest(a[i]) and highest_int(a[i]) are, to the bit.
  MILL_INLINE F sums_of(const F (&a)[16]) {
    return fold(a, [](F x, F y) { return _mm512_add_ps(x, y); });
  }
  MILL_INLINE F highest_of(const F (&a)[16]) {
    return fold(a, [](F x, F y) { return _mm512_max_ps(x, y); });
  }
  MILL_INLINE I highest_ints_of(const I (&a)[16]) {
    return fold(a, [](I x, I y) { return _mm512_max_epi32(x, y); });
  }
  // Lane i: lane i - count of a, but the first `count` lanes of `first`.
  MILL_INLINE F lanes_up(F a, int count, F first) {
    const I from = _mm512_sub_epi32(lane_numbers(), _mm512_set1_epi32(count));
    const auto later = static_cast<__mmask16>(~first_lanes(count));
    return _mm512_mask_permutexvar_ps(first, later, from, a);
  }
  // Lane i: lane i + from of a, for the first `count` lanes; 0 in the others.
  MILL_INLINE F lanes_from(F a, int from, int count) {
    const I lanes = _mm512_add_epi32(lane_numbers(), _mm512_set1_epi32(from));
    return _mm512_maskz_permutexvar_ps(first_lanes(count), lanes, a);
  }
  MILL_INLINE F as_values(I bits) { return _mm512_castsi512_ps(bits); }
  // a where x is above the limit, else 0.
  MILL_INLINE F where_above(F x, float limit, F a) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_GT_OQ), a);
  }

  MILL_INLINE B bytes_of(I a) { return a; }
  MILL_INLINE I ints_of(B a) { return a; }
  MILL_INLINE B load_bytes(const std::byte* p) { return _mm512_loadu_si512(p); }
  MILL_INLINE void store_bytes(std::byte* p, B a) { _mm512_storeu_si512(p, a); }
  MILL_INLINE B low_nibbles(B a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
  MILL_INLINE B high_nibbles(B a) {
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
  }
  // Adds kValue to the bytes whose bit is set.
  template <int kValue>
  MILL_INLINE B add_bits(B a, const std::byte* bits) {
    uint64_t mask = 0;
    std::memcpy(&mask, bits, sizeof mask);
    return _mm512_mask_add_epi8(a, _cvtu64_mask64(mask), a, _mm512_set1_epi8(kValue));
  }
  MILL_INLINE B look_up(B places) {
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), places);
  }

  // kLanes numbers of another type, widened.
  MILL_INLINE F from_half(const void* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  MILL_INLINE F from_bfloat(const void* p) {
    const __m256i raw = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
  }
  MILL_INLINE F from_bytes(const std::byte* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(raw));
  }
  MILL_INLINE void to_half_part(uint16_t* p, F a, int lanes) {
    const __m256i half = _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(p, first_lanes(lanes), half);
  }

  MILL_INLINE void fetch(const std::byte* p) { _mm_prefetch(p, _MM_HINT_T1); }

 private:
  MILL_INLINE I lane_numbers() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  // What the packs of two vectors, twice, leave in parts of four lanes.
  MILL_INLINE I by_vector(I packed) {
    const I order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, packed);
  }
  // Lane i: add() of the lanes of a[i], first those 8 apart, then 4, 2 and 1.
  template <class V, class Add>
  MILL_INLINE V fold(const V (&a)[16], const Add& add) {
    V quarter[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const V low = fold_pair<0x44, 0xee>(a[i], a[4 + i], add);
      quarter[i] = fold_pair<0x88, 0xdd>(low, fold_pair<0x44, 0xee>(a[8 + i], a[12 + i], add), add);
    }
    const V low = fold_quarters(quarter[0], quarter[1], add);
    const V high = fold_quarters(quarter[2], quarter[3], add);
    const __m512 x = (__m512)low, y = (__m512)high;
    return add((V)_mm512_shuffle_ps(x, y, 0x88), (V)_mm512_shuffle_ps(x, y, 0xdd));
  }
  template <int kOne, int kOther, class V, class Add>
  MILL_INLINE V fold_pair(V a, V b, const Add& add) {
    const __m512 x = (__m512)a, y = (__m512)b;
    return add((V)_mm512_shuffle_f32x4(x, y, kOne), (V)_mm512_shuffle_f32x4(x, y, kOther));
  }
  template <class V, class Add>
  MILL_INLINE V fold_quarters(V a, V b, const Add& add) {
    const __m512d x = (__m512d)a, y = (__m512d)b;
    return add((V)_mm512_unpacklo_pd(x, y), (V)_mm512_unpackhi_pd(x, y));
  }
};

#undef MILL_INLINE

}  // namespace mill::tensor::avx512
