// Products of 16 rows of activations at a time with quantized weights, by an instruction set that
// multiplies tiles. The integers are exact and the f32 operations are those of code_products.h in
// the same order, so a row has the same bits here and there.
//
// A panel is expanded to signed bytes and f32 scales once for all rows. A tile's sums can only be
// read by way of memory: those of four halves ("a chunk") wait in the first-level cache. While the
// tiles of one chunk are computed, the vector units scale the chunk before it, four rows for each
// half, as neither waits for the other.
#pragma once

#include <algorithm>

#include "tensor/cpu/code_products.h"

namespace mill::tensor {

template <class S, DType D>
class TiledProduct {
 public:
  static void run(const PanelCall& call) {
    TiledProduct product(call);
    Group::expand(call.panel, 0, product.groups_, product.numbers_);
    for (int64_t first = 0; first < call.rows; first += kRows) {
      // The last tile goes back over rows that are done, and leaves those alone.
      product.base_ = std::min(first, call.rows - kRows);
      product.done_ = first - product.base_;
      product.multiply();
    }
  }

 private:
  using F = typename S::F;
  using I = typename S::I;
  using Group = ExpandedGroup<S, FileGroup<S, D>, true>;
  static constexpr int kRows = S::kTileRows;
  static constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
  static constexpr int kHalves = Group::kHalves;
  static constexpr int kInputs = 32 / kHalves;         // of a tile
  static constexpr int kParts = 4;                     // a chunk's halves; also a tile's quads
  static constexpr int kChunk = kParts / kHalves;      // a chunk's groups
  static constexpr int kQuad = kRows / kParts;         // rows
  static constexpr int64_t kTile = kRows * kPanel;     // sums of two tiles side by side
  static_assert(kVectors == 2 && kRows == kQuad * kParts);

  explicit TiledProduct(const PanelCall& call)
      : call_(call), groups_(call.cols / 32), numbers_(call.scratch) {
    std::byte* behind = call.scratch + groups_ * Group::kBytes;
    dots_ = reinterpret_cast<int32_t*>(behind);
    sums_ = reinterpret_cast<float*>(behind + 2 * kParts * kTile * 4);
    code_sums_ = sums_ + kTile;
    static_assert(tile_scratch_bytes(32) >=
                  Group::kBytes + 2 * kParts * kTile * 4 + kTile * 4 + kRows * kHalves * 4);
  }

  void multiply() {
    if constexpr (Group::kMinima) widen_code_sums();
    const int64_t chunks = (groups_ + kChunk - 1) / kChunk;
    for (int part = 0; part < kParts; ++part) multiply_part(0, part);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t groups = std::min<int64_t>(kChunk, groups_ - chunk * kChunk);
      for (int part = 0; part < kParts; ++part) {
        multiply_part(chunk + 1, part);
        add_quad(chunk, groups, part * kQuad, chunk + 1 == chunks);
      }
    }
  }

  int32_t* dots_of(int64_t chunk, int part) {
    return dots_ + ((chunk & 1) * kParts + part) * kTile;
  }

  // One half of a chunk's groups, if there is such a group.
  void multiply_part(int64_t chunk, int part) {
    const int64_t group = chunk * kChunk + part / kHalves;
    if (group >= groups_) return;
    const int64_t half = part % kHalves;
    S::template multiply_tiles<kInputs>(
        call_.codes + base_ * call_.cols + group * 32 + half * kInputs, call_.cols,
        numbers_ + group * Group::kBytes + half * (1024 / kHalves), dots_of(chunk, part));
  }

