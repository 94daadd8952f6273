// Products with quantized weights: unsigned numbers times signed 8-bit codes, exact in 32-bit
// integers over a group (or half of one), then scaled and added up in f32 group by group, in the
// order of the inputs. Templates over the vector type of an instruction set; see kernels.h.
//
// Per row, output and group, with D = sum of number * code and S = sum of codes:
//   without minima  sum += x_scale * (d * float(D - zero * S))
//   with minima     sum += x_scale * (d * float(D) - minimum * float(S))
// The same roundings in the same order in every tile, so a row's result does not depend on the
// tile it falls into, nor on whether the panel was expanded first.
//
// Where S::kSumsAsFloats, the sums of integers begin at the bits of the f32 kFloatStart = 1.5 *
// 2^23, and are then, as an f32, kFloatStart + D: exact, as |D| < 2^22. So d * float(D) is one
// fused operation, d * (kFloatStart + D) - d * kFloatStart, instead of a conversion and a product:
// the last term is exact too, as d has at most 22 bits (11 of an f16, 8 of an integer), and what is
// left is rounded once, as the product is.
//
// What the sums of codes make of a row's group is the same for all panels, a term of the call
// (PanelCall::terms): S as an f32 where there are minima; where S::kStartsAhead, what the sums of
// integers begin with, less zero * S.
//
// Where S::kWordProducts, numbers beyond 127 are multiplied as words, with codes as words: two such
// products of bytes would not fit the 16 bits that a pair of them is summed in.
#pragma once

#include <type_traits>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/panel.h"

namespace mill::tensor {

inline constexpr float kFloatStart = 12582912.0F;
inline constexpr int32_t kFloatStartBits = 0x4b400000;

// One group of a panel as the file has it. v counts vectors of S::kLanes outputs.
template <class S, DType D>
class FileGroup {
 public:
  static constexpr CodeLayout kLayout = code_layout(D);
  static constexpr int kHalves = kLayout.halves;
  static constexpr int kZero = kLayout.zero;
  static constexpr bool kMinima = kLayout.minima;
  static constexpr int64_t kCodeBytes = 1;  // of a code that numbers are multiplied with
  // The largest number.
  static constexpr int kMost =
      kLayout.low_bits == 8 || kLayout.table ? 255 : (1 << (4 + kLayout.planes)) - 1;

  [[gnu::always_inline]] FileGroup(const std::byte* panel, int64_t group) {
    const int64_t in_super = group % kLayout.groups();
    super_ = panel + group / kLayout.groups() * kLayout.super_bytes();
    group_ = super_ + kLayout.header_bytes() + in_super * kLayout.group_bytes();
    scale_row_ = in_super * kLayout.scale_row();
  }
  using File = FileGroup;
  static int64_t offset(int64_t group) {
    return group / kLayout.groups() * kLayout.super_bytes() +
           group % kLayout.groups() * kLayout.group_bytes();
  }

  template <int kStep>
  [[gnu::always_inline]] typename S::B numbers(int v) const {
    constexpr int kBytes = S::kLanes * 4;
    if constexpr (kLayout.low_bits == 8) {
      return S::load_bytes(group_ + kStep * 128 + v * kBytes);
    } else {
      const typename S::B pair = S::load_bytes(group_ + kStep / 2 * 128 + v * kBytes);
      typename S::B low = kStep % 2 == 0 ? S::low_nibbles(pair) : S::high_nibbles(pair);
      const std::byte* bits = group_ + kLayout.low_bytes() + kStep * 16 + v * (kBytes / 8);
      if constexpr (kLayout.planes >= 1) low = S::template add_bits<16>(low, bits);
      if constexpr (kLayout.planes >= 2) {
        low = S::template add_bits<32>(low, bits + kLayout.plane_bytes());
      }
      if constexpr (kLayout.table) low = S::look_up(low);
      return low;
    }
  }

