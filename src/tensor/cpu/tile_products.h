// Products of 16 rows of activations at a time with quantized weights, by an instruction set that
// multiplies tiles. The integers are exact and the f32 operations are those of code_products.h in
// the same order, so a row has the same bits here and there.
//
// Work is cut into items: the sums of one tile of rows with a few groups ("a chunk"), which are
// four products of tiles ("parts"). A chunk is expanded to signed bytes and f32 scales as its first
// item comes up, and then serves all tiles of rows, whose sums wait in the scratch from chunk to
// chunk. A part's sums can only be read by way of memory: those of an item wait in the first-level
// cache while the item before it is scaled, four rows after each part.
//
// The order of instructions is what makes it fast. Tiles are multiplied and stored beside the
// vectors' work only if neither waits for the other: sums are stored one part after they were begun
// (a product takes 52 clocks, and 16 more until the next may follow), and instructions alternate
// every twenty or so, as the scheduler holds no more than a hundred. As long as tiles are in use,
// the unit that multiplies them takes the second port of 512-bit products and conversions, but not
// that of integer additions: so integers become f32 by an addition (kFloatStart).
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
  static constexpr int kInputs = 32 / kHalves;      // of a part
  static constexpr int kParts = 4;                  // of an item; also a tile's quads of rows
  static constexpr int kChunk = kParts / kHalves;   // groups
  static constexpr int kQuad = kRows / kParts;      // rows
  static constexpr int64_t kTile = kRows * kPanel;  // sums of a part
  static constexpr int64_t kChunks = 4;             // so many are kept; three are in use at most
  static_assert(kVectors == 2 && kRows == kQuad * kParts && kRows == S::kLanes && S::kSumsAsFloats);

  explicit TiledProduct(const PanelCall& call)
      : call_(call), groups_(call.cols / 32), tiles_(tile_count(call.rows)) {
    constexpr int64_t kNumbers = kChunks * kChunk * Group::kBytes;
    constexpr int64_t kDots = 2 * kParts * kTile * 4;
    static_assert(kNumbers + kDots <= tile_scratch_bytes(0));
    numbers_ = call.scratch;
    dots_ = reinterpret_cast<int32_t*>(numbers_ + kNumbers);
    sums_ = reinterpret_cast<float*>(numbers_ + kNumbers + kDots);
  }

  struct Item {
    int64_t index = 0, chunk = 0, tile = 0;
    int64_t parts = 0;                   // 0: there is no such item
    const int8_t* codes = nullptr;       // of the first row's first group
    const std::byte* numbers = nullptr;  // of the first group
    const float* scales = nullptr;       // [groups][kRows]
    const float* code_sums = nullptr;    // [groups][kRows]; of halves the second is a plane further
    int32_t* dots = nullptr;             // [kParts][kRows, kPanel]
  };

  Item item(int64_t index, int64_t chunk, int64_t tile) {
    const int64_t group = chunk * kChunk;
    if (group >= groups_) return {};
    if (tile == 0) expand(chunk);
    const int64_t at = (tile * groups_ + group) * kRows;
    return {index,
            chunk,
            tile,
            std::min<int64_t>(groups_ - group, kChunk) * kHalves,
            call_.codes + tile_row(call_, tile) * call_.cols + group * 32,
            numbers_of(chunk),
            call_.tile_scales + at,
            call_.tile_sums + at + (kHalves == 2 ? plane() : 0),
            dots_ + (index & 1) * (kParts * kTile)};
  }
  Item after(const Item& before) {
    if (before.parts == 0) return {};
    const bool same = before.tile + 1 < tiles_;
    return item(before.index + 1, before.chunk + (same ? 0 : 1), same ? before.tile + 1 : 0);
  }

  std::byte* numbers_of(int64_t chunk) const {
    return numbers_ + chunk % kChunks * (kChunk * Group::kBytes);
  }
  int64_t plane() const { return tiles_ * groups_ * kRows; }

  void expand(int64_t chunk) {
    const int64_t from = chunk * kChunk;
    const int64_t to = std::min(from + kChunk, groups_);
    Group::expand(call_.panel, from, to, numbers_of(chunk));
    // The same of the next panel is on its way meanwhile.
    const std::byte* next = call_.panel + call_.panel_bytes;
    const std::byte* end = next + Group::File::offset(to);
    for (next += Group::File::offset(from); next < end; next += 64) S::fetch(next);
  }

  // Part p is in set kSet<p> of tiles until it is stored.
  template <int kPart>
  static constexpr int kSet = kPart % 2 == 0 ? 1 : 0;

  void multiply() {
    Item now = item(0, 0, 0);
    store_all<0>(now);
    Item next = after(now);
    if (next.parts > 0) begin<0>(next), end<0>(next);
    while (now.parts > 0) {
      const Item third = after(next);
      if (now.parts == kParts && next.parts == kParts && third.parts > 0) {
        scale<0, true>(now, next, third);
      } else {
        scale<0, false>(now, next, third);
      }
      now = next;
      next = third;
    }
  }

  template <int kPart>
  void store_all(const Item& item) {
    if (kPart >= item.parts) return;
    begin<kPart>(item), end<kPart>(item);
    store<kPart, 0>(item), store<kPart, 1>(item);
    if constexpr (kPart + 1 < kParts) store_all<kPart + 1>(item);
  }
  // A part's first 16 outputs, and its others.
  template <int kPart>
  [[gnu::always_inline]] void begin(const Item& item) {
    S::template begin_tiles<kSet<kPart>>(item.codes + kPart * kInputs, call_.cols, of<kPart>(item));
  }
  template <int kPart>
  [[gnu::always_inline]] void end(const Item& item) {
    S::template end_tiles<kSet<kPart>>(of<kPart>(item));
  }
  template <int kPart, int kWhich>
  [[gnu::always_inline]] void store(const Item& item) {
    S::template store_tile<kSet<kPart>, kWhich>(item.dots + kPart * kTile + kWhich * kRows, kPanel);
  }
  template <int kPart>
  static const std::byte* of(const Item& item) {
    return item.numbers + kPart / kHalves * Group::kBytes + kPart % kHalves * (1024 / kHalves);
  }

  // Scales quad kAt of `now` and the quads that follow. After each, part kAt of `next` is stored and
  // the one behind it begun. kWhole: there are all of them.
  template <int kAt, bool kWhole>
  [[gnu::always_inline]] void scale(const Item& now, const Item& next, const Item& third) {
    constexpr int kBegun = (kAt + 1) % kParts;
    const Item& begun = kBegun == 0 ? third : next;
    const bool begins = kWhole || kBegun < begun.parts;
    const bool stores = kWhole || kAt < next.parts;
    F sum[kQuad][kVectors];
    if (begins) begin<kBegun>(begun);
    float* sums = sums_ + now.tile * kTile + kAt * kQuad * kPanel;
    load_sums(now, sums, sum);
    fetch_codes<kAt>(third);
    add_part<kAt, 0>(now, sum);
    if (begins) end<kBegun>(begun);
    if (kWhole || now.parts > 1) add_part<kAt, 1>(now, sum);
    if (stores) store<kAt, 0>(next);
    if (kWhole || now.parts > 2) add_part<kAt, 2>(now, sum);
    if (stores) store<kAt, 1>(next);
    if (kWhole || now.parts > 3) add_part<kAt, 3>(now, sum);
    store_sums<kAt>(now, sums, sum);
    if constexpr (kAt + 1 < kParts) scale<kAt + 1, kWhole>(now, next, third);
  }

  // A quarter of what the item behind `before` reads of the codes, in most cases: with their rows so
  // far apart, a tile would wait for sixteen lines of the second-level cache.
  template <int kAt>
  [[gnu::always_inline]] void fetch_codes(const Item& before) const {
    const int8_t* codes = before.codes + (kRows + kAt * kQuad) * call_.cols;
#pragma GCC unroll 4
    for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
      for (int at = 0; at < kChunk * 32; at += 64) S::fetch_near(codes + r * call_.cols + at);
    }
  }

  [[gnu::always_inline]] static void load_sums(const Item& now, const float* sums,
                                               F (&sum)[kQuad][kVectors]) {
#pragma GCC unroll 4
    for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = now.chunk == 0 ? S::zero() : S::load(sums + r * kPanel + v * S::kLanes);
      }
    }
  }

  template <int kAt>
  [[gnu::always_inline]] void store_sums(const Item& now, float* sums,
                                         const F (&sum)[kQuad][kVectors]) {
#pragma GCC unroll 4
    for (int r = 0; r < kQuad; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) S::store(sums + r * kPanel + v * S::kLanes, sum[r][v]);
    }
    if ((now.chunk + 1) * kChunk >= groups_) write_quad(now.tile, kAt, sums);
  }

  // Scales the sums of quad kAt in one part, and adds them up.
  template <int kAt, int kPart>
  [[gnu::always_inline]] void add_part(const Item& now, F (&sum)[kQuad][kVectors]) const {
    constexpr int kGroupAt = kPart / kHalves;
    constexpr int kHalf = kPart % kHalves;
    constexpr int kRow = kAt * kQuad;
    const Group group(now.numbers, kGroupAt);
    const float* scales = now.scales + kGroupAt * kRows + kRow;
    const float* code_sums = now.code_sums + (kHalf == 1 ? plane() : 0) + kGroupAt * kRows + kRow;
    const int32_t* dots = now.dots + kPart * kTile + kRow * kPanel;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const F d = group.scale(kHalf, v);
      const F start = group.start(kHalf, v);
      F minimum = S::zero();
      if constexpr (Group::kMinima) minimum = group.minimum(kHalf, v);
#pragma GCC unroll 4
      for (int r = 0; r < kQuad; ++r) {
        const typename S::I dot = S::load_ints(dots + r * kPanel + v * S::kLanes);
        const F number = S::as_floats(S::add_int(dot, S::set_int(kFloatStartBits)));
        F part = S::add_product(start, number, d);
        if constexpr (Group::kMinima) {
          part = S::subtract_product(part, minimum, S::set(code_sums[r]));
        }
        sum[r][v] = S::add_product(sum[r][v], part, S::set(scales[r]));
      }
    }
  }

  // The sums lie in memory: vectors whose address a function takes would be written and read again
  // at each barrier of the compiler.
  void write_quad(int64_t tile, int at, const float* sums) const {
    const int64_t base = tile_row(call_, tile);
    const int64_t done = tile * kRows - base;  // rows of the tile that were written before
    for (int64_t r = 0; r < kQuad; ++r) {
      const int64_t row = at * kQuad + r;
      if (row < done) continue;
      for (int v = 0; v < kVectors; ++v) {
        write_vector<S>(call_, base + row, v, S::load(sums + r * kPanel + v * S::kLanes));
      }
    }
  }

  const PanelCall& call_;
  int64_t groups_, tiles_;
  std::byte* numbers_;  // [kChunks][kChunk] expanded groups
  int32_t* dots_;       // [2 items][kParts][kRows, kPanel]
  float* sums_;         // [tiles][kRows, kPanel] over the chunks so far
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
