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
  // The shapes of the eight tiles, for this thread until release_tiles. Tiles 0 and 1 are sums, 2
  // to 4 the codes and numbers of 32 inputs, 5 to 7 those of 16.
  MILL_INLINE void shape_tiles() {
    struct alignas(64) Shapes {  // as LDTILECFG reads it
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    };
    static constexpr Shapes kShapes = {
        1, 0, {}, {64, 64, 32, 64, 64, 16, 64, 64}, {16, 16, 16, 8, 8, 16, 4, 4}};
    _tile_loadconfig(&kShapes);
  }
  MILL_INLINE void release_tiles() { _tile_release(); }

  // to[16][32] = codes [16, kInputs] (rows `stride` bytes apart) times numbers [kInputs /
  // 4][32][4], both signed.
  template <int kInputs>
  MILL_INLINE void multiply_tiles(const int8_t* codes, int64_t stride, const std::byte* numbers,
                                  int32_t* to) {
    static_assert(kInputs == 32 || kInputs == 16);
    asm volatile("" : : : "memory");  // gcc 12 does not know that _tile_loadd reads memory
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kInputs == 32) {
      _tile_loadd(2, codes, stride);
      _tile_loadd(3, numbers, 128);
      _tile_loadd(4, numbers + 64, 128);
      _tile_dpbssd(0, 2, 3);
      _tile_dpbssd(1, 2, 4);
    } else {
      _tile_loadd(5, codes, stride);
      _tile_loadd(6, numbers, 128);
      _tile_loadd(7, numbers + 64, 128);
      _tile_dpbssd(0, 5, 6);
      _tile_dpbssd(1, 5, 7);
    }
    _tile_stored(0, to, 128);
    _tile_stored(1, to + 16, 128);
  }

  MILL_INLINE B subtract_bytes(B a, int zero) {
    return _mm512_sub_epi8(a, _mm512_set1_epi8(static_cast<char>(zero)));
  }
  MILL_INLINE void store_ints(int32_t* p, I a) { _mm512_storeu_si512(p, a); }
  // Of 16 rows `stride` numbers apart.
  MILL_INLINE F gather(const float* p, int64_t stride) {
    return _mm512_i32gather_ps(rows_at(stride), p, 4);
  }
  MILL_INLINE I gather_ints(const int32_t* p, int64_t stride) {
    return _mm512_i32gather_epi32(rows_at(stride), p, 4);
  }

 private:
  MILL_INLINE I rows_at(int64_t stride) {
    const I rows = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mullo_epi32(rows, _mm512_set1_epi32(static_cast<int>(stride)));
  }
};

#undef MILL_INLINE

}  // namespace mill::tensor::amx