  [[gnu::always_inline]] typename S::F scale(int half, int v) const {
    if constexpr (kLayout.super) {
      const std::byte* integers = super_ + kLayout.scales_offset() + scale_row_ + half * kPanel;
      return S::mul(S::from_half(halves(0, v)), S::from_bytes(integers + v * S::kLanes));
    } else {
      return S::from_half(halves(0, v));
    }
  }
  [[gnu::always_inline]] typename S::F minimum(int half, int v) const {
    if constexpr (kLayout.super) {
      const std::byte* integers = super_ + kLayout.minima_offset() + scale_row_ + half * kPanel;
      return S::mul(S::from_half(halves(1, v)), S::from_bytes(integers + v * S::kLanes));
    } else {
      return S::from_half(halves(1, v));
    }
  }

 private:
  [[gnu::always_inline]] const std::byte* halves(int row, int v) const {
    const std::byte* base = kLayout.super ? super_ : group_ + kLayout.group_scales_offset();
    return base + (row * kPanel + v * S::kLanes) * 2;
  }
  const std::byte* super_;
  const std::byte* group_;
  int64_t scale_row_;
};

// The same group with its numbers as words: step 2 * i has the first and the third of the four
// numbers of step i, step 2 * i + 1 the others; so has each four codes (widen_codes).
template <class S, class From>
class WordGroup : public From {
 public:
  static constexpr int64_t kCodeBytes = 2;
  using From::From;

  template <int kStep>
  [[gnu::always_inline]] typename S::B numbers(int v) const {
    const typename S::I four = S::ints_of(From::template numbers<kStep / 2>(v));
    return S::bytes_of(kStep % 2 == 0 ? S::even_unsigned(four) : S::odd_unsigned(four));
  }
};

// The same group expanded to bytes and f32 scales.
template <class S, class From>
class ExpandedGroup {
 public:
  static constexpr int kHalves = From::kHalves;
  static constexpr int kZero = From::kZero;
  static constexpr bool kMinima = From::kMinima;
  static constexpr int64_t kCodeBytes = 1;
  static constexpr int kMost = From::kMost;
  static constexpr int64_t kScaleSets = kHalves * (1 + (kMinima ? 1 : 0));
  static constexpr int64_t kBytes = 1024 + kScaleSets * kPanel * 4;

  [[gnu::always_inline]] ExpandedGroup(const std::byte* panel, int64_t group)
      : group_(panel + group * kBytes) {}
  using File = From;

  template <int kStep>
  [[gnu::always_inline]] typename S::B numbers(int v) const {
    return S::load_bytes(group_ + kStep * 128 + v * S::kLanes * 4);
  }
  [[gnu::always_inline]] typename S::F scale(int half, int v) const {
    return S::load(set(half) + v * S::kLanes);
  }
  [[gnu::always_inline]] typename S::F minimum(int half, int v) const {
    return S::load(set(kHalves + half) + v * S::kLanes);
  }
  // Groups [first, last) of a panel.
  static void expand(const std::byte* panel, int64_t first, int64_t last, std::byte* to) {
    for (int64_t g = first; g < last; ++g) {
      const From from(panel, g);
      std::byte* group = to + (g - first) * kBytes;
      constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
      for (int v = 0; v < kVectors; ++v) {
        expand_steps<0>(from, v, group);
        for (int half = 0; half < kHalves; ++half) {
          auto* scales = reinterpret_cast<float*>(group + 1024) + half * kPanel + v * S::kLanes;
          S::store(scales, from.scale(half, v));
          if constexpr (kMinima) S::store(scales + kHalves * kPanel, from.minimum(half, v));
        }
      }
    }
  }

