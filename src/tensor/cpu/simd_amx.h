// AVX-512 with BF16 and the tiles of AMX (TILE, INT8, BF16; Intel's Software Developer's Manual,
// volume 1, chapter 18) for the templates of this folder. Only amx.cc and amx_products.cc include
// this.
//
// A tile is up to 16 rows of 64 bytes. The sums of 16 rows of activations and 16 outputs are one
// tile.
#pragma once

#include "tensor/cpu/simd_avx512.h"

namespace mill::tensor::amx {

#define MILL_INLINE [[gnu::always_inline]] static inline

struct Simd : avx512::Simd {
  static constexpr bool kBfloats = true;

  struct alignas(64) Shapes {  // as LDTILECFG reads it
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  // Tiles for products of bf16, for this thread until release_tiles: 0 to 3 are sums, [16][16] f32
  // of the rows of tile 4 or 5 and the outputs of tile 6 or 7.
  MILL_INLINE void shape_product_tiles() {
    static constexpr Shapes kShapes = {
        1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&kShapes);
  }
  MILL_INLINE void release_tiles() { _tile_release(); }

  template <int kSum>
  MILL_INLINE void zero_sums() {
    if constexpr (kSum == 0) _tile_zero(0);
    if constexpr (kSum == 1) _tile_zero(1);
    if constexpr (kSum == 2) _tile_zero(2);
    if constexpr (kSum == 3) _tile_zero(3);
  }
  template <int kSum>
  MILL_INLINE void load_sums(const float* from, int64_t row_bytes) {
    asm volatile("" : : : "memory");  // gcc 12 does not know that _tile_loadd reads memory
    if constexpr (kSum == 0) _tile_loadd(0, from, row_bytes);
    if constexpr (kSum == 1) _tile_loadd(1, from, row_bytes);
    if constexpr (kSum == 2) _tile_loadd(2, from, row_bytes);
    if constexpr (kSum == 3) _tile_loadd(3, from, row_bytes);
  }
  template <int kSum>
  MILL_INLINE void store_sums(float* to, int64_t row_bytes) {
    if constexpr (kSum == 0) _tile_stored(0, to, row_bytes);
    if constexpr (kSum == 1) _tile_stored(1, to, row_bytes);
    if constexpr (kSum == 2) _tile_stored(2, to, row_bytes);
    if constexpr (kSum == 3) _tile_stored(3, to, row_bytes);
    asm volatile("" : : : "memory");
  }
  // Sums += rows times numbers over so many groups of 32 inputs. A tile of rows is [group][16][32]
  // bf16, the next one (of kTiles) lies tile_bytes behind; numbers [group][2][16 pairs][16][2]
  // bf16.
  template <int kTiles>
  MILL_INLINE void multiply_bfloats(const std::byte* rows, int64_t tile_bytes,
                                    const std::byte* numbers, int64_t groups) {
    asm volatile("" : : : "memory");
    for (int64_t g = 0; g < groups; ++g, rows += 1024, numbers += 2048) {
      _tile_loadd(6, numbers, 64);
      _tile_stream_loadd(4, rows, 64);
      _tile_loadd(7, numbers + 1024, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kTiles == 2) {
        _tile_stream_loadd(5, rows + tile_bytes, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      } else {
        _tile_dpbf16ps(1, 4, 7);
      }
    }
  }

  // As few operations as can be of those that have one port alone while tiles are in use (products,
  // conversions, shifts).
  //
  // start + byte kByte of each lane's four.
  template <int kByte>
  MILL_INLINE I add_byte(I start, B bytes) {
    if constexpr (kByte == 0) {
      return _mm512_add_epi32(start, _mm512_and_si512(bytes, _mm512_set1_epi32(0xff)));
    } else {
      constexpr int64_t kPlaces =
          static_cast<int64_t>(0x8080800080808000) | kByte | int64_t{4 + kByte} << 32;
      const I places = quads_of_bytes(kPlaces, kPlaces + 0x0000000800000008);
      return _mm512_add_epi32(start, _mm512_shuffle_epi8(bytes, places));
    }
  }
  // Rounded to the nearest bf16, ties away from 0: in each lane low's number and then high's.
  MILL_INLINE B pair_bfloats(F low, F high) {
    constexpr int64_t kHighWords = 0x0706070603020302;
    const I places = quads_of_bytes(kHighWords, kHighWords + 0x0808080808080808);
    return _mm512_mask_shuffle_epi8(_mm512_castps_si512(half_up(high)), 0x3333333333333333U,
                                    _mm512_castps_si512(half_up(low)), places);
  }
  // Rounded to bf16, ties to even, all of low and then all of high.
  MILL_INLINE void store_bfloats(uint16_t* to, F low, F high) {
    _mm512_storeu_si512(to, as_bits(_mm512_cvtne2ps_pbh(high, low)));
  }

  // Attention by tiles. Their shapes, for this thread until release_tiles: tiles 0 to 3 are sums; 4
  // and 5 codes of 16 queries and keys of 16 tokens, 64 dimensions each; 6 and 7 codes of weights
  // and values of 16 dimensions, 32 tokens each.
  MILL_INLINE void shape_attention_tiles() {
    static constexpr Shapes kShapes = {
        1, 0, {}, {64, 64, 64, 64, 64, 64, 32, 64}, {16, 16, 16, 16, 16, 16, 16, 8}};
    _tile_loadconfig(&kShapes);
  }
  // to[2 halves of the codes][2][16][16 tokens] = codes [16][2][width] times keys
  // [width / 4][2][16][4], of bytes without a sign.  Requires: width is a multiple of 64.
  MILL_INLINE void multiply_keys(const int8_t* codes, int64_t width, const std::byte* keys,
                                 int32_t* to) {
    asm volatile("" : : : "memory");  // gcc 12 does not know that _tile_loadd reads memory
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t d = 0; d < width; d += 64, codes += 64, keys += 64 * 32) {
      _tile_loadd(4, codes, 2 * width);
      _tile_loadd(5, keys, 128);
      _tile_dpbsud(0, 4, 5);
      _tile_loadd(5, keys + 64, 128);
      _tile_dpbsud(1, 4, 5);
      _tile_loadd(4, codes + width, 2 * width);
      _tile_dpbsud(3, 4, 5);
      _tile_loadd(5, keys, 128);
      _tile_dpbsud(2, 4, 5);
    }
    _tile_stored(0, to, 64);
    _tile_stored(1, to + 256, 64);
    _tile_stored(3, to + 768, 64);
    _tile_stored(2, to + 512, 64);
  }
  // to[2 halves of the codes][4][16][16 dimensions] = codes [16][2][32] times 64 of the `width`
  // dimensions of values [8][width][4 tokens].
  MILL_INLINE void multiply_values(const int8_t* codes, const std::byte* values, int64_t width,
                                   int32_t* to) {
    asm volatile("" : : : "memory");
    for (int half = 0; half < 2; ++half, codes += 32, to += 1024) {
      _tile_loadd(6, codes, 64);
      _tile_zero(0);
      _tile_loadd(7, values, 4 * width);
      _tile_dpbssd(0, 6, 7);
      _tile_zero(1);
      _tile_loadd(7, values + 64, 4 * width);
      _tile_dpbssd(1, 6, 7);
      _tile_zero(2);
      _tile_loadd(7, values + 128, 4 * width);
      _tile_dpbssd(2, 6, 7);
      _tile_zero(3);
      _tile_loadd(7, values + 192, 4 * width);
      _tile_dpbssd(3, 6, 7);
      _tile_stored(0, to, 64);
      _tile_stored(1, to + 256, 64);
      _tile_stored(2, to + 512, 64);
      _tile_stored(3, to + 768, 64);
    }
  }
  // A product for nothing. The unit that makes them falls asleep after some 1000 clocks without
  // one, and then takes as long to be quick again.
  MILL_INLINE void keep_tiles_awake() { _tile_dpbssd(0, 6, 7); }

