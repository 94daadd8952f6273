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
#pragma once

#include <bit>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// One group of 32, in three steps that each wait for the sums of the one before: who codes several
// groups takes each step for all of them, so that the waiting overlaps.
template <class S>
class GroupCoder {
 public:
  using F = typename S::F;
  using I = typename S::I;
  static constexpr int kVectors = 32 / S::kLanes;

  // Weighs the scales. With all magnitudes below 1e-36 all numbers count as 0. A NaN or infinity
  // makes the scale one.
  [[gnu::always_inline]] explicit GroupCoder(const F (&x)[kVectors]) {
    // Magnitudes compare as integers, so that a NaN is the highest.
    I top = S::magnitude(x[0]);
#pragma GCC unroll 8
    for (int v = 1; v < kVectors; ++v) top = S::max_int(top, S::magnitude(x[v]));
    highest_ = std::bit_cast<float>(S::highest_int(top));
    const F inverse = S::set(highest_ > 1e-36F ? kMost / highest_ : 0.0F);
    I errors[kTried];
#pragma GCC unroll 4
    for (int k = 0; k < kTried; ++k) errors[k] = S::zero_int();
#pragma GCC unroll 4
    for (int v = 0; v < kHalf; ++v) {
      // Vector v beside vector v + kHalf, so that a lane's words are of one half each.
      words_[v] =
          S::join_words(S::to_int(S::mul(x[v], inverse)), S::to_int(S::mul(x[v + kHalf], inverse)));
      add_error(errors[0], words_[v]);
#pragma GCC unroll 4
      for (int k = 1; k < kTried; ++k) {
        add_error(errors[k], S::scale_words(words_[v], S::set_int(factor(k))));
      }
    }
    S::store_sums(errors[0], errors[1], errors[2], errors[3], errors_);
  }

  [[gnu::always_inline]] void choose() {
    // The number of the scale below the error's bits, so that there is nothing to branch on (which
    // scale is nearest is chance); of equals the first.
    int64_t least = kWeights[0] * errors_[0] * kTried;
#pragma GCC unroll 4
    for (int k = 1; k < kTried; ++k) {
      const int64_t error = kWeights[k] * errors_[k] * kTried + k;
      least = error < least ? error : least;
    }
    factor_ = kFactors[least & (kTried - 1)];
  }

  // `sum` gets the sums of the two halves of the group, as two s16 (the first half low).
  [[gnu::always_inline]] void code(int8_t* codes, float* scale, int32_t* sum) const {
    const I factor = S::set_int(factor_);
    I coded[kHalf];
    I xq = S::zero_int(), qq = S::zero_int(), sums = S::zero_int();
#pragma GCC unroll 4
    for (int v = 0; v < kHalf; ++v) {
      coded[v] = S::round_words(S::scale_words(words_[v], factor));
      xq = S::add_int(xq, S::dot_pairs(words_[v], coded[v]));
      qq = S::add_int(qq, S::dot_pairs(coded[v], coded[v]));
      sums = S::add_words(sums, coded[v]);
    }
    S::store_group(codes, coded);
    alignas(16) int32_t all[4];
    S::store_sums(xq, qq, S::low_words(sums), S::high_words(sums), all);
    *sum = static_cast<int32_t>(static_cast<uint32_t>(all[3]) << 16 |
                                (static_cast<uint32_t>(all[2]) & 0xffffU));
    const float words =
        all[1] > 0 ? static_cast<float>(all[0]) / static_cast<float>(all[1]) : 256.0F;
    *scale = words * (highest_ / kMost);
  }

 private:
  static constexpr int kHalf = kVectors / 2;
  static constexpr float kMost = 127 * 256;
  static constexpr int kTried = 4;
  // (127 / (127 - k))² in 1/65536: what an error in codes is worth in numbers.
  static constexpr int64_t kWeights[kTried] = {65536, 66580, 67650, 68745};

  // (127 - k) / 127 in 1/32768, in both words; short of 1 for k = 0, which changes a word by 1 at
  // most.
  static constexpr int32_t factor(int k) {
    const int32_t part = k == 0 ? 32767 : (32768 * (127 - k) + 63) / 127;
    return part << 16 | part;
  }
  static constexpr int32_t kFactors[kTried] = {factor(0), factor(1), factor(2), factor(3)};
  [[gnu::always_inline]] static void add_error(I& error, I words) {
    const I off = S::low_bytes(words);
    error = S::add_int(error, S::dot_pairs(off, off));
  }

  float highest_;  // magnitude
  int32_t factor_ = 0;
  alignas(16) int32_t errors_[kTried];
  I words_[kHalf];
};

// The first `lanes` of them; the others read as 0.
template <class S>
typename S::F load_lanes(const float* p, int lanes) {
  return lanes == S::kLanes ? S::load(p) : S::load_part(p, lanes);
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