 private:
  template <int kStep>
  [[gnu::always_inline]] static void expand_steps(const From& from, int v, std::byte* group) {
    S::store_bytes(group + kStep * 128 + v * S::kLanes * 4, from.template numbers<kStep>(v));
    if constexpr (kStep + 1 < kSteps) expand_steps<kStep + 1>(from, v, group);
  }
  [[gnu::always_inline]] const float* set(int index) const {
    return reinterpret_cast<const float*>(group_ + 1024) + index * kPanel;
  }
  const std::byte* group_;
};

// Vector v of a result row to its place, with bias and what is there already.
template <class S>
[[gnu::always_inline]] inline void write_vector(const PanelCall& call, int64_t row, int v,
                                                typename S::F value) {
  const int64_t column = v * S::kLanes;
  const int64_t left = call.columns - column;
  if (left <= 0) return;
  float* to = call.out + row * call.out_stride + column;
  const int lanes = static_cast<int>(left < S::kLanes ? left : S::kLanes);
  if (lanes == S::kLanes) {
    if (call.bias) value = S::add(value, S::load(call.bias + column));
    if (call.accumulate) value = S::add(value, S::load(to));
    S::store(to, value);
  } else {
    if (call.bias) value = S::add(value, S::load_part(call.bias + column, lanes));
    if (call.accumulate) value = S::add(value, S::load_part(to, lanes));
    S::store_part(to, value, lanes);
  }
}

template <class S, class Group>
struct DotsFor {
  using Type = typename S::template Dots<Group::kMost, static_cast<int>(kSteps) / Group::kHalves>;
};
template <class S, class From>
struct DotsFor<S, WordGroup<S, From>> {
  using Type = typename S::WordDots;
};
template <class S, class Group>
using DotsOf = typename DotsFor<S, Group>::Type;

// What products with such groups take of PanelCall::terms: sums of codes; starts.
template <class S, class Group>
constexpr bool kSumTerms = S::kSumsAsFloats&& Group::kMinima&& Group::kHalves == 1;
template <class S, class Group>
constexpr bool kStartTerms = S::kStartsAhead&& Group::kHalves == 1 && Group::kZero != 0;

// What a tile takes of a call: `panel` holds groups [from, to) of the inputs in the form of the
// tile's Group.
struct TileWork {
  const std::byte* panel = nullptr;
  int64_t from = 0, to = 0;
  float* partial = nullptr;  // [rows, kPanel] sums of the groups before; unused with all groups
  int64_t first = 0;         // row
  // The lines of the next panel that the tile fetches: of each group those from `turn` on, by
  // `turns`.
  int64_t turn = 0, turns = 1;
};

// kRows rows times one panel.
template <class S, class Group, int kRows>
class CodeTile {
 public:
  using F = typename S::F;
  using I = typename S::I;
  using Dots = DotsOf<S, Group>;
  static constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;
  // Vectors of a pass over the groups: all, where few rows leave room for their sums.
  static constexpr int kWidth =
      kRows * kVectors <= Dots::kRows * Dots::kVectors ? kVectors : Dots::kVectors;
  static constexpr int kHalfSteps = static_cast<int>(kSteps * Group::kCodeBytes) / Group::kHalves;
  static constexpr bool kTerms = kSumTerms<S, Group> || kStartTerms<S, Group>;

