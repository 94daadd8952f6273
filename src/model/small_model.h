// A model file of one megabyte or so for each architecture, random, whose matrices may be
// quantized. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "model/gguf.h"
#include "model/gguf_builder.h"

namespace mill::model {

// A small model with random weights, its matrices F32 or, for a name like "llama Q8_0", Q8_0.
// `layers` layers; gemma3 with a window of 16 tokens.
class SmallModel {
 public:
  static constexpr int64_t kVocabulary = 96;
  static constexpr uint64_t kDim = 64, kFfn = 96, kHeads = 4, kKvHeads = 2, kHeadDim = 32;
  static constexpr int64_t kContext = 256;

  SmallModel(const std::string& kind, uint32_t layers)
      : architecture_(kind.substr(0, kind.find(' '))), quantized_(kind.find(" Q8_0") != kind.npos) {
    const std::string& architecture = architecture_;
    file_.set("general.architecture", architecture);
    const auto key = [&](const char* name) { return architecture + "." + name; };
    file_.set(key("block_count"), layers)
        .set(key("context_length"), static_cast<uint32_t>(kContext));
    file_.set(key("embedding_length"), static_cast<uint32_t>(kDim))
        .set(key("feed_forward_length"), static_cast<uint32_t>(kFfn));
    file_.set(key("attention.head_count"), static_cast<uint32_t>(kHeads))
        .set(key("attention.head_count_kv"), static_cast<uint32_t>(kKvHeads));
    file_.set(key("attention.key_length"), static_cast<uint32_t>(kHeadDim))
        .set(key("attention.value_length"), static_cast<uint32_t>(kHeadDim));
    file_.set(key("attention.layer_norm_rms_epsilon"), 1e-6F)
        .set(key("vocab_size"), static_cast<uint32_t>(kVocabulary));
    if (architecture == "gemma3") file_.set(key("attention.sliding_window"), uint32_t{16});
    matrix("token_embd.weight", {kDim, static_cast<uint64_t>(kVocabulary)});
    vector("output_norm.weight", kDim);
    for (uint32_t i = 0; i < layers; ++i) add_layer("blk." + std::to_string(i) + ".");
    if (architecture == "qwen2")
      matrix("output.weight", {kDim, static_cast<uint64_t>(kVocabulary)});
  }

  // As a file.
  std::vector<std::byte> bytes() const { return file_.build(); }

  std::shared_ptr<const Gguf> open() {
    bytes_ = file_.build();
    Result<Gguf> opened = Gguf::parse(bytes_);
    EXPECT_TRUE(opened) << opened.error().message;
    return std::make_shared<Gguf>(std::move(*opened));
  }

 private:
  void add_layer(const std::string& at) {
    constexpr uint64_t kQ = kHeads * kHeadDim, kKv = kKvHeads * kHeadDim;
    vector(at + "attn_norm.weight", kDim);
    vector(at + "ffn_norm.weight", kDim);
    matrix(at + "attn_q.weight", {kDim, kQ});
    matrix(at + "attn_k.weight", {kDim, kKv});
    matrix(at + "attn_v.weight", {kDim, kKv});
    matrix(at + "attn_output.weight", {kQ, kDim});
    matrix(at + "ffn_gate.weight", {kDim, kFfn});
    matrix(at + "ffn_up.weight", {kDim, kFfn});
    matrix(at + "ffn_down.weight", {kFfn, kDim});
    if (architecture_ == "qwen2") {
      vector(at + "attn_q.bias", kQ);
      vector(at + "attn_k.bias", kKv);
      vector(at + "attn_v.bias", kKv);
    }
    if (architecture_ == "qwen3" || architecture_ == "gemma3") {
      vector(at + "attn_q_norm.weight", kHeadDim);
      vector(at + "attn_k_norm.weight", kHeadDim);
    }
    if (architecture_ == "gemma3") {
      vector(at + "post_attention_norm.weight", kDim);
      vector(at + "post_ffw_norm.weight", kDim);
    }
  }

  void matrix(const std::string& name, std::vector<uint64_t> shape) {
    if (!quantized_) return random(name, std::move(shape), 0.0F, 0.1F);
    ByteWriter blocks;
    for (uint64_t i = 0; i < shape[0] * shape[1] / 32; ++i) {
      blocks.put(uint16_t{0x159D});  // 0.00137 as f16: a spread of 0.1 with uniform codes
      for (int code = 0; code < 32; ++code) blocks.put(static_cast<int8_t>(random_() % 255 - 127));
    }
    file_.add(name, tensor::DType::kQ8_0, std::move(shape), blocks.take());
  }
  void vector(const std::string& name, uint64_t size) { random(name, {size}, 1.0F, 0.2F); }
  void random(const std::string& name, std::vector<uint64_t> shape, float mean, float spread) {
    uint64_t count = 1;
    for (const uint64_t size : shape) count *= size;
    std::normal_distribution<float> draw(mean, spread);
    std::vector<float> values(count);
    for (float& value : values) value = draw(random_);
    file_.add(name, std::move(shape), values);
  }

  std::string architecture_;
  bool quantized_;
  GgufBuilder file_;
  std::vector<std::byte> bytes_;
  std::mt19937 random_{7};
};

}  // namespace mill::model
