// AVX-512 with the tiles of AMX (TILE, INT8; Intel's Software Developer's Manual, volume 1, chapter
// 18) for the templates of this folder. Only amx_products.cc includes this.
//
// A tile is up to 16 rows of 64 bytes. The sums of 16 rows of activations and 16 outputs are one
// tile; weights are read as panel.h orders them: a row is a step of 4 inputs of 16 outputs.
#pragma once

#include "tensor/cpu/simd_avx512.h"

namespace mill::tensor::amx {

#define MILL_INLINE [[gnu::always_inline]] static inline

struct Simd : avx512::Simd {
  // The shapes of the tiles, for this thread until release_tiles or another call: sums of 16 rows
  // and 16 outputs are tiles 0 and 1, kInputs codes of each row tile 2, the numbers of 16 outputs
  // tile 3.
  template <int kInputs>
  MILL_INLINE void shape_tiles() {
    struct alignas(64) Shapes {  // as LDTILECFG reads it
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    };
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
