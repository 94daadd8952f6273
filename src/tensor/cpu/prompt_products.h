// Products of prompts with quantized weights, by an instruction set that multiplies tiles of bf16:
// weights and activations are rounded to bf16, and their products added up in f32, pair of inputs
// by pair, as TDPBF16PS defines it (Intel's Software Developer's Manual, volume 2; volume 1,
// chapter 18). A row's result depends neither on the tile it falls into nor on how the inputs are
// cut into runs: sums between runs are f32 and keep their bits.
//
// A prompt has many rows, so it pays to expand weights, 32 outputs by a run of inputs, to tiles for
// all of them. Nothing is to be scaled behind that, unlike with codes (code_products.h), whose
// groups each have a scale of their own. A run's tiles stay in the first-level cache, as
// activations go past it: they come from the second-level cache, in the order in which they are
// read.
#pragma once

#include <algorithm>

#include "tensor/cpu/code_products.h"

namespace mill::tensor {

template <class S, DType D>
class PromptProduct {
 public:
  static void run(const PanelCall& call) { PromptProduct(call).multiply(); }

 private:
  using F = typename S::F;
  using Group = FileGroup<S, D>;
  static constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
  static constexpr int kHalves = Group::kHalves;
  static constexpr int64_t kTileBytes = kTileRows * 64;
  static_assert(kVectors == 2 && S::kLanes == kTileRows && S::kSumsAsFloats);
  static_assert(kPromptScratchBytes >= kPromptRunGroups * 2 * kTileBytes + 4 * kTileBytes);

  explicit PromptProduct(const PanelCall& call)
      : call_(call),
        numbers_(call.scratch),
        edges_(reinterpret_cast<float*>(call.scratch + kPromptRunGroups * 2 * kTileBytes)) {}

  void multiply() {
    const int64_t groups = call_.last_group - call_.first_group;
    const int64_t runs = prompt_runs(groups);
    const int64_t tiles = tile_count(call_.rows);
    for (int64_t run = 0; run < runs; ++run) {
      from_ = call_.first_group + groups * run / runs;
      count_ = call_.first_group + groups * (run + 1) / runs - from_;
      for (int64_t g = 0; g < count_; ++g) expand(from_ + g, numbers_ + g * 2 * kTileBytes);
      int64_t tile = 0;
      for (; tile + 2 <= tiles; tile += 2) multiply_tiles<2>(tile);
      if (tile < tiles) multiply_tiles<1>(tile);
    }
  }

  // One group to its two tiles [vector of outputs][pair of inputs][output][2].
  [[gnu::always_inline]] void expand(int64_t index, std::byte* to) const {
    const Group group(call_.panel, index);
    const std::byte* next = call_.panel + call_.panel_bytes;
    for (int64_t at = Group::offset(index); at < Group::offset(index + 1); at += 64) {
      S::fetch(next + at);
    }
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) expand_half<0>(group, v, to + v * kTileBytes);
  }
  template <int kHalf>
  [[gnu::always_inline]] static void expand_half(const Group& group, int v, std::byte* to) {
    const F scale = group.scale(kHalf, v);
    const F start = S::mul(scale, S::set(-kFloatStart));
    F minimum = S::zero();
    if constexpr (Group::kMinima) minimum = group.minimum(kHalf, v);
    expand_steps<kHalf*(8 / kHalves), 8 / kHalves>(group, v, scale, start, minimum, to);
    if constexpr (kHalf + 1 < kHalves) expand_half<kHalf + 1>(group, v, to);
  }
  template <int kStep, int kCount>
  [[gnu::always_inline]] static void expand_steps(const Group& group, int v, F scale, F start,
                                                  F minimum, std::byte* to) {
    const typename S::B numbers = group.template numbers<kStep>(v);
    const typename S::I zero = S::set_int(kFloatStartBits - Group::kZero);
    F x[4] = {S::as_float(S::template add_byte<0>(zero, numbers)),
              S::as_float(S::template add_byte<1>(zero, numbers)),
              S::as_float(S::template add_byte<2>(zero, numbers)),
              S::as_float(S::template add_byte<3>(zero, numbers))};
#pragma GCC unroll 4
    for (F& each : x) {
      each = S::add_product(start, each, scale);
      if constexpr (Group::kMinima) each = S::sub(each, minimum);
    }
    S::store_bytes(to + 2 * kStep * 64, S::pair_bfloats(x[0], x[1]));
    S::store_bytes(to + (2 * kStep + 1) * 64, S::pair_bfloats(x[2], x[3]));
    if constexpr (kCount > 1) {
      expand_steps<kStep + 1, kCount - 1>(group, v, scale, start, minimum, to);
    }
  }

