// Factors that make the keys of a head alike in size, so that 8 bits with one scale per token keep
// them well: some models have dimensions that are a hundred times the others.
//
// A score is the same with keys divided, and queries multiplied, by a factor per dimension (as
// SmoothQuant does between activations and weights: Xiao et al., arXiv 2211.10438). The factors
// come from the weights alone, so a token's key depends on this token alone.
#pragma once

#include <span>
#include <vector>

#include "model/config.h"
#include "tensor/backend.h"

namespace mill::model {

// What decides how large a layer's keys are. Vectors as in LayerWeights.
struct KeyMakers {
  tensor::Weight weight;              // [kv_heads * head_dim, dim]
  std::span<const float> input_norm;  // [dim], of what the weight multiplies
  std::span<const float> bias;        // [kv_heads * head_dim] or empty
  std::span<const float> head_norm;   // [head_dim] or empty
};

// [kv_heads * head_dim] what queries are multiplied by, and keys divided: a power of the size
// expected of a key's dimension. The same for both of a pair that `rope` rotates together.
std::vector<float> query_factors(const KeyMakers& makers, const tensor::HeadShape& shape,
                                 const RopeConfig& rope);

}  // namespace mill::model