  // Attention of prompts, by tiles of bf16. Their shapes, for this thread until release_tiles:
  // tiles 0 to 3 are sums of 16 queries with 16 dimensions (or tokens), 4 the sums of their
  // weights; 5 and 6 what is multiplied; 7 is ones, one for each of 32 tokens.
  MILL_INLINE void shape_prompt_tiles() {
    static constexpr Shapes kShapes = {
        1, 0, {}, {64, 64, 64, 64, 4, 64, 64, 4}, {16, 16, 16, 16, 16, 16, 16, 16}};
    static constexpr uint32_t kOnes[16] = {
        kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes,
        kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes, kTwoOnes};
    _tile_loadconfig(&kShapes);
    _tile_loadd(7, kOnes, 4);
  }
  // to[16][32 tokens] = queries [16][width] times the keys of widen_keys. Two such in a row are of
  // other tiles, so that they need not wait for each other.  Requires: width is a multiple of 64.
  template <int kPair>
  MILL_INLINE void score_block(const uint16_t* queries, int64_t width, const uint16_t* keys,
                               float* to) {
    asm volatile("" : : : "memory");  // gcc 12 does not know that tiles read and write memory
    if constexpr (kPair == 0) {
      _tile_zero(0);
      _tile_zero(1);
      for (int64_t d = 0; d < width; d += 32, queries += 32, keys += 2 * 512) {
        _tile_loadd(5, queries, 2 * width);
        _tile_loadd(6, keys, 64);
        _tile_dpbf16ps(0, 5, 6);
        _tile_loadd(6, keys + 512, 64);
        _tile_dpbf16ps(1, 5, 6);
      }
      _tile_stored(0, to, 128);
      _tile_stored(1, to + 16, 128);
    } else {
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t d = 0; d < width; d += 32, queries += 32, keys += 2 * 512) {
        _tile_loadd(5, queries, 2 * width);
        _tile_loadd(6, keys, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_loadd(6, keys + 512, 64);
        _tile_dpbf16ps(3, 5, 6);
      }
      _tile_stored(2, to, 128);
      _tile_stored(3, to + 16, 128);
    }
    asm volatile("" : : : "memory");
  }

