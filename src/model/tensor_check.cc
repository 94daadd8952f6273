// check_tensors of config.h: the file's tensors against the switches.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

#include "model/config.h"
#include "model/gguf.h"
#include "tensor/reference/dequantize.h"

namespace mill::model {
namespace {

using Shape = std::vector<int64_t>;  // in the file's order

class TensorCheck {
 public:
  explicit TensorCheck(const Gguf& file) : file_(file) {}

  Status need(const std::string& name, const Shape& shape) {
    known_.insert(name);
    const GgufTensor* tensor = file_.find(name);
    if (tensor == nullptr)
      return fail(Code::kCorrupt,
                  fmt::format("the model file has no tensor {}, of shape [{}]", name,
                              fmt::join(shape, ", ")),
                  name);
    if (static_cast<size_t>(tensor->rank) != shape.size() ||
        !std::equal(shape.begin(), shape.end(), tensor->shape.begin()))
      return fail(Code::kCorrupt,
                  fmt::format("tensor {} has the shape {}; [{}] is needed", name,
                              shape_text(*tensor), fmt::join(shape, ", ")),
                  name);
    return {};
  }

  Status need_if(bool needed, const std::string& name, const Shape& shape) {
    return needed ? need(name, shape) : Status{};
  }

  // A tensor that no switch asks for would be left out of the arithmetic, silently.
  Status refuse_others() const {
    for (const GgufTensor& tensor : file_.tensors())
      if (!known_.contains(std::string(tensor.name)))
        return fail(
            Code::kUnsupported,
            fmt::format("the model file has a tensor {} that this architecture does not use",
                        shown(tensor.name)),
            std::string(tensor.name));
    return {};
  }

 private:
  const Gguf& file_;
  std::unordered_set<std::string> known_;
};

Status check_layer(TensorCheck& check, const DecoderConfig& config, int32_t layer) {
  const auto at = [&](std::string_view part) { return fmt::format("blk.{}.{}", layer, part); };
  const int64_t dim = config.dim;
  const int64_t head_dim = config.heads.head_dim;
  const int64_t q_dim = config.heads.heads * head_dim;
  const int64_t kv_dim = config.heads.kv_heads * head_dim;
  MILL_TRY_DO(check.need(at("attn_norm.weight"), {dim}));
  MILL_TRY_DO(check.need(at("attn_q.weight"), {dim, q_dim}));
  MILL_TRY_DO(check.need(at("attn_k.weight"), {dim, kv_dim}));
  MILL_TRY_DO(check.need(at("attn_v.weight"), {dim, kv_dim}));
  MILL_TRY_DO(check.need(at("attn_output.weight"), {q_dim, dim}));
  MILL_TRY_DO(check.need_if(config.qkv_bias, at("attn_q.bias"), {q_dim}));
  MILL_TRY_DO(check.need_if(config.qkv_bias, at("attn_k.bias"), {kv_dim}));
  MILL_TRY_DO(check.need_if(config.qkv_bias, at("attn_v.bias"), {kv_dim}));
  MILL_TRY_DO(check.need_if(config.qk_norm, at("attn_q_norm.weight"), {head_dim}));
  MILL_TRY_DO(check.need_if(config.qk_norm, at("attn_k_norm.weight"), {head_dim}));
  MILL_TRY_DO(check.need_if(config.sandwich_norms, at("post_attention_norm.weight"), {dim}));
  MILL_TRY_DO(check.need(at("ffn_norm.weight"), {dim}));
  MILL_TRY_DO(check.need(at("ffn_gate.weight"), {dim, config.ffn_dim}));
  MILL_TRY_DO(check.need(at("ffn_up.weight"), {dim, config.ffn_dim}));
  MILL_TRY_DO(check.need(at("ffn_down.weight"), {config.ffn_dim, dim}));
  return check.need_if(config.sandwich_norms, at("post_ffw_norm.weight"), {dim});
}

// The factors of llama3 scaling divide the frequencies: none may be zero, negative or not a number.
Status check_rope_factors(const GgufTensor& tensor) {
  std::vector<float> factors(static_cast<size_t>(tensor.cols()));
  tensor::dequantize_row(tensor.dtype, tensor.data.data(), factors);
  for (const float factor : factors)
    if (!(factor > 0.0F && std::isfinite(factor)))
      return fail(Code::kCorrupt,
                  fmt::format("tensor {} has the factor {}; only positive ones are possible",
                              tensor.name, factor),
                  std::string(tensor.name));
  return {};
}

}  // namespace

Status check_tensors(const Gguf& file, const DecoderConfig& config) {
  TensorCheck check(file);
  MILL_TRY_DO(check.need("token_embd.weight", {config.dim, config.vocabulary}));
  MILL_TRY_DO(check.need("output_norm.weight", {config.dim}));
  MILL_TRY_DO(check.need_if(!config.tied_head, "output.weight", {config.dim, config.vocabulary}));
  const GgufTensor* factors = file.find("rope_freqs.weight");
  if (factors != nullptr && config.architecture == "llama") {
    MILL_TRY_DO(check.need("rope_freqs.weight", {config.rope.dims / 2}));
    MILL_TRY_DO(check_rope_factors(*factors));
  }
  for (int32_t layer = 0; layer < config.layers; ++layer)
    MILL_TRY_DO(check_layer(check, config, layer));
  return check.refuse_others();
}

}  // namespace mill::model
