// What kind of decoder a model file describes: one struct of switches for every architecture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/backend.h"

namespace mill::model {

class Gguf;

// How positions are rotated into queries and keys (RoPE: Su et al., arXiv 2104.09864).
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kYarn };  // YaRN: Peng et al., arXiv 2309.00071
  double theta = 10000.0;    // base of the frequencies
  int32_t dims = 0;          // rotated entries of a head, even; the rest passes unchanged
  bool half_split = false;   // pairs (i, i + dims/2), else (2i, 2i + 1)
  Scaling scaling = Scaling::kNone;
  double factor = 1.0;             // kLinear, kYarn: how much longer the context became
  double attention_factor = 1.0;   // kYarn: on cos and sin, before YaRN's own magnitude
  double beta_fast = 32.0, beta_slow = 1.0;  // kYarn
  int64_t original_context = 0;              // kYarn
  // The factors of a "rope_freqs.weight" tensor (llama3 scaling) divide the frequencies, whatever `scaling` says.
};

struct DecoderConfig {
  std::string architecture;  // "llama", "qwen2", "qwen3", "gemma3"
  std::string name;          // general.name, may be empty
  int64_t vocabulary = 0;
  int64_t dim = 0;           // of the residual stream
  int64_t ffn_dim = 0;
  int32_t layers = 0;
  tensor::HeadShape heads;
  int64_t context_tokens = 0;  // that the model was made for
  float norm_eps = 1e-5F;

  RopeConfig rope;        // layers without a window
  RopeConfig local_rope;  // layers with one (the same as `rope` where the family has one kind only)
  int64_t window = 0;              // tokens that a windowed layer sees
  std::vector<bool> windowed;      // [layers]

  bool qkv_bias = false;
  bool qk_norm = false;            // RMS norm per head of q and k, before the rotation
  bool sandwich_norms = false;     // a second norm behind attention and behind the feed-forward
  bool tied_head = false;          // the output matrix is the embedding
  tensor::Gate gate = tensor::Gate::kSilu;
  float embedding_scale = 1.0F;
  float attention_scale = 0.0F;    // on q·k
  float attention_softcap = 0.0F;  // 0: none
  float final_softcap = 0.0F;      // 0: none
};

// Reads and bounds every hyper-parameter. Fails with kUnsupported for another architecture (by name) and kCorrupt for a value that
// is missing, of the wrong type or out of bounds (by key).
Result<DecoderConfig> decoder_config_of(const Gguf& file);

// Every tensor that `config` needs is there with the shape it must have; errors name the tensor and both shapes.
Status check_tensors(const Gguf& file, const DecoderConfig& config);

}  // namespace mill::model