  // Sums of 64 of the `width` dimensions, and of the weights.
  MILL_INLINE void load_sums(const float* sums, int64_t width, const float* totals) {
    asm volatile("" : : : "memory");
    _tile_loadd(0, sums, 4 * width);
    _tile_loadd(1, sums + 16, 4 * width);
    _tile_loadd(2, sums + 32, 4 * width);
    _tile_loadd(3, sums + 48, 4 * width);
    _tile_loadd(4, totals, 4);
  }
  MILL_INLINE void clear_sums() {  // both
    asm volatile("" : : : "memory");
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
  }
  MILL_INLINE void store_sums(float* sums, int64_t width, float* totals) {  // totals: or null
    _tile_stored(0, sums, 4 * width);
    _tile_stored(1, sums + 16, 4 * width);
    _tile_stored(2, sums + 32, 4 * width);
    _tile_stored(3, sums + 48, 4 * width);
    if (totals) _tile_stored(4, totals, 4);
    asm volatile("" : : : "memory");
  }
  // Adds to sums weights [16][32 tokens], as Powers::store leaves them, times 64 dimensions of the
  // values of widen_values; and the weights alone, if they are wanted.
  MILL_INLINE void mix_block(const uint16_t* weights, const uint16_t* values, bool totals) {
    _tile_loadd(5, weights, 64);
    _tile_loadd(6, values, 64);
    _tile_dpbf16ps(0, 5, 6);
    _tile_loadd(6, values + 512, 64);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(6, values + 2 * 512, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(6, values + 3 * 512, 64);
    _tile_dpbf16ps(3, 5, 6);
    if (totals) _tile_dpbf16ps(4, 5, 7);
  }

  // A code of 8 bits in the highest byte of a lane is 2^24 times as large, and so becomes an f32
  // without a shift.
  static constexpr float kWidenedCodeScale = 0x1p-24F;
  // A block's keys [width / 4][32 tokens][4] to bf16 codes, times 2^24, as tiles:
  // [width / 32][2][16 pairs of dimensions][16 tokens][2].
  MILL_INLINE void widen_keys(const std::byte* keys, int64_t width, uint16_t* to) {
    const I high_bits = _mm512_set1_epi8(static_cast<char>(0x80));
    for (int64_t d = 0; d < width; d += 32, to += 2 * 512) {
      _tile_dpbf16ps(0, 5, 6);  // see keep_tiles_awake
      for (int64_t v = 0; v < 2; ++v) {
#pragma GCC unroll 8
        for (int64_t step = 0; step < 8; ++step) {
          const std::byte* from = keys + (d / 4 + step) * 128 + v * 64;
          const I codes = _mm512_xor_si512(_mm512_loadu_si512(from), high_bits);
          uint16_t* rows = to + v * 512 + step * 64;
          _mm512_storeu_si512(rows, high_words_of(widened<0>(codes), widened<1>(codes)));
          _mm512_storeu_si512(rows + 32, high_words_of(widened<2>(codes), widened<3>(codes)));
        }
      }
    }
  }
  // A block's values [8][width][4 tokens] times scales [32 tokens] to bf16, times 2^24, as tiles:
  // [width / 16][16 pairs of tokens][16 dimensions][2]. The pairs are in the order of the weights.
  MILL_INLINE void widen_values(const std::byte* values, int64_t width, const float* scales,
                                uint16_t* to) {
    for (int64_t four = 0; four < 8; ++four, scales += 4) {
      if (four % 2 == 0) _tile_dpbf16ps(0, 5, 6);
      const F s0 = set(scales[0]), s1 = set(scales[1]), s2 = set(scales[2]), s3 = set(scales[3]);
      uint16_t* rows = to + (four % 4 * 4 + four / 4 * 2) * 32;
#pragma GCC unroll 4
      for (int64_t d = 0; d < width; d += 16, values += 64, rows += 512) {
        const I codes = _mm512_loadu_si512(values);
        _mm512_storeu_si512(rows, high_words_of(half_up(mul(widened<0>(codes), s0)),
                                                half_up(mul(widened<1>(codes), s1))));
        _mm512_storeu_si512(rows + 32, high_words_of(half_up(mul(widened<2>(codes), s2)),
                                                     half_up(mul(widened<3>(codes), s3))));
      }
    }
  }
  MILL_INLINE void store_bfloats(uint16_t* p, F a) {  // to nearest, ties to even
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(a));
  }

