// Turns a llama2.c checkpoint (version 0: "model.bin") and its tokenizer ("tok512.bin") into a GGUF
// file, for tests only.
//
// Formats: export.py and tokenizer.py of karpathy/llama2.c. Its query and key rows are in Meta's
// order, where neighbours rotate together: just what architecture "llama" means in GGUF, so nothing
// is permuted.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gguf_builder.h"

namespace mill::model {

// Takes values off the front of a file's bytes.
class Llama2cReader {
 public:
  explicit Llama2cReader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return bytes_.size(); }
  std::string_view take(size_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view out = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return out;
  }
  template <class T>
  T number() {
    T value = {};
    if (const std::string_view bytes = take(sizeof value); ok_)
      std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::vector<std::byte> floats(size_t count) {
    const auto bytes = std::as_bytes(std::span(take(count * sizeof(float))));
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

inline bool add_llama2c_vocabulary(GgufBuilder& file, std::string_view tokenizer, size_t count) {
  Llama2cReader in(tokenizer);
  in.number<int32_t>();  // the longest token's length
  std::vector<std::string> pieces;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (size_t i = 0; i < count && in.ok(); ++i) {
    scores.push_back(in.number<float>());
    const auto length = in.number<int32_t>();
    std::string piece;
    for (const char c : in.take(static_cast<size_t>(length))) {
      if (c == ' ') {
        piece += "\u2581";
      } else {
        piece += c;
      }
    }
    const bool byte = piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">");
    types.push_back(i == 0 ? 2 : i <= 2 ? 3 : byte ? 6 : 1);
    pieces.push_back(i == 1 ? "<s>" : i == 2 ? "</s>" : piece);
  }
  file.set("tokenizer.ggml.model", "llama")
      .set("tokenizer.ggml.tokens", pieces)
      .set("tokenizer.ggml.scores", scores)
      .set("tokenizer.ggml.token_type", types)
      .set("tokenizer.ggml.unknown_token_id", uint32_t{0})
      .set("tokenizer.ggml.bos_token_id", uint32_t{1})
      .set("tokenizer.ggml.eos_token_id", uint32_t{2})
      .set("tokenizer.ggml.add_bos_token", true)
      .set("tokenizer.ggml.add_eos_token", false)
      .set("tokenizer.ggml.add_space_prefix", true);
  return in.ok() && in.left() == 0;
}

struct Llama2cShape {
  uint64_t dim, hidden, layers, heads, kv_heads, vocabulary, context;
  bool tied;
};

// The checkpoint holds each kind of weight for all layers, one kind after another.
inline void add_llama2c_weights(GgufBuilder& file, Llama2cReader& in, const Llama2cShape& shape) {
  const uint64_t head_dim = shape.dim / shape.heads;
  const uint64_t kv_dim = shape.kv_heads * head_dim;
  const auto one = [&](const std::string& name, const std::vector<uint64_t>& sizes) {
    const uint64_t count = sizes.size() == 1 ? sizes[0] : sizes[0] * sizes[1];
    file.add(name, tensor::DType::kF32, sizes, in.floats(count));
  };
  const auto all_layers = [&](const std::string& part, const std::vector<uint64_t>& sizes) {
    for (uint64_t layer = 0; layer < shape.layers; ++layer)
      one("blk." + std::to_string(layer) + "." + part + ".weight", sizes);
  };
  one("token_embd.weight", {shape.dim, shape.vocabulary});
  all_layers("attn_norm", {shape.dim});
  all_layers("attn_q", {shape.dim, shape.dim});
  all_layers("attn_k", {shape.dim, kv_dim});
  all_layers("attn_v", {shape.dim, kv_dim});
  all_layers("attn_output", {shape.dim, shape.dim});
  all_layers("ffn_norm", {shape.dim});
  all_layers("ffn_gate", {shape.dim, shape.hidden});
  all_layers("ffn_down", {shape.hidden, shape.dim});
  all_layers("ffn_up", {shape.dim, shape.hidden});
  one("output_norm.weight", {shape.dim});
  in.floats(shape.context * head_dim);  // cosines and sines, which we compute
  if (!shape.tied) one("output.weight", {shape.dim, shape.vocabulary});
}

// Fails with kCorrupt when the bytes do not add up.
inline Result<GgufBuilder> gguf_of_llama2c(std::string_view checkpoint,
                                           std::string_view tokenizer) {
  Llama2cReader in(checkpoint);
  int32_t head[7] = {};
  for (int32_t& value : head) value = in.number<int32_t>();
  const auto u64 = [&](int i) { return static_cast<uint64_t>(std::abs(int64_t{head[i]})); };
  const Llama2cShape shape = {u64(0), u64(1), u64(2), u64(3), u64(4), u64(5), u64(6), head[5] > 0};
  if (!in.ok() || shape.heads == 0 || shape.dim % shape.heads != 0)
    return fail(Code::kCorrupt, "not a llama2.c checkpoint");
  GgufBuilder file;
  const auto u32 = [](uint64_t value) { return static_cast<uint32_t>(value); };
  file.set("general.architecture", "llama")
      .set("general.name", "stories")
      .set("llama.block_count", u32(shape.layers))
      .set("llama.context_length", u32(shape.context))
      .set("llama.embedding_length", u32(shape.dim))
      .set("llama.feed_forward_length", u32(shape.hidden))
      .set("llama.attention.head_count", u32(shape.heads))
      .set("llama.attention.head_count_kv", u32(shape.kv_heads))
      .set("llama.rope.dimension_count", u32(shape.dim / shape.heads))
      .set("llama.rope.freq_base", 10000.0F)
      .set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  if (!add_llama2c_vocabulary(file, tokenizer, shape.vocabulary))
    return fail(Code::kCorrupt, "the llama2.c tokenizer does not fit the checkpoint");
  add_llama2c_weights(file, in, shape);
  if (!in.ok() || in.left() != 0)
    return fail(Code::kCorrupt, "the llama2.c checkpoint is cut short");
  return file;
}

}  // namespace mill::model