  template <bool kFetch>
  static void run(const PanelCall& call, const TileWork& work) {
    const int64_t groups = call.cols / 32;
    const int64_t from = work.from, count = work.to - from;
    constexpr int64_t kBytes = Group::kCodeBytes;
    const int8_t* codes = codes_of(call) + work.first * call.cols * kBytes + from * 32 * kBytes;
    const float* scales = call.scales + work.first * groups + from;
    const int32_t* sums = call.sums + work.first * groups + from;
    const float* terms = nullptr;
    if constexpr (kTerms) terms = call.terms + work.first * groups + from;
    for (int v = 0; v < kVectors; v += kWidth) {
      F sum[kRows][kWidth];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          sum[r][w] = from == 0 ? S::zero() : S::load(place(work, r, v + w));
        }
      }
      for (int64_t g = 0; g < count; ++g) {
        const Group group(work.panel, g);
        if constexpr (kFetch) {
          constexpr int kPasses = kVectors / kWidth;
          fetch_next(call, from + g, work.turn * kPasses + v / kWidth, work.turns * kPasses);
        }
        if (call.ahead) fetch_ahead(*call.ahead);
        const Rows rows{
            codes + g * 32 * kBytes, call.cols * kBytes, scales + g, sums + g, terms + g, groups};
        add_half<0>(group, v, rows, sum);
        if constexpr (Group::kHalves == 2) add_half<1>(group, v, rows, sum);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          if (work.to < groups) {
            S::store(place(work, r, v + w), sum[r][w]);
          } else {
            write_vector<S>(call, work.first + r, v + w, sum[r][w]);
          }
        }
      }
    }
  }

 private:
  static const int8_t* codes_of(const PanelCall& call) {
    if constexpr (Group::kCodeBytes == 1) return call.codes;
    return reinterpret_cast<const int8_t*>(call.words);
  }
  static float* place(const TileWork& work, int64_t row, int v) {
    return work.partial + (work.first + row) * kPanel + v * S::kLanes;
  }

  [[gnu::always_inline]] static void fetch_ahead(FetchAhead& ahead) {
    constexpr int64_t kLines = 2;
    if (ahead.run == ahead.end) return;
#pragma GCC unroll 4
    for (int64_t i = 0; i < kLines; ++i) S::fetch(ahead.at + i * 64);
    ahead.at += kLines * 64;
    if (ahead.at < ahead.run->to) return;
    ++ahead.run;
    if (ahead.run != ahead.end) ahead.at = ahead.run->from;
  }
  [[gnu::always_inline]] static void fetch_next(const PanelCall& call, int64_t group, int64_t turn,
                                                int64_t turns) {
    const std::byte* next = call.panel + call.panel_bytes;
    const std::byte* end = next + Group::File::offset(group + 1);
    next += Group::File::offset(group) + turn * 64;
    for (; next < end; next += turns * 64) S::fetch(next);
  }

  // A pair of s16 factors for the two 16-code sums of a group that picks half `half`.
  static constexpr int32_t pick(int half, int factor) {
    const auto low = static_cast<uint32_t>(static_cast<uint16_t>(factor));
    if (Group::kHalves == 1) return static_cast<int32_t>(low | low << 16);
    return static_cast<int32_t>(half == 0 ? low : low << 16);
  }

  // One group of the rows.
  struct Rows {
    const int8_t* codes;  // or words; rows are code_stride bytes apart, the others group_stride
    int64_t code_stride;
    const float* scales;
    const int32_t* sums;
    const float* terms;  // only with kTerms
    int64_t group_stride;

    I sums_of(int r) const { return S::broadcast(sums + r * group_stride); }
  };

  template <int kHalf>
  [[gnu::always_inline]] static void add_half(const Group& group, int v0, const Rows& rows,
                                              F (&sum)[kRows][kWidth]) {
    Dots dots[kRows][kWidth];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const I start = start_of<kHalf>(rows, r);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) dots[r][w].sum = start;
    }
    constexpr int kStep = kHalf * kHalfSteps;
    add_steps<kStep, kHalfSteps>(group, v0, rows.codes + kStep * 4, rows.code_stride, dots);
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      const F d = group.scale(kHalf, v0 + w);
      F start = S::zero();
      if constexpr (S::kSumsAsFloats) start = S::mul(d, S::set(-kFloatStart));
      F minimum = S::zero();
      if constexpr (Group::kMinima) minimum = group.minimum(kHalf, v0 + w);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        F part = start;
        if constexpr (S::kSumsAsFloats) {
          part = S::add_product(start, S::as_float(dots[r][w].sum), d);
        } else {
          part = S::mul(S::from_int(dots[r][w].sum), d);
        }
        if constexpr (Group::kMinima) {
          part = S::subtract_product(part, minimum, code_sum<kHalf>(rows, r));
        }
        sum[r][w] = S::add_product(sum[r][w], part, S::set(rows.scales[r * rows.group_stride]));
      }
    }
  }

  // What the sums of integers of row r begin with.
  template <int kHalf>
  [[gnu::always_inline]] static I start_of(const Rows& rows, int r) {
    if constexpr (kStartTerms<S, Group>) {
      return S::broadcast(rows.terms + r * rows.group_stride);
    } else if constexpr (S::kSumsAsFloats) {
      const I start = S::set_int(kFloatStartBits);
      if constexpr (Group::kZero == 0) return start;
      return S::add_dot_pairs(start, rows.sums_of(r), S::set_int(pick(kHalf, -Group::kZero)));
    } else {
      if constexpr (Group::kZero == 0) return S::zero_int();
      return S::dot_pairs(rows.sums_of(r), S::set_int(pick(kHalf, -Group::kZero)));
    }
  }

  // The sum of the codes of row r.
  template <int kHalf>
  [[gnu::always_inline]] static F code_sum(const Rows& rows, int r) {
    if constexpr (kSumTerms<S, Group>) {
      return S::set(rows.terms[r * rows.group_stride]);
    } else {
      return S::from_int(S::dot_pairs(rows.sums_of(r), S::set_int(pick(kHalf, 1))));
    }
  }

  template <int kStep, int kCount>
  [[gnu::always_inline]] static void add_steps(const Group& group, int v0, const int8_t* codes,
                                               int64_t code_stride, Dots (&dots)[kRows][kWidth]) {
    typename S::B numbers[kWidth];
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) numbers[w] = group.template numbers<kStep>(v0 + w);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const I x = S::broadcast(codes + r * code_stride);
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        dots[r][w].template add<kStep % kHalfSteps>(numbers[w], x);
      }
    }
    if constexpr (kCount > 1) {
      add_steps<kStep + 1, kCount - 1>(group, v0, codes + 4, code_stride, dots);
    }
  }
};