  // From scores to weights 2^(score - top) in bf16, all times 2^-7.
  //
  // An exponent is an integer of 16 bits, 256 for each power of two; as the bits of a bf16 number,
  // with one bit less, it would be the power with the fraction 2^f taken as 1 + f. What that is too
  // high by is looked up by the highest 6 bits of f. All of it (the rounding of the exponent, the
  // table's, and that to bf16) is 0.2 % for the root mean square, where rounding to bf16 alone is
  // 0.17 %. Exponents that are too low are weights of 0, and those above top + 8 have the highest
  // bit set.
  struct Powers {
    I table, base_bits;
    [[gnu::always_inline]] Powers()
        : table(_mm512_loadu_si512(kTooHigh)),
          base_bits(_mm512_castps_si512(_mm512_set1_ps(kBase))) {}

    // What is to be added to a score, so that its bits above those of kBase are the exponent.
    [[gnu::always_inline]] static F start_of(F top) {
      return add(set(kBase), sub(set(kBias), top));
    }
    // A top of which start_of has all bits.
    [[gnu::always_inline]] static F rounded(F top) {
      return mul(round(mul(top, set(256.0F))), set(1 / 256.0F));
    }
    // The exponents of 32 scores, each times its scale, in the order of store; 0 where the token's
    // bit is not set. Where a score is so far below its top that a sum is negative, the highest bit
    // is set as well; not with kLow.
    template <bool kLow, bool kAll>
    [[gnu::always_inline]] I fixed(F a, F b, const F (&scales)[2], F start, uint32_t seen) const {
      F sums[2] = {_mm512_fmadd_ps(a, scales[0], start), _mm512_fmadd_ps(b, scales[1], start)};
      if constexpr (kLow) {
        for (F& sum : sums) sum = max(sum, set(kBase));
      }
      if constexpr (kAll) {
        return _mm512_packus_epi32(_mm512_sub_epi32(_mm512_castps_si512(sums[0]), base_bits),
                                   _mm512_sub_epi32(_mm512_castps_si512(sums[1]), base_bits));
      }
      const auto low = static_cast<__mmask16>(seen), high = static_cast<__mmask16>(seen >> 16);
      return _mm512_packus_epi32(
          _mm512_maskz_sub_epi32(low, _mm512_castps_si512(sums[0]), base_bits),
          _mm512_maskz_sub_epi32(high, _mm512_castps_si512(sums[1]), base_bits));
    }
    // Their powers: tokens 4 i to 4 i + 3, then 16 + 4 i to 16 + 4 i + 3, for i from 0 to 3.
    [[gnu::always_inline]] void store(uint16_t* to, I exponents) const {
      const I off = _mm512_maskz_permutexvar_epi8(0x5555555555555555U,
                                                  _mm512_srli_epi16(exponents, 2), table);
      _mm512_storeu_si512(to, _mm512_srli_epi16(_mm512_sub_epi16(exponents, off), 1));
    }
    [[gnu::always_inline]] static bool any_over(I exponents) {
      return _mm512_test_epi16_mask(exponents, _mm512_set1_epi16(INT16_MIN)) != 0;
    }

