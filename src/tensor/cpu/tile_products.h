// Products of 16 rows of activations at a time with quantized weights, by an instruction set that
// multiplies tiles. The integers are exact and the f32 operations are those of code_products.h in
// the same order, so a row has the same bits here and there.
//
// A panel is expanded to signed bytes and f32 scales once for all rows, as the first tile goes. A
// tile's sums can only be read by way of memory: those of four halves ("a chunk") wait in the
// first-level cache. While the tiles of one chunk are computed, the vector units scale the chunk
// before it, four rows for each half, as neither waits for the other.
#pragma once

#include <algorithm>

#include "tensor/cpu/code_products.h"

namespace mill::tensor {

// The first row of tile `index` of a call: the last tile goes back over rows of the one before.
inline int64_t tile_row(const PanelCall& call, int64_t index) {
  return std::min(index * kTileRows, call.rows - kTileRows);
}

// Fills call.tile_scales and tile_sums.
template <class S>
void gather_tiles(const PanelCall& call) {
  const int64_t groups = call.cols / 32;
  float* scales = call.tile_scales;
  int32_t* sums = call.tile_sums;
  for (int64_t tile = 0; tile * kTileRows < call.rows; ++tile) {
    const int64_t from = tile_row(call, tile) * groups;
    for (int64_t g = 0; g < groups; ++g, scales += kTileRows, sums += kTileRows) {
      S::store(scales, S::gather(call.scales + from + g, groups));
      S::store_ints(sums, S::gather_ints(call.sums + from + g, groups));
    }
  }
}

template <class S, DType D>
class TiledProduct {
 public:
  static void run(const PanelCall& call) {
    TiledProduct product(call);
    for (int64_t tile = 0; tile * kRows < call.rows; ++tile) product.multiply(tile);
  }

 private:
  using F = typename S::F;
  using I = typename S::I;
  using Group = ExpandedGroup<S, FileGroup<S, D>, true>;
  static constexpr int kRows = static_cast<int>(kTileRows);
  static constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
  static constexpr int kHalves = Group::kHalves;
  static constexpr int kInputs = 32 / kHalves;      // of a tile
  static constexpr int kParts = 4;                  // a chunk's halves; also a tile's quads
  static constexpr int kChunk = kParts / kHalves;   // a chunk's groups
  static constexpr int kQuad = kRows / kParts;      // rows
  static constexpr int64_t kTile = kRows * kPanel;  // sums of two tiles side by side
  static_assert(kVectors == 2 && kRows == kQuad * kParts && kRows == S::kLanes);

  explicit TiledProduct(const PanelCall& call)
      : call_(call), groups_(call.cols / 32), numbers_(call.scratch) {
    std::byte* behind = call.scratch + groups_ * Group::kBytes;
    dots_ = reinterpret_cast<int32_t*>(behind);
    sums_ = reinterpret_cast<float*>(behind + 2 * kParts * kTile * 4);
    code_sums_ = sums_ + kTile;
    static_assert(tile_scratch_bytes(32) >=
                  Group::kBytes + 2 * kParts * kTile * 4 + kTile * 4 + kRows * kHalves * 4);
  }

  // What a chunk of groups of a tile's rows takes: pointers to the first group of each.
  struct Chunk {
    const int8_t* codes;
    const std::byte* numbers;
    const float* scales;     // [groups][kRows]
    const float* code_sums;  // [groups][kHalves][kRows]
    int32_t* dots;           // [kParts][kRows, kPanel]
    int64_t groups;          // how many there are
  };
  Chunk chunk_of(int64_t tile, int64_t index) const {
    const int64_t group = index * kChunk;
    return {call_.codes + tile_row(call_, tile) * call_.cols + group * 32,
            numbers_ + group * Group::kBytes,
            call_.tile_scales + (tile * groups_ + group) * kRows,
            code_sums_ + group * kHalves * kRows,
            dots_ + (index & 1) * (kParts * kTile),
            std::clamp<int64_t>(groups_ - group, 0, kChunk)};
  }

  void multiply(int64_t tile) {
    if constexpr (Group::kMinima) widen_code_sums(tile);
    Chunk now = chunk_of(tile, 0);
    if (tile == 0) expand(0);
    multiply_parts<0>(now);
    for (int64_t index = 0; now.groups > 0; ++index) {
      const Chunk next = chunk_of(tile, index + 1);
      if (tile == 0) expand(index + 1);
      if (next.groups == kChunk) {
        step<0, true>(now, next, tile, index == 0);
      } else {
        step<0, false>(now, next, tile, index == 0);
      }
      now = next;
    }
  }

  // A chunk's groups. The first tile does this for all others.
  void expand(int64_t index) {
    const int64_t from = index * kChunk;
    const int64_t to = std::min(from + kChunk, groups_);
    if (from >= to) return;
    Group::expand(call_.panel, from, to, numbers_ + from * Group::kBytes);
    // The same of the next panel is on its way meanwhile.
    const std::byte* next = call_.panel + call_.panel_bytes;
    const std::byte* end = next + Group::File::offset(to);
    for (next += Group::File::offset(from); next < end; next += 64) S::fetch(next);
  }

