// What is done to keys so that 8 bits with one scale per token and head keep them well: some models
// have dimensions that are a hundred times the others.
//
// - A score is the same with keys divided, and queries multiplied, by a factor per dimension (as
//   SmoothQuant does between activations and weights: Xiao et al., arXiv 2211.10438). A cache of
//   codes spreads a head's rounding over all of its dimensions alike (tensor/kv_cache.h), in
//   proportion to the root of sum(k²/f²); a score takes it with the root of sum(q² f²). The product
//   is least at f² = |k| / |q|.
// - A vector taken off all keys of a head moves all scores of a query alike, which the softmax does
//   not see. So the part of a key that every token has is taken off: its bias, where the rotation
//   turns so slowly that it stays where it is.
//
// Both come from the weights alone, so a token's key depends on this token alone.
#pragma once

#include <span>
#include <vector>

#include "model/rope.h"
#include "tensor/backend.h"

namespace mill::model {

// What decides how large the keys (or the queries) of a layer are. Vectors as in LayerWeights.
struct HeadMakers {
  tensor::Weight weight;             // [heads * head_dim, dim]
  std::span<const float> bias;       // [heads * head_dim] or empty
  std::span<const float> head_norm;  // [head_dim] or empty
};

// [kv_heads * head_dim] each. Factors are the same for both of a pair that is rotated together.
struct KeyBalance {
  std::vector<float> query_factors;  // queries are multiplied by them, before the rotation
  std::vector<float> key_factors;    // keys likewise: 1 / query_factors
  std::vector<float> key_center;     // taken off such keys after the rotation; or empty
};

// `input_norm`: [dim], of what the weights multiply. `may_center`: nothing but a softmax reads the
// scores.
KeyBalance key_balance(const HeadMakers& queries, const HeadMakers& keys,
                       std::span<const float> input_norm, const tensor::HeadShape& shape,
                       const Rope& rope, bool may_center);

}  // namespace mill::model