    static constexpr float kBase = 0x1.8p15F;  // whose last bit is 1 / 256
    static constexpr float kBias = 120;        // 127, that of bf16, less 7
    // 256 (1 + f - 2^f) - 1/2 for f = (i + 3/8) / 64, the half for the bit that is cut off
    alignas(64) static constexpr uint8_t kTooHigh[64] = {
        0,  1,  2,  3,  5,  6,  7,  8,  9,  10, 11, 11, 12, 13, 14, 15, 15, 16, 17, 17, 18, 18,
        19, 19, 20, 20, 20, 21, 21, 21, 21, 21, 21, 22, 22, 21, 21, 21, 21, 21, 21, 20, 20, 19,
        19, 19, 18, 17, 17, 16, 15, 14, 14, 13, 12, 11, 10, 8,  7,  6,  5,  3,  2,  0};
  };

  MILL_INLINE I or_int(I a, I b) {
    return _mm512_or_si512(a, b);
  }
  MILL_INLINE bool any_at_least(I a, int32_t limit) {
    return _mm512_cmpge_epi32_mask(a, set_int(limit)) != 0;
  }
  MILL_INLINE float first(F a) {
    return _mm512_cvtss_f32(a);
  }
  // A bit for each lane; none where it is a NaN.
  MILL_INLINE uint32_t lanes_below(F a, float limit) {
    return _mm512_cmp_ps_mask(a, set(limit), _CMP_LT_OQ);
  }
  // Lanes of a whose bit is set, the others of b, or 0.
  MILL_INLINE F choose(F a, F b, uint32_t lanes) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>(lanes), b, a);
  }
  MILL_INLINE F keep_lanes(F a, uint32_t lanes) {
    return _mm512_maskz_mov_ps(static_cast<__mmask16>(lanes), a);
  }

  // 128 high + low + what is added to it.
  MILL_INLINE F total_of(I high, I low, I added) {
    const I high_part = _mm512_slli_epi32(high, 7);
    return from_int(_mm512_add_epi32(high_part, _mm512_add_epi32(low, added)));
  }

 private:
  MILL_INLINE __m512i as_bits(__m512bh a) {
    return reinterpret_cast<__m512i>(a);
  }
  static constexpr uint32_t kTwoOnes = 0x3f803f80;  // bf16
  // Byte kByte of each lane, times 2^24.
  template <int kByte>
  MILL_INLINE F widened(I a) {
    if constexpr (kByte == 3) {
      return _mm512_cvtepi32_ps(_mm512_and_si512(a, set_int(static_cast<int>(0xff000000))));
    } else {
      constexpr int64_t kLow = 0x0080808000808080 | int64_t{kByte} << 24 | int64_t{4 + kByte} << 56;
      constexpr int64_t kHigh = kLow + 0x0800000008000000;
      return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(a, quads_of_bytes(kLow, kHigh)));
    }
  }
  MILL_INLINE I quads_of_bytes(int64_t low, int64_t high) {
    return _mm512_set4_epi64(high, low, high, low);
  }
  // Pairs of bf16: the high halves of a below those of b.
  MILL_INLINE I high_words_of(F a, F b) {
    return _mm512_mask_blend_epi16(0xaaaaaaaaU, _mm512_srli_epi32(_mm512_castps_si512(a), 16),
                                   _mm512_castps_si512(b));
  }
  // So that the high half is rounded.
  MILL_INLINE F half_up(F a) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), set_int(0x8000)));
  }
};

#undef MILL_INLINE

}  // namespace mill::tensor::amx
