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
  // bf16, the next one (of kTiles) lies tile_bytes behind; numbers [group][2][16 pairs][16][2] bf16.
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

  // sum + byte kByte of each lane's four.
  template <int kByte>
  MILL_INLINE I add_byte(I sum, B bytes) {
    return _mm512_dpbusd_epi32(sum, bytes, _mm512_set1_epi32(1 << 8 * kByte));
  }
  // Rounded to bf16, ties to even: in each lane low's number and then high's.
  MILL_INLINE B pair_bfloats(F low, F high) {
    const __m512i places = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
        19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(places, as_bits(_mm512_cvtne2ps_pbh(high, low)));
  }
  // Likewise, all of low and then all of high.
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

  // 128 high + low + what is added to it.
  MILL_INLINE F total_of(I high, I low, I added) {
    const I high_part = _mm512_slli_epi32(high, 7);
    return from_int(_mm512_add_epi32(high_part, _mm512_add_epi32(low, added)));
  }

 private:
  MILL_INLINE __m512i as_bits(__m512bh a) { return reinterpret_cast<__m512i>(a); }
};

#undef MILL_INLINE

}  // namespace mill::tensor::amx
