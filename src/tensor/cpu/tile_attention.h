// Attention over 8-bit keys and values for 16 queries at a time, by an instruction set that
// multiplies tiles. The integers are exact and the f32 operations are those of code_attention.h in
// the same order, so a query has the same bits here and there.
//
// A tile's sums can only be read by way of memory, and vectors wait for tiles: so many products are
// made in a row, for as many queries as leave their sums in the first-level cache beside the rest
// (products with the next block's keys in the same row were slower for that).
#pragma once

#include <cstring>

#include "tensor/cpu/code_attention.h"

namespace mill::tensor {

template <class S>
class TileAttention : private CodeAttention<S> {
 public:
  using F = typename S::F;
  using I = typename S::I;

  explicit TileAttention(const AttendCall& call)
      : CodeAttention<S>(call),
        tiles_((queries_ + kTileRows - 1) / kTileRows),
        dots_(reinterpret_cast<int32_t*>(call.scratch + attend_scratch(call.head_dim))),
        zeros_(dots_ + kTileDots) {}

  void run() {
    this->code_queries();
    for (int64_t i = 0; i < tiles_ * kTileRows; ++i) {
      if (i >= queries_) clear(i);
      zeros_[i] = Long::zero_of(query_sums_ + 2 * i);
    }
    this->each_block([&](int64_t block, int64_t /*next*/, const std::byte* keys,
                         const std::byte* values,
                         int64_t /*tokens*/) { attend_block(block, keys, values); });
    this->finish();
  }

 private:
  using Base = CodeAttention<S>;
  using Base::queries_, Base::width_, Base::sums_, Base::corrections_, Base::query_scales_,
      Base::weight_scales_, Base::query_sums_;
  using Long = typename S::LongDots;
  static_assert(S::kLanes == kTileRows && kBlockTokens == 2 * S::kLanes);

  // A row of a tile that is no query's. What it becomes is not read; small numbers would take long.
  void clear(int64_t i) {
    for (int64_t d = 0; d < width_; d += S::kLanes) S::store(sums_ + i * width_ + d, S::zero());
    std::memset(this->query_code(i), 0, static_cast<size_t>(2 * width_));
    query_sums_[2 * i] = query_sums_[2 * i + 1] = 0;
    query_scales_[i] = 0;
  }

  void attend_block(int64_t block, const std::byte* keys, const std::byte* values) {
    const auto* key_scales = reinterpret_cast<const float*>(keys + kBlockTokens * width_);
    const auto* value_scales = reinterpret_cast<const float*>(values + kBlockTokens * width_);
    for (int64_t tile = 0; tile < tiles_; ++tile) {
      S::multiply_keys(this->query_code(tile * kTileRows), width_, keys, dots_ + tile * kScoreDots);
    }
    const auto score = [&](int64_t first) {
      return [dots = dots_ + first / kTileRows * kScoreDots, zeros = zeros_ + first,
              scales = query_scales_ + first, key_scales](int i, int v) {
        const int32_t* high = dots + (v * kTileRows + i) * S::kLanes;
        const F total = S::total_of(S::load_ints(high), S::load_ints(high + kScoreDots / 2),
                                    S::set_int(zeros[i]));
        const F scale = S::mul(S::load(key_scales + v * S::kLanes), S::set(scales[i]));
        return S::mul(total, scale);
      };
    };
    this->code_lanes(tiles_ * kTileRows, block, value_scales, score, S::keep_tiles_awake);
    const int64_t parts = width_ / kPartDims;  // of a tile's sums
    for (int64_t at = 0; at < tiles_ * parts;) {
      const int64_t end = at + kMixParts < tiles_ * parts ? at + kMixParts : tiles_ * parts;
      for (int64_t i = at; i < end; ++i) {
        S::multiply_values(this->weight_code(i / parts * kTileRows),
                           values + i % parts * kPartDims * 4, width_, dots_ + (i - at) * kMixDots);
      }
      for (int64_t i = at; i < end; ++i) {
        add_part(i / parts * kTileRows, i % parts * kPartDims, dots_ + (i - at) * kMixDots);
      }
      at = end;
    }
  }

  // Sums of kPartDims dimensions of a tile's queries.
  void add_part(int64_t first, int64_t d, const int32_t* dots) {
    const float* corrections = corrections_ + first;
    const float* scales = weight_scales_ + first;
    const int64_t width = width_;
    float* sums = sums_ + first * width + d;
    for (int64_t i = 0; i < kTileRows; ++i, dots += S::kLanes, sums += width) {
      const F correction = S::set(corrections[i]);
      const F scale = S::set(scales[i]);
#pragma GCC unroll 4
      for (int v = 0; v < kPartDims / S::kLanes; ++v) {
        const int32_t* high = dots + v * kTileRows * S::kLanes;
        const F total = Long::total(S::load_ints(high), S::load_ints(high + kMixDots / 2));
        float* at = sums + v * S::kLanes;
        S::store(at, S::add_product(S::mul(S::load(at), correction), total, scale));
      }
    }
  }

  static constexpr int64_t kPartDims = 64;
  static constexpr int64_t kScoreDots = 2 * kTileRows * kBlockTokens;
  static constexpr int64_t kMixDots = 2 * kTileRows * kPartDims;
  static constexpr int64_t kMixParts = 2;
  static_assert(kTileDots >= kMixParts * kMixDots && kTileDots >= kMostQueries * 2 * kBlockTokens);

  int64_t tiles_;
  int32_t* dots_;  // of a block's tiles with keys: [tiles][2][2][kTileRows][16 tokens], with
                   // values: [kMixParts][2][kPartDims / 16][kTileRows][16]; the high halves' first
  int32_t* zeros_;  // [queries] what the keys' bytes lie above their codes adds to a product, less
};

template <class S>
void tile_attend(const AttendCall& call) {
  S::shape_attention_tiles();
  TileAttention<S>(call).run();
  S::release_tiles();
}

}  // namespace mill::tensor