// Terms of all rows of a call: S, or the starts of products with weights of that zero, which is
// not 0.
template <class S, int kZero>
void make_terms(const PanelCall& call, float* terms) {
  constexpr auto kFactor = static_cast<uint32_t>(static_cast<uint16_t>(kZero == 0 ? 1 : -kZero));
  constexpr auto kFactors = static_cast<int32_t>(kFactor << 16 | kFactor);
  const auto term = [](typename S::I pairs) {
    if constexpr (kZero == 0) {
      return S::from_int(S::dot_pairs(pairs, S::set_int(kFactors)));
    } else {
      const typename S::I start = S::set_int(kFloatStartBits);
      return S::as_float(S::add_dot_pairs(start, pairs, S::set_int(kFactors)));
    }
  };
  const int64_t count = call.rows * (call.cols / 32);
  int64_t i = 0;
  for (; i + S::kLanes <= count; i += S::kLanes) {
    S::store(terms + i, term(S::load_ints(call.sums + i)));
  }
  for (; i < count; ++i) S::store_part(terms + i, term(S::broadcast(call.sums + i)), 1);
}

// PanelCall::words of a call.
template <class S>
void widen_codes(const PanelCall& call, int16_t* words) {
  const int64_t count = call.rows * call.cols;
  for (int64_t i = 0; i < count; i += 4 * S::kLanes) {
    S::store_widened(words + i, S::load_bytes(reinterpret_cast<const std::byte*>(call.codes + i)));
  }
}

template <class S, class Group, bool kFetch, int kRows>
void run_code_tile(const PanelCall& call, int64_t rows, const TileWork& work) {
  if (rows == kRows) {
    CodeTile<S, Group, kRows>::template run<kFetch>(call, work);
  } else if constexpr (kRows > 1) {
    run_code_tile<S, Group, kFetch, kRows - 1>(call, rows, work);
  }
}

