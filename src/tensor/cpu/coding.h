// Numbers as signed 8-bit codes with one f32 scale, near to them in the least squares.
// Templates over the vector type of an instruction set; see kernels.h.
//
// With the scale at largest magnitude / 127, how far the codes lie from the numbers is chance: for
// 32 numbers the sum of squares scatters by a sixth. So four scales are tried, by which the largest
// becomes 127, 126, 125 and 124, and the nearest is taken. Then the scale is fitted to its codes:
// sum(x q) / sum(q²) is the best there is. Together this takes a sixth off the squares of normally
// distributed numbers.
//
// Numbers are taken as 16-bit words, 256 for a code of 1, and all sums are of integers: so every
// instruction set chooses the same.
//
// As many groups are coded at a time as a vector has quads of four lanes, each in a quad of its
// own: most sums are then of vector with vector, and what a quad's lanes say of its group (the
// highest, the scale chosen) is found in two steps and stands in all four.
#pragma once

#include <bit>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// Where a group's codes go: places in ActivationRow, of its first column.
struct CodedGroup {
  int8_t* codes = nullptr;
  float* scale = nullptr;
  int32_t* sum = nullptr;  // the sums of the two halves, as two s16 (the first half low)
};

// kGroups groups of 32, in steps that each wait for what the one before found: who codes more takes
// each step for all of them, so that the waiting overlaps. What becomes of a group doesn't depend
// on the others.
template <class S>
class GroupCoder {
 public:
  using F = typename S::F;
  using I = typename S::I;
  static constexpr int kGroups = S::kLanes / 4;
  static constexpr int kVectors = 32 / S::kLanes;  // of one group
  static constexpr int kQuads = 8;                 // of one group; vectors of all

  // With all magnitudes below 1e-36 all numbers count as 0. A NaN or infinity makes the scale one.
  [[gnu::always_inline]] void take(const F (&x)[kQuads]) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      F each[kGroups];
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) each[g] = x[g * kVectors + v];
      S::exchange_quads(each);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) quads_[v * kGroups + g] = each[g];
    }
    // Magnitudes compare as integers, so that a NaN is the highest.
    I top = S::magnitude(quads_[0]);
#pragma GCC unroll 8
    for (int q = 1; q < kQuads; ++q) top = S::max_int(top, S::magnitude(quads_[q]));
    highest_ = S::as_float(S::highest_of_quad(top));
    inverse_ =
        S::choose_above(highest_, S::set(1e-36F), S::div(S::set(kMost), highest_), S::zero());
  }

  [[gnu::always_inline]] void weigh() {
#pragma GCC unroll 4
    for (int k = 0; k < kTried; ++k) errors_[k] = S::zero_int();
#pragma GCC unroll 4
    for (int v = 0; v < kHalf; ++v) {
      // Quad v beside quad v + kHalf, so that a lane's words are of one half each.
      words_[v] = S::join_words(S::to_int(S::mul(quads_[v], inverse_)),
                                S::to_int(S::mul(quads_[v + kHalf], inverse_)));
      S::add_low_squares(errors_[0], words_[v]);
#pragma GCC unroll 4
      for (int k = 1; k < kTried; ++k) {
        S::add_low_squares(errors_[k], S::scale_words(words_[v], S::set_int(factor(k))));
      }
    }
  }

  [[gnu::always_inline]] void choose() {
    // (127 / (127 - k))² is what an error in codes is worth in numbers; here in 1/65536, with room
    // for k in the two bits below. Of equals the first is taken.
    factor_ = S::template of_least<65536 * 4, 66580 * 4, 67650 * 4, 68745 * 4>(
        S::sums_of_quads(errors_[0], errors_[1], errors_[2], errors_[3]), kFactors);
  }

  [[gnu::always_inline]] void code(const CodedGroup (&to)[kGroups]) const {
    I coded[kHalf];
    I xq = S::zero_int(), qq = S::zero_int(), sums = S::zero_int();
#pragma GCC unroll 4
    for (int v = 0; v < kHalf; ++v) {
      coded[v] = S::round_words(S::scale_words(words_[v], factor_));
      S::add_pairs(xq, words_[v], coded[v]);
      S::add_pairs(qq, coded[v], coded[v]);
      sums = S::add_words(sums, coded[v]);
    }
    int8_t* codes[kGroups];
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) codes[g] = to[g].codes;
    S::store_groups(codes, coded);
    // Of each quad: xq, qq, the sum of the first half, that of the second.
    const I all = S::sums_of_quads(xq, qq, S::low_words(sums), S::high_words(sums));
    const F scale = S::mul(fitted(S::template from_quad<0>(all), S::template from_quad<1>(all)),
                           S::div(highest_, S::set(kMost)));
    const I halves = S::join_words(S::template from_quad<2>(all), S::template from_quad<3>(all));
    alignas(64) float scales[S::kLanes];
    alignas(64) int32_t joined[S::kLanes];
    S::store(scales, scale);
    S::store_ints(joined, halves);
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
      *to[g].scale = scales[4 * g];
      *to[g].sum = joined[4 * g];
    }
  }

 private:
  static constexpr int kHalf = kQuads / 2;
  static constexpr float kMost = 127 * 256;
  static constexpr int kTried = 4;

  // (127 - k) / 127 in 1/32768, in both words; short of 1 for k = 0, which changes a word by 1 at
  // most.
  static constexpr int32_t factor(int k) {
    const int32_t part = k == 0 ? 32767 : (32768 * (127 - k) + 63) / 127;
    return part << 16 | part;
  }
  static constexpr int32_t kFactors[kTried] = {factor(0), factor(1), factor(2), factor(3)};

  // In words per code; 256 where there are no codes.
  [[gnu::always_inline]] static F fitted(I xq, I qq) {
    const F codes = S::from_int(qq);
    return S::choose_above(codes, S::zero(), S::div(S::from_int(xq), codes), S::set(256.0F));
  }

  F quads_[kQuads];  // number q of each group
  F highest_;        // magnitude
  F inverse_;
  I errors_[kTried];
  I factor_;
  I words_[kHalf];
};

// The first `lanes` of them; the others read as 0.
template <class S>
typename S::F load_lanes(const float* p, int lanes) {
  return lanes == S::kLanes ? S::load(p) : S::load_part(p, lanes);
}

// To the first `lanes` of them.
template <class S>
void store_lanes(float* p, typename S::F x, int lanes) {
  if (lanes == S::kLanes) return S::store(p, x);
  S::store_part(p, x, lanes);
}

// The largest magnitude, or a NaN where there is one: magnitudes compare as integers.
template <class S>
float highest(const float* from, int64_t count) {
  typename S::I top = S::zero_int();
  for (int64_t i = 0; i < count; i += S::kLanes) {
    const int lanes = static_cast<int>(count - i < S::kLanes ? count - i : S::kLanes);
    top = S::max_int(top, S::magnitude(load_lanes<S>(from + i, lanes)));
  }
  return std::bit_cast<float>(S::highest_int(top));
}

template <class S>
void to_codes(const float* from, float inverse, int8_t* to, int64_t count) {
  for (int64_t i = 0; i < count; i += S::kLanes) {
    const int lanes = static_cast<int>(count - i < S::kLanes ? count - i : S::kLanes);
    S::store_codes(to + i, S::to_int(S::mul(load_lanes<S>(from + i, lanes), S::set(inverse))));
  }
}

}  // namespace mill::tensor
