// A complete model file of a few kilobytes for each architecture, with random weights. For tests
// and the fuzzer's seeds only.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf_builder.h"

namespace mill::model {

struct TinyShape {
  uint32_t layers = 2;
  uint32_t dim = 32;
  uint32_t ffn_dim = 64;
  uint32_t heads = 4;
  uint32_t kv_heads = 2;
  uint32_t head_dim = 8;
  uint32_t vocabulary = 300;  // 3 + 256 + some, at least
  uint32_t context = 128;
  uint32_t window = 16;  // of gemma3, in all layers but each sixth
};

// Adds F32 tensors of reproducible random values, near zero or (norms) near one.
class RandomTensors {
 public:
  explicit RandomTensors(GgufBuilder& file) : file_(file) {}

  void add(const std::string& name, std::vector<uint64_t> shape, float mean = 0.0F) {
    uint64_t count = 1;
    for (const uint64_t size : shape) count *= size;
    const float scale = 1.0F / std::sqrt(static_cast<float>(shape[0]));
    std::vector<float> values(count);
    for (float& value : values) value = mean + scale * next();
    file_.add(name, std::move(shape), values);
  }

 private:
  // Even in [-1, 1).
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<float>(static_cast<int32_t>(state_ >> 32)) * 0x1p-31F;
  }

  GgufBuilder& file_;
  uint64_t state_ = 20260801;
};

inline void add_tiny_vocabulary(GgufBuilder& file, uint32_t count) {
  std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    pieces.push_back(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">");
    types.push_back(6);
  }
  std::vector<float> scores(pieces.size(), 0.0F);
  while (pieces.size() < count) {
    scores.push_back(-static_cast<float>(pieces.size()));
    types.push_back(1);
    pieces.push_back("w" + std::to_string(pieces.size()));
  }
  file.set("tokenizer.ggml.model", "llama")
      .set("tokenizer.ggml.tokens", pieces)
      .set("tokenizer.ggml.scores", scores)
      .set("tokenizer.ggml.token_type", types)
      .set("tokenizer.ggml.bos_token_id", uint32_t{1})
      .set("tokenizer.ggml.eos_token_id", uint32_t{2});
}

// `architecture` is one that decoder_config_of knows. Weights F32, embedding tied, biases where the
// family has them.
inline GgufBuilder tiny_model(const std::string& architecture, const TinyShape& shape = {}) {
  GgufBuilder file;
  const auto key = [&](std::string_view name) { return architecture + "." + std::string(name); };
  file.set("general.architecture", architecture)
      .set("general.name", "tiny " + architecture)
      .set(key("block_count"), shape.layers)
      .set(key("context_length"), shape.context)
      .set(key("embedding_length"), shape.dim)
      .set(key("feed_forward_length"), shape.ffn_dim)
      .set(key("attention.head_count"), shape.heads)
      .set(key("attention.head_count_kv"), shape.kv_heads)
      .set(key("attention.key_length"), shape.head_dim)
      .set(key("attention.value_length"), shape.head_dim)
      .set(key("attention.layer_norm_rms_epsilon"), 1e-6F)
      .set(key("rope.freq_base"), 10000.0F);
  const bool gemma = architecture == "gemma3";
  if (gemma) file.set(key("attention.sliding_window"), shape.window);
  add_tiny_vocabulary(file, shape.vocabulary);

  RandomTensors tensors(file);
  const uint64_t dim = shape.dim;
  const uint64_t q_dim = uint64_t{shape.heads} * shape.head_dim;
  const uint64_t kv_dim = uint64_t{shape.kv_heads} * shape.head_dim;
  tensors.add("token_embd.weight", {dim, shape.vocabulary});
  tensors.add("output_norm.weight", {dim}, 1.0F);
  for (uint32_t layer = 0; layer < shape.layers; ++layer) {
    const auto at = [&](const char* part) { return "blk." + std::to_string(layer) + "." + part; };
    tensors.add(at("attn_norm.weight"), {dim}, 1.0F);
    tensors.add(at("attn_q.weight"), {dim, q_dim});
    tensors.add(at("attn_k.weight"), {dim, kv_dim});
    tensors.add(at("attn_v.weight"), {dim, kv_dim});
    tensors.add(at("attn_output.weight"), {q_dim, dim});
    tensors.add(at("ffn_norm.weight"), {dim}, 1.0F);
    tensors.add(at("ffn_gate.weight"), {dim, shape.ffn_dim});
    tensors.add(at("ffn_up.weight"), {dim, shape.ffn_dim});
    tensors.add(at("ffn_down.weight"), {shape.ffn_dim, dim});
    if (architecture == "qwen2") {
      tensors.add(at("attn_q.bias"), {q_dim});
      tensors.add(at("attn_k.bias"), {kv_dim});
      tensors.add(at("attn_v.bias"), {kv_dim});
    }
    if (architecture == "qwen3" || gemma) {
      tensors.add(at("attn_q_norm.weight"), {shape.head_dim}, 1.0F);
      tensors.add(at("attn_k_norm.weight"), {shape.head_dim}, 1.0F);
    }
    if (gemma) {
      tensors.add(at("post_attention_norm.weight"), {dim}, 1.0F);
      tensors.add(at("post_ffw_norm.weight"), {dim}, 1.0F);
    }
  }
  return file;
}

}  // namespace mill::model
