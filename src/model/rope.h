// The angles of rotary position embedding, with the scalings that files ask for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/config.h"

namespace mill::model {

// The rotation of one kind of layer: angle of pair i at position p is p * frequencies[i]; cos and sin are times magnitude.
class Rope {
 public:
  // `factors` divide the frequencies ("rope_freqs.weight", [dims / 2]); empty: none.
  Rope(const RopeConfig& config, std::span<const float> factors);

  int32_t dims() const { return static_cast<int32_t>(frequencies_.size()) * 2; }
  bool half_split() const { return half_split_; }
  // Writes [dims / 2] cosines and sines for one position. Computed in f64, so long contexts lose nothing.
  void angles(int64_t position, float* cos, float* sin) const;
  // Pair i's mean cosine and sine over the first `positions` positions.  Requires: positions > 0.
  struct Mean {
    double cos, sin;
  };
  Mean mean_angle(int32_t pair, int64_t positions) const;
  // What the cosines and sines are times.
  double magnitude() const { return magnitude_; }

 private:
  std::vector<double> frequencies_;  // [dims / 2] radians per token
  double magnitude_ = 1.0;
  bool half_split_ = false;
};

}  // namespace mill::model
