// The weights of a decoder, packed for one backend.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/load_options.h"
#include "tensor/arena.h"
#include "tensor/backend.h"

namespace mill::model {

// Of one layer. Vectors are f32; empty where the architecture has none.
struct LayerWeights {
  std::vector<float> attention_norm, ffn_norm;            // [dim]
  std::vector<float> attention_post_norm, ffn_post_norm;  // [dim], sandwich norms
  std::vector<float> q_norm, k_norm;                      // [head_dim]
  std::vector<float> q_bias, k_bias, v_bias;  // [heads * head_dim], [kv_heads * head_dim]
  std::vector<float> query_factors, key_factors, key_center;  // [kv_heads * head_dim] or empty
  tensor::PackedMatrix q, k, v, o;            // o: [dim, heads * head_dim]
  tensor::PackedMatrix gate, up, down;        // [ffn_dim, dim], [dim, ffn_dim]
};

struct DecoderWeights {
  std::vector<LayerWeights> layers;
  std::vector<float> output_norm;   // [dim]
  tensor::PackedMatrix head;        // [vocabulary, dim]
  std::vector<float> rope_factors;  // [rope.dims / 2] or empty
  tensor::Weight embedding;         // as stored, in the file
  tensor::Arena arena;              // holds all packed matrices
  bool from_cache = false;          // they were read from a PackedCache

  // The forms of activations that the products of each kind read (bits of tensor::kValues, kCodes).
  uint32_t dim_forms = 0;        // q, k, v, gate, up, head
  uint32_t attention_forms = 0;  // o
  uint32_t ffn_forms = 0;        // down
};

// The rows of a matrix that are packed at a time, from `first_row` on: what is packed piece by
// piece into consecutive room is the matrix packed as a whole.
tensor::Weight piece_of(const tensor::Weight& whole, int64_t first_row);

// Requires: check_tensors(file, config) is well. Fails with kOverloaded without memory, kCancelled
// when it was given up. What is packed leaves this process's share of the file's pages at once, so
// that the weights are never held twice. With a cache they are read from it where they are there, and
// kept in it where they are not.
Result<DecoderWeights> pack_weights(const Gguf& file, const DecoderConfig& config,
                                    const tensor::Backend& backend, tensor::ThreadPool& pool,
                                    const LoadOptions& options);

// Fills in the layers' query_factors, key_factors and key_center (key_balance.h), for a cache of
// 8-bit codes.
void balance_keys(const Gguf& file, const DecoderConfig& config, tensor::ThreadPool& pool,
                  DecoderWeights& weights);

}  // namespace mill::model