// The rows of a call in tiles as equal as can be. With kFetch they fetch the next panel: each its
// part, or the first all of it.
template <class S, class Group, bool kFetch>
void run_code_tiles(const PanelCall& call, TileWork work) {
  constexpr int kRows = DotsOf<S, Group>::kRows;
  const int64_t tiles = (call.rows + kRows - 1) / kRows;
  int64_t tile = 0;
  const auto rows_left = [&] {
    return (call.rows - work.first + tiles - tile - 1) / (tiles - tile);
  };
  if constexpr (kFetch && !S::kFetchInParts) {
    const int64_t rows = rows_left();
    run_code_tile<S, Group, true, kRows>(call, rows, work);
    work.first = rows;
    tile = 1;
  }
  work.turns = tiles;
  for (; tile < tiles; ++tile) {
    const int64_t rows = rows_left();
    work.turn = tile;
    run_code_tile<S, Group, kFetch && S::kFetchInParts, kRows>(call, rows, work);
    work.first += rows;
  }
}

// Calls visit(from, to) for runs of groups that fit the first-level cache once they are expanded to
// Numbers: as few as can be, of equal length, and of whole super-blocks.
template <class Numbers, class Visit>
[[gnu::always_inline]] inline void each_run(int64_t groups, const Visit& visit) {
  constexpr int64_t kSuper = Numbers::File::kLayout.groups();
  constexpr int64_t kMost = kRunBytes / (kSuper * Numbers::kBytes);
  static_assert(kMost > 0);
  const int64_t supers = groups / kSuper;
  const int64_t runs = (supers + kMost - 1) / kMost;
  for (int64_t run = 0; run < runs; ++run) {
    visit(supers * run / runs * kSuper, supers * (run + 1) / runs * kSuper);
  }
}

// For many rows: a run of groups is expanded once and then read by all tiles, whose sums wait in
// the scratch from run to run.
template <class S, class Numbers>
void expanded_product(const PanelCall& call) {
  auto* partial = reinterpret_cast<float*>(call.scratch + kRunBytes);
  each_run<Numbers>(call.cols / 32, [&](int64_t from, int64_t to) {
    Numbers::expand(call.panel, from, to, call.scratch);
    run_code_tiles<S, Numbers, S::kFetchInParts>(
        call, {.panel = call.scratch, .from = from, .to = to, .partial = partial});
  });
}

// Whether products with weights of that type are of words.
template <class S, DType D>
constexpr bool kAsWords = S::kWordProducts&& FileGroup<S, D>::kMost > 127;

template <class S, DType D>
void code_product(const PanelCall& call) {
  using File = FileGroup<S, D>;
  using Expanded = ExpandedGroup<S, File>;
  using Group = std::conditional_t<kAsWords<S, D>, WordGroup<S, File>, File>;
  using Numbers = std::conditional_t<kAsWords<S, D>, WordGroup<S, Expanded>, Expanded>;
  constexpr CodeLayout kLayout = code_layout(D);
  // Numbers that take work to put together are worth expanding for fewer rows than nibbles.
  constexpr bool kPieces = kLayout.planes > 0 || kLayout.halves > 1;
  constexpr int64_t kExpandRows = kLayout.low_bits == 8 ? S::kExpandRowsOfBytes
                                  : kPieces             ? S::kExpandRowsOfPieces
                                                        : S::kExpandRows;
  if constexpr (kExpandRows > 1) {
    if (call.rows < kExpandRows) {
      return run_code_tiles<S, Group, true>(call, {.panel = call.panel, .to = call.cols / 32});
    }
  }
  if constexpr (kExpandRows < kNever) expanded_product<S, Numbers>(call);
}

// Calls visit with each type of quantized weights as its template argument.
template <class Visit>
[[gnu::always_inline]] inline void each_code_type(const Visit& visit) {
  const auto all = [&]<DType... kTypes>() {
    (visit.template operator()<kTypes>(), ...);
  };
  all.template operator()<DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                          DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K,
                          DType::kIQ4_NL, DType::kIQ4_XS>();
}

}  // namespace mill::tensor
