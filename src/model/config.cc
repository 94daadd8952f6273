#include "model/config.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "model/gguf.h"
#include "model/vocabulary_check.h"

namespace mill::model {
namespace {

// Bounds of what a file may ask for. Far beyond every model there is, and small enough that no
// product of a few overflows.
constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxDim = 1 << 16;
constexpr int64_t kMaxFfnDim = 1 << 20;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxContext = 1 << 27;
constexpr int64_t kMaxVocabulary = 1 << 20;

// What sets one architecture apart and is not in the file.
struct Family {
  std::string_view name;
  bool half_split = false;
  bool qk_norm = false;
  bool sandwich_norms = false;
  bool windows = false;
  bool scaled_embedding = false;
  tensor::Gate gate = tensor::Gate::kSilu;
};

constexpr Family kFamilies[] = {
    {.name = "llama"},
    {.name = "qwen2", .half_split = true},
    {.name = "qwen3", .half_split = true, .qk_norm = true},
    {.name = "gemma3",
     .half_split = true,
     .qk_norm = true,
     .sandwich_norms = true,
     .windows = true,
     .scaled_embedding = true,
     .gate = tensor::Gate::kGeluTanh},
};

const Family* family_of(std::string_view architecture) {
  for (const Family& family : kFamilies)
    if (family.name == architecture) return &family;
  return nullptr;
}

tl::unexpected<Error> unsupported(const std::string& key, std::string_view what) {
  return fail(Code::kUnsupported, fmt::format("{} ({})", what, shown(key)), key);
}

// For a value that cannot be done without: that it is absent is the file's fault.
Error corrupted(Error error) {
  if (error.code == Code::kNotFound) error.code = Code::kCorrupt;
  return error;
}

// The values under "<architecture>.", each held against its bounds.
class Keys {
 public:
  Keys(const Gguf& file, std::string architecture)
      : file_(file), prefix_(std::move(architecture) + ".") {}

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  bool has(std::string_view name) const { return file_.has(key(name)); }

  // A number in [least, most]; `fallback` when the key is absent, and an error without one. A list,
  // as files have it for models whose layers differ, is taken when all its elements are the same.
  Result<int64_t> integer(std::string_view name, int64_t least, int64_t most,
                          std::optional<int64_t> fallback = {}) const {
    const GgufValue* found = file_.find_value(key(name));
    if (found == nullptr && fallback) return *fallback;
    auto value = found != nullptr && found->is_array ? same_in_all_layers(key(name))
                                                     : file_.get<int64_t>(key(name));
    if (!value) return fail(corrupted(value.error()));
    if (*value < least || *value > most)
      return fail(Code::kCorrupt,
                  fmt::format("{} is {}; {} to {} is possible", key(name), *value, least, most),
                  key(name));
    return *value;
  }

  Result<double> real(std::string_view name, double least, double most,
                      std::optional<double> fallback = {}) const {
    if (!has(name) && fallback) return *fallback;
    const auto value = file_.get<float>(key(name));
    if (!value) return fail(corrupted(value.error()));
    if (!(*value >= least && *value <= most))
      return fail(Code::kCorrupt,
                  fmt::format("{} is {}; {} to {} is possible", key(name), *value, least, most),
                  key(name));
    return *value;
  }

  Result<std::string_view> text(std::string_view name, std::string_view fallback) const {
    auto value = file_.get_or<std::string_view>(key(name), fallback);
    if (!value) return fail(value.error());
    return value;
  }

  // The key is absent or says `usual`.
  Status only(std::string_view name, bool usual, std::string_view otherwise) const {
    const auto value = file_.get_or<bool>(key(name), usual);
    if (!value) return fail(value.error());
    if (*value != usual) return unsupported(key(name), otherwise);
    return {};
  }

 private:
  Result<int64_t> same_in_all_layers(const std::string& key) const {
    MILL_TRY(const std::vector<int64_t> values, file_.array<int64_t>(key));
    if (values.empty()) return fail(Code::kCorrupt, key + " is an empty list", key);
    for (const int64_t value : values)
      if (value != values.front())
        return unsupported(key, "layers of different shapes cannot be run here");
    return values.front();
  }

