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
  // The shapes of the tiles, for this thread until the next call or release_tiles: sums of 16 rows
  // and 16 outputs are tiles 0 and 1 (set 0), 5 and 6 (set 1); a row's kInputs codes tile 2, the
  // numbers of 16 outputs tiles 3 and 4.
  template <int kInputs>
  MILL_INLINE void shape_tiles() {
    struct alignas(64) Shapes {  // as LDTILECFG reads it
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    };
    static constexpr uint8_t kSteps = kInputs / 4;
    static constexpr Shapes kShapes = {
        1, 0, {}, {64, 64, kInputs, 64, 64, 64, 64}, {16, 16, 16, kSteps, kSteps, 16, 16}};
    _tile_loadconfig(&kShapes);
  }
  MILL_INLINE void release_tiles() { _tile_release(); }

  // Set kSet = codes [16, kInputs] (rows `stride` bytes apart) times numbers [kInputs /
  // 4][32][4], both signed: the first 16 outputs, and with end_tiles the others.
  template <int kSet>
  MILL_INLINE void begin_tiles(const int8_t* codes, int64_t stride, const std::byte* numbers) {
    asm volatile("" : : : "memory");  // gcc 12 does not know that _tile_loadd reads memory
    _tile_loadd(2, codes, stride);
    _tile_loadd(3, numbers, 128);
    if constexpr (kSet == 0) {
      _tile_zero(0);
      _tile_dpbssd(0, 2, 3);
    } else {
      _tile_zero(5);
      _tile_dpbssd(5, 2, 3);
    }
  }
  template <int kSet>
  MILL_INLINE void end_tiles(const std::byte* numbers) {
    asm volatile("" : : : "memory");
    _tile_loadd(4, numbers + 64, 128);
    if constexpr (kSet == 0) {
      _tile_zero(1);
      _tile_dpbssd(1, 2, 4);
    } else {
      _tile_zero(6);
      _tile_dpbssd(6, 2, 4);
    }
  }
  // to[16][16] (rows `stride` numbers apart) = the first (0) or second (1) tile of a set.
  template <int kSet, int kWhich>
  MILL_INLINE void store_tile(int32_t* to, int64_t stride) {
    asm volatile("" : : : "memory");
    if constexpr (kSet == 0 && kWhich == 0) _tile_stored(0, to, stride * 4);
    if constexpr (kSet == 0 && kWhich == 1) _tile_stored(1, to, stride * 4);
    if constexpr (kSet == 1 && kWhich == 0) _tile_stored(5, to, stride * 4);
    if constexpr (kSet == 1 && kWhich == 1) _tile_stored(6, to, stride * 4);
  }

  MILL_INLINE void fetch_near(const void* p) { _mm_prefetch(p, _MM_HINT_T0); }
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