  template <int kTiles>
  [[gnu::always_inline]] void multiply_tiles(int64_t tile) const {
    begin<0>(tile), begin<1>(tile);
    if constexpr (kTiles == 2) begin<2>(tile), begin<3>(tile);
    const int64_t tile_bytes = call_.cols * kTileRows * 2;
    const auto* rows =
        reinterpret_cast<const std::byte*>(call_.bfloats) + tile * tile_bytes + from_ * kTileBytes;
    S::template multiply_bfloats<kTiles>(rows, tile_bytes, numbers_, count_);
    end<0>(tile), end<1>(tile);
    if constexpr (kTiles == 2) end<2>(tile), end<3>(tile);
  }

  // Sum kSum is of rows of tile + kSum / 2 and of outputs of vector kSum % 2.
  template <int kSum>
  float* place(int64_t tile) const {
    return call_.out + (tile + kSum / 2) * kTileRows * call_.out_stride + kSum % 2 * S::kLanes;
  }
  template <int kSum>
  int64_t rows(int64_t tile) const {
    return std::min(kTileRows, call_.rows - (tile + kSum / 2) * kTileRows);
  }
  template <int kSum>
  int lanes() const {
    const int64_t left = call_.columns - kSum % 2 * S::kLanes;
    return static_cast<int>(std::clamp<int64_t>(left, 0, S::kLanes));
  }
  // Whether all of a tile is the call's.
  template <int kSum>
  bool whole(int64_t tile) const {
    return rows<kSum>(tile) == kTileRows && lanes<kSum>() == S::kLanes;
  }

  // What lies there counts from the second run on, and where it is to be added to.
  template <int kSum>
  [[gnu::always_inline]] void begin(int64_t tile) const {
    const bool there = from_ > 0 || call_.accumulate;
    const bool biased = from_ == 0 && call_.bias != nullptr;
    if (!there && !biased) return S::template zero_sums<kSum>();
    if (!biased && whole<kSum>(tile)) {
      return S::template load_sums<kSum>(place<kSum>(tile), call_.out_stride * 4);
    }
    gather(place<kSum>(tile), rows<kSum>(tile), kSum % 2 * S::kLanes, lanes<kSum>(), there, biased);
    S::template load_sums<kSum>(edges_, 64);
  }
  [[gnu::noinline]] void gather(const float* from, int64_t rows, int64_t column, int lanes,
                                bool there, bool biased) const {
    const F bias = biased ? S::load_part(call_.bias + column, lanes) : S::zero();
    for (int64_t r = 0; r < kTileRows; ++r) {
      F sum = bias;
      if (there && r < rows) sum = S::add(sum, S::load_part(from + r * call_.out_stride, lanes));
      S::store(edges_ + r * S::kLanes, sum);
    }
  }
  template <int kSum>
  [[gnu::always_inline]] void end(int64_t tile) const {
    if (whole<kSum>(tile)) {
      return S::template store_sums<kSum>(place<kSum>(tile), call_.out_stride * 4);
    }
    S::template store_sums<kSum>(edges_, 64);
    scatter(place<kSum>(tile), rows<kSum>(tile), lanes<kSum>());
  }
  [[gnu::noinline]] void scatter(float* to, int64_t rows, int lanes) const {
    for (int64_t r = 0; r < rows; ++r) {
      S::store_part(to + r * call_.out_stride, S::load(edges_ + r * S::kLanes), lanes);
    }
  }

  const PanelCall& call_;
  int64_t from_ = 0, count_ = 0;  // groups of the run
  std::byte* numbers_;            // of the run, expanded
  float* edges_;                  // [kTileRows][16] a tile that is not wholly the call's
};

template <class S, DType D>
void prompt_product(const PanelCall& call) {
  PromptProduct<S, D>::run(call);
}

template <class S>
void fill_prompt_products(Kernels& kernels) {
  each_code_type([&]<DType kType>() {
    kernels.prompt_product[static_cast<int>(kType)] = prompt_product<S, kType>;
  });
}

}  // namespace mill::tensor
