#include "model/decoder_weights.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/check.h"
#include "tensor/reference/dequantize.h"

namespace mill::model {
namespace {

const GgufTensor& tensor_of(const Gguf& file, const std::string& name) {
  const GgufTensor* tensor = file.find(name);
  MILL_CHECK(tensor != nullptr);
  return *tensor;
}

tensor::Weight weight_of(const GgufTensor& tensor) {
  return {tensor.dtype, tensor.rows(), tensor.cols(), tensor.data.data()};
}

tensor::Weight stored(const Gguf& file, const std::string& name) {
  return weight_of(tensor_of(file, name));
}

std::vector<float> vector_of(const Gguf& file, const std::string& name) {
  const tensor::Weight weight = stored(file, name);
  std::vector<float> values(static_cast<size_t>(weight.rows * weight.cols));
  tensor::dequantize_row(weight.dtype, weight.data, values);
  return values;
}

// A matrix to pack, and where the packed one is noted.
struct Job {
  const GgufTensor* source;
  tensor::Weight from;
  tensor::PackedMatrix* to;
};

void read_vectors(const Gguf& file, const DecoderConfig& config, DecoderWeights& weights) {
  weights.output_norm = vector_of(file, "output_norm.weight");
  if (file.find("rope_freqs.weight")) weights.rope_factors = vector_of(file, "rope_freqs.weight");
  for (int32_t i = 0; i < config.layers; ++i) {
    LayerWeights& layer = weights.layers[static_cast<size_t>(i)];
    const auto read = [&](const char* part) { return vector_of(file, fmt::format("blk.{}.{}", i, part)); };
    layer.attention_norm = read("attn_norm.weight");
    layer.ffn_norm = read("ffn_norm.weight");
    if (config.sandwich_norms) {
      layer.attention_post_norm = read("post_attention_norm.weight");
      layer.ffn_post_norm = read("post_ffw_norm.weight");
    }
    if (config.qk_norm) {
      layer.q_norm = read("attn_q_norm.weight");
      layer.k_norm = read("attn_k_norm.weight");
    }
    if (config.qkv_bias) {
      layer.q_bias = read("attn_q.bias");
      layer.k_bias = read("attn_k.bias");
      layer.v_bias = read("attn_v.bias");
    }
  }
}

std::vector<Job> jobs_of(const Gguf& file, const DecoderConfig& config, DecoderWeights& weights) {
  std::vector<Job> jobs;
  const auto add = [&](const std::string& name, tensor::PackedMatrix* to) {
    const GgufTensor& source = tensor_of(file, name);
    jobs.push_back({&source, weight_of(source), to});
  };
  // The largest first: while it is packed it is held twice.
  add(config.tied_head ? "token_embd.weight" : "output.weight", &weights.head);
  for (int32_t i = 0; i < config.layers; ++i) {
    LayerWeights& layer = weights.layers[static_cast<size_t>(i)];
    const std::pair<const char*, tensor::PackedMatrix*> parts[] = {
        {"attn_q", &layer.q},      {"attn_k", &layer.k}, {"attn_v", &layer.v},     {"attn_output", &layer.o},
        {"ffn_gate", &layer.gate}, {"ffn_up", &layer.up}, {"ffn_down", &layer.down}};
    for (const auto& [part, to] : parts) {
      add(fmt::format("blk.{}.{}.weight", i, part), to);
    }
  }
  return jobs;
}

void note_forms(const tensor::Backend& backend, DecoderWeights& weights) {
  weights.dim_forms = backend.form_read_by(weights.head);
  for (const LayerWeights& layer : weights.layers) {
    for (const auto* matrix : {&layer.q, &layer.k, &layer.v, &layer.gate, &layer.up}) {
      weights.dim_forms |= backend.form_read_by(*matrix);
    }
    weights.attention_forms |= backend.form_read_by(layer.o);
    weights.ffn_forms |= backend.form_read_by(layer.down);
  }
}

}  // namespace

Result<DecoderWeights> pack_weights(const Gguf& file, const DecoderConfig& config,
                                    const tensor::Backend& backend, tensor::ThreadPool& pool,
                                    const OnProgress& progress) {
  DecoderWeights weights;
  weights.layers.resize(static_cast<size_t>(config.layers));
  weights.embedding = stored(file, "token_embd.weight");
  read_vectors(file, config, weights);
  const std::vector<Job> jobs = jobs_of(file, config, weights);

  size_t total = 0;
  for (const Job& job : jobs) total += tensor::Arena::rounded(backend.packed_bytes(job.from));
  MILL_TRY(weights.arena, tensor::Arena::reserve(total));
  for (const Job& job : jobs) {
    const std::span<std::byte> room = weights.arena.take(backend.packed_bytes(job.from));
    pool.run([&](tensor::Team& team) {
      const tensor::PackedMatrix packed = backend.pack(team, job.from, room);
      if (team.index() == 0) *job.to = packed;
    });
    file.drop_pages(*job.source);
    const double share = static_cast<double>(weights.arena.used()) / static_cast<double>(total);
    if (progress && !progress(share)) return fail(Code::kCancelled, "the load was given up");
  }
  note_forms(backend, weights);
  return weights;
}

}  // namespace mill::model