  // Scales the sums of kQuad rows from `row` on in the groups of a chunk, and adds them up.
  void add_quad(int64_t chunk, int64_t groups, int row, bool last) {
    const int64_t first = chunk * kChunk;
    const float* scales = call_.scales + (base_ + row) * groups_ + first;
    F sum[kQuad][kVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] = first == 0 ? S::zero() : S::load(at(row + r, v));
    }
    for (int64_t g = 0; g < groups; ++g) {
      const Group group(numbers_, first + g);
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        const int32_t* dots = dots_of(chunk, static_cast<int>(g) * kHalves + half) + row * kPanel;
        const float* code_sums = code_sums_ + (row * groups_ + first + g) * kHalves + half;
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
          const F d = group.scale(half, v);
          F minimum = S::zero();
          if constexpr (Group::kMinima) minimum = group.minimum(half, v);
#pragma GCC unroll 4
          for (int r = 0; r < kQuad; ++r) {
            const I dot = S::load_ints(dots + r * kPanel + v * S::kLanes);
            F part = S::mul(S::from_int(dot), d);
            if constexpr (Group::kMinima) {
              part = S::subtract_product(part, minimum, S::set(code_sums[r * groups_ * kHalves]));
            }
            sum[r][v] = S::add_product(sum[r][v], part, S::set(scales[r * groups_ + g]));
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        if (!last) {
          S::store(at(row + r, v), sum[r][v]);
        } else if (row + r >= done_) {
          write_vector<S>(call_, base_ + row + r, v, sum[r][v]);
        }
      }
    }
  }

  float* at(int row, int v) { return sums_ + row * kPanel + v * S::kLanes; }

  // The sums of the rows' codes as f32, [row][group][half].
  void widen_code_sums() {
    for (int r = 0; r < kRows; ++r) {
      const int32_t* from = call_.sums + (base_ + r) * groups_;
      float* to = code_sums_ + r * groups_ * kHalves;
      for (int64_t g = 0; g < groups_; g += S::kLanes) {
        const int lanes = static_cast<int>(std::min<int64_t>(S::kLanes, groups_ - g));
        const I pairs = S::load_ints_part(from + g, lanes);
        if constexpr (kHalves == 1) {
          S::store_part(to + g, S::from_int(S::dot_pairs(pairs, S::set_int(0x10001))), lanes);
        } else {
          S::store_pairs_part(to + 2 * g, S::from_int(S::low_words(pairs)),
                              S::from_int(S::high_words(pairs)), lanes);
        }
      }
    }
  }

  const PanelCall& call_;
  int64_t groups_;
  int64_t base_ = 0;  // the first row of the tiles
  int64_t done_ = 0;  // rows of the tiles, from the first on, that were written before
  std::byte* numbers_;   // [groups] expanded
  int32_t* dots_;        // [2 chunks][kParts][kRows, kPanel]
  float* sums_;          // [kRows, kPanel] over the chunks so far
  float* code_sums_;     // [kRows, groups, kHalves], where there are minima
};

template <class S, DType D>
void tiled_product(const PanelCall& call) {
  TiledProduct<S, D>::run(call);
}

template <class S>
void fill_tiled_products(Kernels& kernels) {
  const auto set = [&](DType dtype, void (*product)(const PanelCall&)) {
    kernels.tiled_product[static_cast<int>(dtype)] = product;
  };
  set(DType::kQ4_0, tiled_product<S, DType::kQ4_0>);
  set(DType::kQ4_1, tiled_product<S, DType::kQ4_1>);
  set(DType::kQ5_0, tiled_product<S, DType::kQ5_0>);
  set(DType::kQ5_1, tiled_product<S, DType::kQ5_1>);
  set(DType::kQ8_0, tiled_product<S, DType::kQ8_0>);
  set(DType::kQ2_K, tiled_product<S, DType::kQ2_K>);
  set(DType::kQ3_K, tiled_product<S, DType::kQ3_K>);
  set(DType::kQ4_K, tiled_product<S, DType::kQ4_K>);
  set(DType::kQ5_K, tiled_product<S, DType::kQ5_K>);
  set(DType::kQ6_K, tiled_product<S, DType::kQ6_K>);
  set(DType::kIQ4_NL, tiled_product<S, DType::kIQ4_NL>);
  set(DType::kIQ4_XS, tiled_product<S, DType::kIQ4_XS>);
}

}  // namespace mill::tensor
