// Products of 16 rows of activations at a time with quantized weights, by an instruction set that
// multiplies tiles. The integers are exact and the f32 operations are those of code_products.h in
// the same order, so a row has the same bits here and there.
//
// A run of groups that fits the first-level cache is expanded to signed bytes and f32 scales for all
// rows. Then a unit is 16 rows and 16 outputs, whose f32 sums stay in registers over the run; a part
// of it is the product of a tile of codes and a tile of numbers, 32 inputs (or 16, where those have
// a scale of their own). The integers of a part can only be read by way of memory.
//
// The order of instructions is what makes it fast. Tiles are multiplied and stored beside the
// vectors' work only if neither waits for the other: so while a part is scaled, the next one is
// stored and the one behind that is begun (a product of tiles takes 52 clocks, and 16 until the
// next may follow). As long as tiles are in use, the unit that multiplies them has the second port
// of 512-bit products and conversions, but not that of integer additions: so integers become f32 by
// an addition (kFloatStart).
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
  const int64_t plane = tile_count(call.rows) * groups * kTileRows;
  float* scales = call.tile_scales;
  float* sums = call.tile_sums;
  for (int64_t tile = 0; tile < tile_count(call.rows); ++tile) {
    const int64_t from = tile_row(call, tile) * groups;
    for (int64_t g = 0; g < groups; ++g, scales += kTileRows, sums += kTileRows) {
      S::store(scales, S::gather(call.scales + from + g, groups));
      const typename S::I pairs = S::gather_ints(call.sums + from + g, groups);
      S::store(sums, S::from_int(S::dot_pairs(pairs, S::set_int(0x10001))));
      S::store(sums + plane, S::from_int(S::low_words(pairs)));
      S::store(sums + 2 * plane, S::from_int(S::high_words(pairs)));
    }
  }
}

template <class S, DType D>
class TiledProduct {
 public:
  static void run(const PanelCall& call) {
    S::template shape_tiles<kInputs>();
    TiledProduct(call).multiply();
  }

 private:
  using F = typename S::F;
  using Group = ExpandedGroup<S, FileGroup<S, D>, Expanded::kSignedWithStarts>;
  static constexpr int kRows = static_cast<int>(kTileRows);
  static constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
  static constexpr int kHalves = Group::kHalves;
  static constexpr int kInputs = 32 / kHalves;  // of a part
  static constexpr int64_t kTile = kRows * kRows;
  static constexpr int64_t kSlots = 4;  // parts whose integers are kept; two are in use
  static_assert(kVectors == 2 && kRows == S::kLanes && S::kSumsAsFloats);

  explicit TiledProduct(const PanelCall& call)
      : call_(call),
        groups_(call.cols / 32),
        tiles_(tile_count(call.rows)),
        plain_(call.columns == kPanel && !call.bias) {
    numbers_ = call.scratch;
    dots_ = reinterpret_cast<int32_t*>(call.scratch + kRunBytes);
    sums_ = reinterpret_cast<float*>(dots_ + kSlots * kTile);
    static_assert(kTiledDotBytes == kSlots * kTile * 4);
  }

  void multiply() {
    each_run<Group>(groups_, [&](int64_t from, int64_t to) {
      from_ = from, to_ = to;
      Group::expand(call_.panel, from, to, numbers_);
      multiply_run();
    });
  }

  // A part, on its way through the units: all tiles of rows, of each both halves of the outputs.
  struct Cursor {
    int64_t part = 0, unit = 0;
    const int8_t* codes;       // of the part's first row
    const std::byte* numbers;  // of the part's group
    const float* scales;       // [kRows] of the group; code_sums likewise
    const float* code_sums;
  };
  [[gnu::always_inline]] void enter_unit(Cursor& cursor) const {
    const int64_t tile = cursor.unit / kVectors;
    cursor.part = 0;
    cursor.codes = call_.codes + tile_row(call_, tile) * call_.cols + from_ * 32;
    cursor.numbers = numbers_;
    const int64_t at = (tile * groups_ + from_) * kRows;
    cursor.scales = call_.tile_scales + at;
    cursor.code_sums = call_.tile_sums + at + (kHalves - 1) * plane();
  }
  // Whether the unit is done.
  [[gnu::always_inline]] bool advance(Cursor& cursor) const {
    ++cursor.part;
    if (cursor.part == (to_ - from_) * kHalves) {
      ++cursor.unit;
      enter_unit(cursor);
      return true;
    }
    cursor.codes += kInputs;
    if (cursor.part % kHalves == 0) {
      cursor.numbers += Group::kBytes;
      cursor.scales += kRows;
      cursor.code_sums += kRows;
    }
    return false;
  }
  int64_t plane() const { return tiles_ * groups_ * kRows; }

  // Parts are begun, stored and scaled one after the other, so that there are as many of each. The
  // last ones are followed by parts of no unit, which read the last tile again.
  void multiply_run() const {
    const int64_t units = tiles_ * kVectors;
    Cursor begun, scaled;
    enter_unit(begun), enter_unit(scaled);
    begin<0>(begun);
    store<0>(0);
    begin<1>(begun);
    F sum[kRows];
    load_sums(0, sum);
    for (int64_t step = 0;; step += 2) {
      if (scale<0>(begun, scaled, step, sum) && scaled.unit == units) break;
      if (scale<1>(begun, scaled, step + 1, sum) && scaled.unit == units) break;
    }
  }