  template <int kPart>
  [[gnu::always_inline]] void multiply_parts(const Chunk& chunk) {
    multiply_part<kPart, false>(chunk);
    if constexpr (kPart + 1 < kParts) multiply_parts<kPart + 1>(chunk);
  }

  // The tiles of one half of `next`, then four rows of `now`. kWhole: `next` has all its groups.
  template <int kPart, bool kWhole>
  [[gnu::always_inline]] void step(const Chunk& now, const Chunk& next, int64_t tile, bool first) {
    multiply_part<kPart, kWhole>(next);
    F sum[kQuad][kVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = first ? S::zero() : S::load(at(kPart * kQuad + r, v));
      }
    }
    if (kWhole || now.groups == kChunk) {
#pragma GCC unroll 4
      for (int g = 0; g < kChunk; ++g) add_group<kPart>(now, g, sum);
    } else {
      for (int g = 0; g < now.groups; ++g) add_group<kPart>(now, g, sum);
    }
    if (kWhole || next.groups > 0) {
#pragma GCC unroll 4
      for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) S::store(at(kPart * kQuad + r, v), sum[r][v]);
      }
    } else {
      write_quad<kPart>(tile, sum);
    }
    if constexpr (kPart + 1 < kParts) step<kPart + 1, kWhole>(now, next, tile, first);
  }

  template <int kPart, bool kWhole>
  [[gnu::always_inline]] void multiply_part(const Chunk& chunk) {
    constexpr int kAt = kPart / kHalves;  // group
    constexpr int kHalf = kPart % kHalves;
    if (!kWhole && kAt >= chunk.groups) return;
    S::template multiply_tiles<kInputs>(
        chunk.codes + kAt * 32 + kHalf * kInputs, call_.cols,
        chunk.numbers + kAt * Group::kBytes + kHalf * (1024 / kHalves), chunk.dots + kPart * kTile);
  }

  // Scales the sums of quad kPart in one group of a chunk, and adds them up.
  template <int kPart>
  [[gnu::always_inline]] static void add_group(const Chunk& chunk, int g,
                                               F (&sum)[kQuad][kVectors]) {
    constexpr int kRow = kPart * kQuad;
    const Group group(chunk.numbers, g);
    const float* scales = chunk.scales + g * kRows + kRow;
#pragma GCC unroll 2
    for (int half = 0; half < kHalves; ++half) {
      const int32_t* dots = chunk.dots + (g * kHalves + half) * kTile + kRow * kPanel;
      const float* code_sums = chunk.code_sums + (g * kHalves + half) * kRows + kRow;
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const F d = group.scale(half, v);
        F minimum = S::zero();
        if constexpr (Group::kMinima) minimum = group.minimum(half, v);
#pragma GCC unroll 4
        for (int r = 0; r < kQuad; ++r) {
          F part = S::mul(S::from_int(S::load_ints(dots + r * kPanel + v * S::kLanes)), d);
          if constexpr (Group::kMinima) {
            part = S::subtract_product(part, minimum, S::set(code_sums[r]));
          }
          sum[r][v] = S::add_product(sum[r][v], part, S::set(scales[r]));
        }
      }
    }
  }

  template <int kPart>
  void write_quad(int64_t tile, const F (&sum)[kQuad][kVectors]) const {
    const int64_t base = tile_row(call_, tile);
    const int64_t done = tile * kRows - base;  // rows of the tile that were written before
    for (int r = 0; r < kQuad; ++r) {
      const int64_t row = kPart * kQuad + r;
      if (row < done) continue;
      for (int v = 0; v < kVectors; ++v) write_vector<S>(call_, base + row, v, sum[r][v]);
    }
  }

  float* at(int row, int v) {
    return sums_ + row * kPanel + v * S::kLanes;
  }

  // The sums of the rows' codes as f32.
  void widen_code_sums(int64_t tile) {
    const int32_t* from = call_.tile_sums + tile * groups_ * kRows;
    float* to = code_sums_;
    for (int64_t g = 0; g < groups_; ++g, from += kRows) {
      const I pairs = S::load_ints(from);
      if constexpr (kHalves == 1) {
        S::store(to, S::from_int(S::dot_pairs(pairs, S::set_int(0x10001))));
      } else {
        S::store(to, S::from_int(S::low_words(pairs)));
        S::store(to + kRows, S::from_int(S::high_words(pairs)));
      }
      to += kHalves * kRows;
    }
  }

  const PanelCall& call_;
  int64_t groups_;
  std::byte* numbers_;  // [groups] expanded
  int32_t* dots_;       // [2 chunks][kParts][kRows, kPanel]
  float* sums_;         // [kRows, kPanel] over the chunks so far
  float* code_sums_;    // [groups][kHalves][kRows], where there are minima
};

template <class S, DType D>
void tiled_product(const PanelCall& call) {
  TiledProduct<S, D>::run(call);
}

template <class S>
void fill_tiled_products(Kernels& kernels) {
  kernels.gather_tiles = gather_tiles<S>;
  each_code_type([&]<DType kType>() {
    kernels.tiled_product[static_cast<int>(kType)] = tiled_product<S, kType>;
  });
}

}  // namespace mill::tensor
