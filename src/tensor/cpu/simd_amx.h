// AVX-512 with the tiles of AMX (TILE, INT8; Intel's Software Developer's Manual, volume 1, chapter
// 18) for the templates of this folder. Only amx.cc and amx_products.cc include this.
//
// A tile is up to 16 rows of 64 bytes. The sums of 16 rows of activations and 16 outputs are one
// tile; weights are read as panel.h orders them: a row is a step of 4 inputs of 16 outputs.
#pragma once

#include "tensor/cpu/simd_avx512.h"

namespace mill::tensor::amx {

#define MILL_INLINE [[gnu::always_inline]] static inline

struct Simd : avx512::Simd {
  struct alignas(64) Shapes {  // as LDTILECFG reads it
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  // The shapes of the tiles, for this thread until release_tiles or another call: sums of 16 rows
  // and 16 outputs are tiles 0 and 1, kInputs codes of each row tile 2, the numbers of 16 outputs
  // tile 3.
  template <int kInputs>
  MILL_INLINE void shape_tiles() {
    static constexpr Shapes kShapes = {
        1, 0, {}, {64, 64, kInputs, 64}, {16, 16, 16, kInputs / 4}};
    if (shaped_for() == kInputs) return;
    _tile_loadconfig(&kShapes);
    shaped_for() = kInputs;
  }
  MILL_INLINE void release_tiles() {
    _tile_release();
    shaped_for() = 0;
  }

  // Tile kSum = codes [16, kInputs] times numbers [kInputs / 4][16][4], both signed; rows (and steps
  // of 4 inputs) so many bytes apart.
  template <int kSum>
  MILL_INLINE void begin_tile(const int8_t* codes, int64_t codes_stride, const std::byte* numbers,
                              int64_t numbers_stride) {
    asm volatile("" : : : "memory");  // gcc 12 does not know that _tile_loadd reads memory
    _tile_loadd(2, codes, codes_stride);
    _tile_loadd(3, numbers, numbers_stride);
    if constexpr (kSum == 0) {
      _tile_zero(0);
      _tile_dpbssd(0, 2, 3);
    } else {
      _tile_zero(1);
      _tile_dpbssd(1, 2, 3);
    }
  }
  // to[16][16] = tile kSum.
  template <int kSum>
  MILL_INLINE void store_tile(int32_t* to) {
    asm volatile("" : : : "memory");
    if constexpr (kSum == 0) _tile_stored(0, to, 64);
    if constexpr (kSum == 1) _tile_stored(1, to, 64);
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

  MILL_INLINE B subtract_bytes(B a, int zero) {
    return _mm512_sub_epi8(a, _mm512_set1_epi8(static_cast<char>(zero)));
  }
  // Of 16 rows `stride` numbers apart.
  MILL_INLINE F gather(const float* p, int64_t stride) {
    return _mm512_i32gather_ps(rows_at(stride), p, 4);
  }
  MILL_INLINE I gather_ints(const int32_t* p, int64_t stride) {
    return _mm512_i32gather_epi32(rows_at(stride), p, 4);
  }

 private:
  MILL_INLINE int& shaped_for() {
    static thread_local int inputs = 0;
    return inputs;
  }
  MILL_INLINE I rows_at(int64_t stride) {
    const I rows = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mullo_epi32(rows, _mm512_set1_epi32(static_cast<int>(stride)));
  }
};

#undef MILL_INLINE

}  // namespace mill::tensor::amx
