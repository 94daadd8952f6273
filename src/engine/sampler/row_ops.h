// Passes over one row of logits, as long as the vocabulary. Each goes in chunks of kChunk so that
// the compiler can use vectors and so that what is looked for afterwards is looked for in one chunk
// only. Results are a function of the row alone, the same on every machine.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"

namespace mill::engine {

inline constexpr int64_t kChunk = 512;  // a multiple of kLanes
inline constexpr int64_t kLanes = 16;

// e^x for x <= 0, to about 1e-7 relative; 0 below -87.
inline float exp_of(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // exact in few bits, so that n * kLn2High is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = std::max(x, -87.0F);
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;  // |r| <= ln(2) / 2
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound) + 127;
  const float scale = std::bit_cast<float>(exponent << 23);
  return x < -87.0F ? 0.0F : p * scale;
}

struct Highest {
  float logit = 0.0F;
  TokenId token = kNoToken;  // the first with that logit
  bool finite = true;        // no NaN, no infinity in the row; else the others mean nothing
};
// Requires: `logits` is not empty.
Highest highest(std::span<const float> logits);

// sum_i e^((logits[i] - top) * scale).  Requires: top is the highest logit, scale > 0.
double sum_of_exp(std::span<const float> logits, float top, float scale);

// The same, and keeps the summands in `weights` and the sum of each chunk in `chunk_sums` (both are
// resized).
double weigh(std::span<const float> logits, float top, float scale, std::vector<float>& weights,
             std::vector<double>& chunk_sums);

struct Candidate {
  TokenId token = kNoToken;
  float logit = 0.0F;
  float weight = 0.0F;  // relative probability, where it is known
};

// Higher logits come first; of equal ones the lower token id.
inline bool before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// The `count` best tokens of a row, best first, by partial selection: one pass, and time for
// sorting only those kept.  Requires: 0 <= count.
void best_of(std::span<const float> logits, int64_t count, std::vector<Candidate>& best);

// All tokens with values[i] >= least, in order of their ids, with their logits.
void those_from(std::span<const float> logits, std::span<const float> values, float least,
                std::vector<Candidate>& found);

}  // namespace mill::engine