  // Scales a part, stores the next one and begins the one behind it. Whether the unit is done.
  template <int kSet>
  [[gnu::always_inline]] bool scale(Cursor& begun, Cursor& scaled, int64_t step,
                                    F (&sum)[kRows]) const {
    begin<kSet>(begun);
    add_rows<0>(scaled, step, sum);
    store<1 - kSet>(step + 1);
    add_rows<kRows / 2>(scaled, step, sum);
    const int64_t unit = scaled.unit;
    if (!advance(scaled)) return false;
    if (to_ == groups_ && plain_ && whole(unit / kVectors)) {
      put(unit, sum);
    } else {
      float* to = sums_ + unit * kTile;
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) S::store(to + r * kRows, sum[r]);
      if (to_ == groups_) write(unit);
    }
    load_sums(unit + 1, sum);
    fetch_next_panel(unit);
    return true;
  }

  // A part of it at the end of each unit.
  [[gnu::always_inline]] void fetch_next_panel(int64_t unit) const {
    const int64_t units = tiles_ * kVectors;
    const int64_t from = Group::File::offset(from_), size = Group::File::offset(to_) - from;
    const std::byte* next = call_.panel + call_.panel_bytes + from;
    for (int64_t at = unit * 64; at < size; at += units * 64) S::fetch(next + at);
  }

  // Whether all rows of a tile are its own.
  bool whole(int64_t tile) const { return (tile + 1) * kRows <= call_.rows; }
  // The sums to their place, where nothing is to be left out.
  [[gnu::always_inline]] void put(int64_t unit, const F (&sum)[kRows]) const {
    float* to = call_.out + unit / kVectors * kRows * call_.out_stride + unit % kVectors * S::kLanes;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r, to += call_.out_stride) {
      S::store(to, call_.accumulate ? S::add(sum[r], S::load(to)) : sum[r]);
    }
  }

  // A unit's sums over the runs before. Behind the last unit there is room for one more.
  [[gnu::always_inline]] void load_sums(int64_t unit, F (&sum)[kRows]) const {
    const float* from = sums_ + unit * kTile;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sum[r] = from_ == 0 ? S::zero() : S::load(from + r * kRows);
    }
  }

  template <int kSet>
  [[gnu::always_inline]] void begin(Cursor& cursor) const {
    const int64_t v = cursor.unit % kVectors;
    const int64_t half = cursor.part % kHalves;
    S::template begin_tile<kSet>(cursor.codes, call_.cols,
                                 cursor.numbers + half * (1024 / kHalves) + v * (4 * S::kLanes),
                                 4 * kPanel);
    if (advance(cursor) && cursor.unit == tiles_ * kVectors) {
      --cursor.unit;
      enter_unit(cursor);
    }
  }
  template <int kSet>
  [[gnu::always_inline]] void store(int64_t step) const {
    S::template store_tile<kSet>(dots_ + step % kSlots * kTile);
  }

  // Scales the integers of half the rows in one part, and adds them up.
  template <int kFirst>
  [[gnu::always_inline]] void add_rows(const Cursor& at, int64_t step, F (&sum)[kRows]) const {
    const int v = static_cast<int>(at.unit % kVectors);
    const int half = static_cast<int>(at.part % kHalves);
    const Group group(at.numbers, 0);
    const F d = group.scale(half, v);
    const F start = group.start(half, v);
    F minimum = S::zero();
    if constexpr (Group::kMinima) minimum = group.minimum(half, v);
    const float* code_sums = at.code_sums + half * plane();
    const int32_t* dots = dots_ + step % kSlots * kTile;
#pragma GCC unroll 8
    for (int r = kFirst; r < kFirst + kRows / 2; ++r) {
      const typename S::I dot = S::load_ints(dots + r * kRows);
      const F number = S::as_float(S::add_int(dot, S::set_int(kFloatStartBits)));
      F part = S::add_product(start, number, d);
      if constexpr (Group::kMinima) {
        part = S::subtract_product(part, minimum, S::set(code_sums[r]));
      }
      sum[r] = S::add_product(sum[r], part, S::set(at.scales[r]));
    }
  }

  // The unit's sums, which lie in memory: vectors whose address a function takes would be written
  // and read again at each barrier of the compiler.
  [[gnu::noinline]] void write(int64_t unit) const {
    const int64_t tile = unit / kVectors;
    const int64_t base = tile_row(call_, tile);
    const int64_t done = tile * kRows - base;  // rows of the tile that were written before
    for (int64_t r = done; r < kRows; ++r) {
      write_vector<S>(call_, base + r, static_cast<int>(unit % kVectors),
                      S::load(sums_ + unit * kTile + r * kRows));
    }
  }

  const PanelCall& call_;
  int64_t groups_, tiles_;
  bool plain_;                 // all outputs are wanted, without a bias
  int64_t from_ = 0, to_ = 0;  // the run's groups
  std::byte* numbers_;         // of the run, expanded
  int32_t* dots_;              // [kSlots][kRows][kRows]
  float* sums_;                // [units][kRows][kRows]
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
