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

template <class S>
class Coder {
 public:
  using F = typename S::F;
  using I = typename S::I;

  // `highest`: the largest magnitude of all numbers to come. Below 1e-36 all count as 0. A NaN or
  // infinity makes the scale one.
  explicit Coder(float highest)
      : highest_(highest), inverse_(S::set(highest > 1e-36F ? kMost / highest : 0.0F)) {
#pragma GCC unroll 4
    for (int k = 0; k < kTried; ++k) errors_[k] = S::zero_int();
    xq_ = qq_ = S::zero_int();
  }

  // Two vectors of numbers as words: those of `low` in the low halves of the lanes.
  I words(F low, F high) const {
    return S::join_words(S::to_int(S::mul(low, inverse_)), S::to_int(S::mul(high, inverse_)));
  }
  // First all words are weighed, then one choice is made, then they are coded.
  void weigh(I words) {
    add_error(0, words);
#pragma GCC unroll 4
    for (int k = 1; k < kTried; ++k) add_error(k, S::scale_words(words, S::set_int(factor(k))));
  }
  void choose() {
    int best = 0;
    int64_t least = kWeights[0] * S::sum_int(errors_[0]);
#pragma GCC unroll 4
    for (int k = 1; k < kTried; ++k) {
      const int64_t error = kWeights[k] * S::sum_int(errors_[k]);
      best = error < least ? k : best;
      least = error < least ? error : least;
    }
    factor_ = S::set_int(factor(best));
  }
  // The codes, as words.
  I code(I words) {
    const I codes = S::round_words(S::scale_words(words, factor_));
    xq_ = S::add_int(xq_, S::dot_pairs(words, codes));
    qq_ = S::add_int(qq_, S::dot_pairs(codes, codes));
    return codes;
  }
  // After the last code.
  float scale() const {
    // In 512 numbers at a time, sum(x q) stays below 2^31.
    const int32_t xq = S::sum_int(xq_), qq = S::sum_int(qq_);
    const float words = qq > 0 ? static_cast<float>(xq) / static_cast<float>(qq) : 256.0F;
    return words * (highest_ / kMost);
  }

 private:
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
  void add_error(int k, I words) {
    const I off = S::low_bytes(words);
    errors_[k] = S::add_int(errors_[k], S::dot_pairs(off, off));
  }

  float highest_;
  F inverse_;
  I errors_[kTried];
  I factor_;
  I xq_, qq_;
};

// A group of 32 values as codes. `sum` gets the sums of the two halves of the group, as two s16
// (the first half low).
template <class S>
void encode_group(const typename S::F (&x)[32 / S::kLanes], int8_t* codes, float* scale,
                  int32_t* sum) {
  constexpr int kVectors = 32 / S::kLanes;
  using I = typename S::I;
  // Magnitudes compare as integers, so that a NaN is the highest.
  I top = S::magnitude(x[0]);
#pragma GCC unroll 8
  for (int v = 1; v < kVectors; ++v) top = S::max_int(top, S::magnitude(x[v]));
  Coder<S> coder(std::bit_cast<float>(S::highest_int(top)));
  // Vector v beside vector v + kVectors / 2, so that a lane's words are of one half each.
  I words[kVectors / 2];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors / 2; ++v) {
    words[v] = coder.words(x[v], x[v + kVectors / 2]);
    coder.weigh(words[v]);
  }
  coder.choose();
  I sums = S::zero_int();
#pragma GCC unroll 4
  for (int v = 0; v < kVectors / 2; ++v) {
    const I code = coder.code(words[v]);
    S::store_codes(codes + v * S::kLanes, S::low_words(code));
    S::store_codes(codes + (v + kVectors / 2) * S::kLanes, S::high_words(code));
    sums = S::add_words(sums, code);
  }
  *scale = coder.scale();
  *sum = S::sum_words(sums);
}

// The largest magnitude, or a NaN where there is one: magnitudes compare as integers.
template <class S>
float highest(const float* from, int64_t count) {
  typename S::I top = S::zero_int();
  for (int64_t i = 0; i < count; i += S::kLanes) {
    const int lanes = static_cast<int>(count - i < S::kLanes ? count - i : S::kLanes);
    top = S::max_int(top, S::magnitude(S::load_part(from + i, lanes)));
  }
  return std::bit_cast<float>(S::highest_int(top));
}

template <class S>
void to_codes(const float* from, float inverse, int8_t* to, int64_t count) {
  for (int64_t i = 0; i < count; i += S::kLanes) {
    const int lanes = static_cast<int>(count - i < S::kLanes ? count - i : S::kLanes);
    S::store_codes(to + i, S::to_int(S::mul(S::load_part(from + i, lanes), S::set(inverse))));
  }
}

}  // namespace mill::tensor