  const Gguf& file_;
  std::string prefix_;
};

Status read_sizes(const Gguf& file, const Keys& keys, DecoderConfig& config) {
  MILL_TRY(config.layers, keys.integer("block_count", 1, kMaxLayers));
  MILL_TRY(config.dim, keys.integer("embedding_length", 1, kMaxDim));
  MILL_TRY(config.ffn_dim, keys.integer("feed_forward_length", 1, kMaxFfnDim));
  MILL_TRY(config.context_tokens, keys.integer("context_length", 1, kMaxContext));
  MILL_TRY(const double eps, keys.real("attention.layer_norm_rms_epsilon", 0.0, 0.1));
  config.norm_eps = static_cast<float>(eps);
  MILL_TRY(const int64_t experts, keys.integer("expert_count", 0, 1 << 16, 0));
  if (experts > 0)
    return unsupported(keys.key("expert_count"), "mixtures of experts cannot be run here");
  MILL_TRY_DO(
      keys.only("attention.causal", true, "attention that is not causal cannot be run here"));

  MILL_TRY(config.vocabulary, vocabulary_size(file));
  if (config.vocabulary == 0) {
    MILL_TRY(config.vocabulary, keys.integer("vocab_size", 1, kMaxVocabulary));
  }
  return {};
}

Status read_heads(const Keys& keys, DecoderConfig& config) {
  MILL_TRY(const int64_t heads, keys.integer("attention.head_count", 1, kMaxHeads));
  MILL_TRY(const int64_t kv_heads, keys.integer("attention.head_count_kv", 1, kMaxHeads, heads));
  if (heads % kv_heads != 0)
    return fail(
        Code::kCorrupt,
        fmt::format("{} query heads cannot share {} key-value heads evenly", heads, kv_heads),
        keys.key("attention.head_count_kv"));
  if (!keys.has("attention.key_length") && config.dim % heads != 0)
    return fail(Code::kCorrupt,
                fmt::format("a width of {} cannot be split into {} heads", config.dim, heads),
                keys.key("attention.head_count"));
  const int64_t even_split = config.dim / heads;
  MILL_TRY(const int64_t key_dim, keys.integer("attention.key_length", 2, kMaxHeadDim, even_split));
  MILL_TRY(const int64_t value_dim,
           keys.integer("attention.value_length", 2, kMaxHeadDim, even_split));
  if (key_dim < 2 || key_dim > kMaxHeadDim || key_dim % 2 != 0)
    return fail(Code::kCorrupt,
                fmt::format("heads of {} values; an even number from 2 to {} is possible", key_dim,
                            kMaxHeadDim),
                keys.key("attention.key_length"));
  if (key_dim != value_dim)
    return unsupported(keys.key("attention.value_length"),
                       "keys and values of different lengths cannot be run here");
  config.heads = {.heads = static_cast<int32_t>(heads),
                  .kv_heads = static_cast<int32_t>(kv_heads),
                  .head_dim = static_cast<int32_t>(key_dim)};
  return {};
}

Status read_rope_scaling(const Keys& keys, const DecoderConfig& config, RopeConfig& rope) {
  MILL_TRY(const std::string_view type, keys.text("rope.scaling.type", "linear"));
  const char* factor_key =
      keys.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  MILL_TRY(rope.factor, keys.real(factor_key, 0.0, 1e6, 1.0));
  if (rope.factor == 0.0) rope.factor = 1.0;  // how files say "none"
  MILL_TRY(rope.attention_factor, keys.real("rope.scaling.attn_factor", 1e-3, 1e3, 1.0));
  if (type == "yarn") {
    rope.scaling = RopeConfig::Scaling::kYarn;
    if (rope.factor < 1.0)
      return fail(Code::kCorrupt,
                  fmt::format("a yarn factor of {}; 1 at least is needed", rope.factor),
                  keys.key(factor_key));
    MILL_TRY(rope.original_context, keys.integer("rope.scaling.original_context_length", 1,
                                                 kMaxContext, config.context_tokens));
    MILL_TRY(rope.beta_fast, keys.real("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32.0));
    MILL_TRY(rope.beta_slow, keys.real("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1.0));
    return {};
  }
  if (type != "linear" && type != "none")
    return unsupported(keys.key("rope.scaling.type"),
                       fmt::format("rope scaling of type {} cannot be run here", shown(type)));
  if (rope.attention_factor != 1.0)
    return unsupported(keys.key("rope.scaling.attn_factor"),
                       "a magnitude on the rotation is for yarn only");
  if (type == "linear" && rope.factor != 1.0) {
    rope.scaling = RopeConfig::Scaling::kLinear;
  } else {
    rope.factor = 1.0;
  }
  return {};
}

Status read_rope(const Keys& keys, const Family& family, DecoderConfig& config) {
  RopeConfig& rope = config.rope;
  rope.half_split = family.half_split;
  MILL_TRY(rope.theta, keys.real("rope.freq_base", 1.5, 1e12, 10000.0));
  const int64_t head_dim = config.heads.head_dim;
  MILL_TRY(const int64_t dims, keys.integer("rope.dimension_count", 2, head_dim, head_dim));
  if (dims % 2 != 0)
    return fail(Code::kCorrupt, fmt::format("{} rotated values; pairs are needed", dims),
                keys.key("rope.dimension_count"));
  rope.dims = static_cast<int32_t>(dims);
  MILL_TRY_DO(read_rope_scaling(keys, config, rope));
  config.local_rope = rope;
  return {};
}

// Which layers see a window only: every layer but each sixth (or whatever the file says), with
// their own unscaled rotation.
Status read_windows(const Gguf& file, const Keys& keys, DecoderConfig& config) {
  const auto layers = static_cast<size_t>(config.layers);
  config.windowed.assign(layers, false);
  MILL_TRY(config.window, keys.integer("attention.sliding_window", 0, kMaxContext, 0));
  if (config.window == 0) return {};
  const std::string pattern_key = keys.key("attention.sliding_window_pattern");
  const GgufValue* pattern = file.find_value(pattern_key);
  if (pattern != nullptr && pattern->is_array) {
    auto list = file.array<bool>(pattern_key);
    if (!list) return fail(std::move(list).error());
    if (list->size() != layers)
      return fail(
          Code::kCorrupt,
          fmt::format("{} has {} elements for {} layers", pattern_key, list->size(), layers),
          pattern_key);
    config.windowed = std::move(*list);
  } else {
    MILL_TRY(const int64_t period,
             keys.integer("attention.sliding_window_pattern", 1, kMaxLayers, 6));
    for (size_t i = 0; i < layers; ++i)
      config.windowed[i] = static_cast<int64_t>(i) % period != period - 1;
  }
  config.local_rope = {.dims = config.rope.dims, .half_split = config.rope.half_split};
  MILL_TRY(config.local_rope.theta, keys.real("rope.freq_base_swa", 1.5, 1e12, 10000.0));
  return {};
}

Status read_scales(const Keys& keys, const Family& family, DecoderConfig& config) {
  const auto dim = static_cast<float>(config.dim);
  if (family.scaled_embedding) config.embedding_scale = std::sqrt(dim);
  auto attention_dim = static_cast<float>(config.heads.head_dim);
  // Gemma 3 27B, known by its 62 layers, scales by width over heads instead of by the length of a
  // head.
  constexpr int32_t kGemma27bLayers = 62;
  if (family.name == "gemma3" && config.layers == kGemma27bLayers)
    attention_dim = static_cast<float>(config.dim / config.heads.heads);
  config.attention_scale = 1.0F / std::sqrt(attention_dim);
  MILL_TRY(const double attention_cap, keys.real("attn_logit_softcapping", 0.0, 1e6, 0.0));
  MILL_TRY(const double final_cap, keys.real("final_logit_softcapping", 0.0, 1e6, 0.0));
  config.attention_softcap = static_cast<float>(attention_cap);
  config.final_softcap = static_cast<float>(final_cap);
  return {};
}

}  // namespace

Result<DecoderConfig> decoder_config_of(const Gguf& file) {
  constexpr std::string_view kArchitecture = "general.architecture";
  const auto architecture = file.get<std::string_view>(kArchitecture);
  if (!architecture) return fail(corrupted(architecture.error()));
  const Family* family = family_of(*architecture);
  if (family == nullptr)
    return fail(Code::kUnsupported,
                fmt::format("models of the architecture {} cannot be run here; llama, qwen2, qwen3 "
                            "and gemma3 can",
                            shown(*architecture)),
                std::string(kArchitecture));
  DecoderConfig config;
  config.architecture = *architecture;
  const auto name = file.get_or<std::string_view>("general.name", "");
  if (!name) return fail(name.error());
  config.name = *name;
  config.qk_norm = family->qk_norm;
  config.sandwich_norms = family->sandwich_norms;
  config.gate = family->gate;
  config.qkv_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.tied_head = file.find("output.weight") == nullptr;

  const Keys keys(file, config.architecture);
  MILL_TRY_DO(read_sizes(file, keys, config));
  MILL_TRY_DO(read_heads(keys, config));
  MILL_TRY_DO(read_rope(keys, *family, config));
  config.windowed.assign(static_cast<size_t>(config.layers), false);
  if (family->windows) MILL_TRY_DO(read_windows(file, keys, config));
  MILL_TRY_DO(read_scales(keys, *family, config));
  return config;
}

}  // namespace mill::model
