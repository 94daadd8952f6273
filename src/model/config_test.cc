#include "model/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "model/gguf.h"
#include "model/tiny_model.h"

namespace mill::model {
namespace {

using Scaling = RopeConfig::Scaling;

// Loads what the builder made: the switches, and the tensors held against them.
Result<DecoderConfig> load(const GgufBuilder& builder) {
  const auto bytes = builder.build();
  MILL_TRY(const Gguf file, Gguf::parse(bytes));
  MILL_TRY(DecoderConfig config, decoder_config_of(file));
  MILL_TRY_DO(check_tensors(file, config));
  return config;
}

DecoderConfig loaded(const GgufBuilder& builder) {
  auto config = load(builder);
  if (config) return *std::move(config);
  ADD_FAILURE() << config.error().message;
  return {};
}

TEST(Config, Llama) {
  const DecoderConfig config = loaded(tiny_model("llama"));
  EXPECT_EQ(config.architecture, "llama");
  EXPECT_EQ(config.name, "tiny llama");
  EXPECT_EQ(config.vocabulary, 300);
  EXPECT_EQ(config.dim, 32);
  EXPECT_EQ(config.ffn_dim, 64);
  EXPECT_EQ(config.layers, 2);
  EXPECT_EQ(config.heads.heads, 4);
  EXPECT_EQ(config.heads.kv_heads, 2);
  EXPECT_EQ(config.heads.head_dim, 8);
  EXPECT_EQ(config.context_tokens, 128);
  EXPECT_EQ(config.norm_eps, 1e-6F);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_EQ(config.rope.dims, 8);
  EXPECT_FALSE(config.rope.half_split);
  EXPECT_EQ(config.rope.scaling, Scaling::kNone);
  EXPECT_EQ(config.window, 0);
  EXPECT_EQ(config.windowed, std::vector<bool>({false, false}));
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.qk_norm);
  EXPECT_FALSE(config.sandwich_norms);
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(config.gate, tensor::Gate::kSilu);
  EXPECT_EQ(config.embedding_scale, 1.0F);
  EXPECT_EQ(config.attention_scale, 1.0F / std::sqrt(8.0F));
  EXPECT_EQ(config.attention_softcap, 0.0F);
  EXPECT_EQ(config.final_softcap, 0.0F);
}

TEST(Config, Qwen2HasBiasesAndQwen3HeadNorms) {
  const DecoderConfig qwen2 = loaded(tiny_model("qwen2"));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  EXPECT_TRUE(qwen2.rope.half_split);
  // Qwen3's heads are longer than width over heads.
  const DecoderConfig qwen3 = loaded(tiny_model("qwen3", {.head_dim = 16}));
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_EQ(qwen3.heads.head_dim, 16);
  EXPECT_EQ(qwen3.rope.dims, 16);
  EXPECT_EQ(qwen3.attention_scale, 0.25F);
}

TEST(Config, Gemma3LooksThroughAWindowInFiveLayersOfSix) {
  const DecoderConfig config =
      loaded(tiny_model("gemma3", {.layers = 8}).set("gemma3.rope.freq_base", 1e6F));
  EXPECT_EQ(config.windowed, std::vector<bool>({true, true, true, true, true, false, true, true}));
  EXPECT_EQ(config.window, 16);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.local_rope.theta, 10000.0);
  EXPECT_EQ(config.local_rope.dims, 8);
  EXPECT_TRUE(config.local_rope.half_split);
  EXPECT_TRUE(config.sandwich_norms);
  EXPECT_TRUE(config.qk_norm);
  EXPECT_EQ(config.gate, tensor::Gate::kGeluTanh);
  EXPECT_EQ(config.embedding_scale, std::sqrt(32.0F));
}

TEST(Config, Gemma3ScalesItsGlobalLayersOnly) {
  const DecoderConfig config = loaded(tiny_model("gemma3")
                                          .set("gemma3.rope.scaling.type", "linear")
                                          .set("gemma3.rope.scaling.factor", 8.0F));
  EXPECT_EQ(config.rope.scaling, Scaling::kLinear);
  EXPECT_EQ(config.rope.factor, 8.0);
  EXPECT_EQ(config.local_rope.scaling, Scaling::kNone);
  EXPECT_EQ(config.local_rope.factor, 1.0);
}

TEST(Config, TheWindowPatternMayBeAPeriodOrAList) {
  EXPECT_EQ(loaded(tiny_model("gemma3", {.layers = 4})
                       .set("gemma3.attention.sliding_window_pattern", uint32_t{2}))
                .windowed,
            std::vector<bool>({true, false, true, false}));
  EXPECT_EQ(loaded(tiny_model("gemma3", {.layers = 3})
                       .set("gemma3.attention.sliding_window_pattern",
                            std::vector<bool>{false, true, true}))
                .windowed,
            std::vector<bool>({false, true, true}));
  const DecoderConfig none = loaded(tiny_model("gemma3").erase("gemma3.attention.sliding_window"));
  EXPECT_EQ(none.windowed, std::vector<bool>({false, false}));
  EXPECT_EQ(none.window, 0);
}

TEST(Config, Gemma3With62LayersScalesByWidthOverHeads) {
  const DecoderConfig config = loaded(tiny_model("gemma3", {.layers = 62, .head_dim = 16}));
  EXPECT_EQ(config.attention_scale, 1.0F / std::sqrt(8.0F));
}

TEST(Config, RopeScalings) {
  const auto with = [](const char* type, float factor) {
    return tiny_model("llama")
        .set("llama.rope.scaling.type", type)
        .set("llama.rope.scaling.factor", factor);
  };
  EXPECT_EQ(loaded(with("none", 4.0F)).rope.scaling, Scaling::kNone);
  EXPECT_EQ(loaded(with("linear", 0.0F)).rope.scaling, Scaling::kNone);
  EXPECT_EQ(loaded(with("linear", 4.0F)).rope.scaling, Scaling::kLinear);
  EXPECT_EQ(loaded(tiny_model("llama").set("llama.rope.scale_linear", 2.0F)).rope.factor, 2.0);
  const DecoderConfig yarn =
      loaded(with("yarn", 4.0F)
                 .set("llama.rope.scaling.original_context_length", uint32_t{32})
                 .set("llama.rope.scaling.attn_factor", 0.5F)
                 .set("llama.rope.scaling.yarn_beta_fast", 16.0F));
  EXPECT_EQ(yarn.rope.scaling, Scaling::kYarn);
  EXPECT_EQ(yarn.rope.factor, 4.0);
  EXPECT_EQ(yarn.rope.original_context, 32);
  EXPECT_EQ(yarn.rope.attention_factor, 0.5);
  EXPECT_EQ(yarn.rope.beta_fast, 16.0);
  EXPECT_EQ(yarn.rope.beta_slow, 1.0);
}

TEST(Config, OptionalParts) {
  GgufBuilder file = tiny_model("llama");
  file.add_zeros("output.weight", {32, 300}, tensor::DType::kQ8_0);
  file.add("rope_freqs.weight", {4}, std::vector<float>{1, 1, 8, 32});
  file.erase("llama.attention.key_length")
      .erase("llama.attention.value_length")
      .erase("llama.rope.freq_base");
  file.set("llama.attn_logit_softcapping", 50.0F).set("llama.final_logit_softcapping", 30.0F);
  file.set("llama.attention.head_count", std::vector<int32_t>{4, 4});
  const DecoderConfig config = loaded(file);
  EXPECT_FALSE(config.tied_head);
  EXPECT_EQ(config.heads.head_dim, 8);
  EXPECT_EQ(config.heads.heads, 4);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_EQ(config.attention_softcap, 50.0F);
  EXPECT_EQ(config.final_softcap, 30.0F);
  const DecoderConfig all_heads =
      loaded(tiny_model("llama", {.kv_heads = 4}).erase("llama.attention.head_count_kv"));
  EXPECT_EQ(all_heads.heads.kv_heads, 4);
}

TEST(Config, TheVocabularyMayBeSaidWithoutTokens) {
  GgufBuilder file = tiny_model("llama");
  for (const char* key : {"tokens", "scores", "token_type", "bos_token_id", "eos_token_id"})
    file.erase(std::string("tokenizer.ggml.") + key);
  EXPECT_FALSE(load(file));
  EXPECT_EQ(loaded(file.set("llama.vocab_size", uint32_t{300})).vocabulary, 300);
}

struct BadModel {
  const char* name;
  std::function<void(GgufBuilder&)> spoil;  // a tiny llama
  Code code;
  const char* param;
  const char* message;  // a part of it
};

template <class T>
std::function<void(GgufBuilder&)> set(const char* key, T value) {
  return [=](GgufBuilder& file) { file.set(key, value); };
}

std::function<void(GgufBuilder&)> erase(const char* key) {
  return [=](GgufBuilder& file) { file.erase(key); };
}

std::function<void(GgufBuilder&)> reshape(const char* name, std::vector<uint64_t> shape) {
  return [=](GgufBuilder& file) {
    uint64_t count = 1;
    for (const uint64_t size : shape) count *= size;
    file.tensor(name).shape = shape;
    file.tensor(name).data.resize(count * sizeof(float));
  };
}

std::function<void(GgufBuilder&)> token(size_t index, const std::string& text, int32_t type) {
  return [=](GgufBuilder& file) {
    std::vector<std::string> tokens(300, "x");
    std::vector<int32_t> types(300, 1);
    tokens[index] = text;
    types[index] = type;
    file.set("tokenizer.ggml.tokens", tokens).set("tokenizer.ggml.token_type", types);
  };
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const BadModel kBadModels[] = {
    {"NoArchitecture", erase("general.architecture"), Code::kCorrupt, "general.architecture",
     "has no value"},
    {"ArchitectureNumber", set("general.architecture", 5u), Code::kCorrupt, "general.architecture",
     "a string is needed"},
    {"ArchitectureUnknown", set("general.architecture", "mamba"), Code::kUnsupported,
     "general.architecture", "'mamba' cannot be run here"},
    {"NoLayers", set("llama.block_count", 0u), Code::kCorrupt, "llama.block_count",
     "llama.block_count is 0; 1 to 512"},
    {"TooManyLayers", set("llama.block_count", ~0u), Code::kCorrupt, "llama.block_count",
     "is 4294967295;"},
    {"LayersNegative", set("llama.block_count", int32_t{-1}), Code::kCorrupt, "llama.block_count",
     "is -1;"},
    {"LayersBeyond63Bits", set("llama.block_count", ~uint64_t{0}), Code::kCorrupt,
     "llama.block_count", "an integer from"},
    {"LayersText", set("llama.block_count", "2"), Code::kCorrupt, "llama.block_count", "is string"},
    {"LayersMissing", erase("llama.block_count"), Code::kCorrupt, "llama.block_count",
     "has no value"},
    {"OneLayerMore", set("llama.block_count", 3u), Code::kCorrupt, "blk.2.attn_norm.weight",
     "has no tensor blk.2.attn_norm.weight, of shape [32]"},
    {"OneLayerFewer", set("llama.block_count", 1u), Code::kUnsupported, "blk.1.attn_norm.weight",
     "does not use"},
    {"WidthZero", set("llama.embedding_length", 0u), Code::kCorrupt, "llama.embedding_length",
     "is 0;"},
    {"WidthHuge", set("llama.embedding_length", 1u << 30), Code::kCorrupt, "llama.embedding_length",
     "is 1073741824;"},
    {"WidthOther", set("llama.embedding_length", 64u), Code::kCorrupt, "token_embd.weight",
     "tensor token_embd.weight has the shape [32, 300]; [64, 300] is needed"},
    {"FfnZero", set("llama.feed_forward_length", 0u), Code::kCorrupt, "llama.feed_forward_length",
     "is 0;"},
    {"FfnOther", set("llama.feed_forward_length", 65u), Code::kCorrupt, "blk.0.ffn_gate.weight",
     "[32, 65] is needed"},
    {"FfnDiffersByLayer", set("llama.feed_forward_length", std::vector<int32_t>{64, 65}),
     Code::kUnsupported, "llama.feed_forward_length", "different shapes"},
    {"FfnEmptyList", set("llama.feed_forward_length", std::vector<int32_t>{}), Code::kCorrupt,
     "llama.feed_forward_length", "empty list"},
    {"HeadsZero", set("llama.attention.head_count", 0u), Code::kCorrupt,
     "llama.attention.head_count", "is 0;"},
    {"HeadsHuge", set("llama.attention.head_count", 1u << 20), Code::kCorrupt,
     "llama.attention.head_count", "is 1048576;"},
    {"KvHeadsZero", set("llama.attention.head_count_kv", 0u), Code::kCorrupt,
     "llama.attention.head_count_kv", "is 0;"},
    {"KvHeadsUneven", set("llama.attention.head_count_kv", 3u), Code::kCorrupt,
     "llama.attention.head_count_kv", "4 query heads cannot share 3"},
    {"WidthNotDivisible",
     [](GgufBuilder& file) {
       file.erase("llama.attention.key_length")
           .set("llama.attention.head_count", 5u)
           .set("llama.attention.head_count_kv", 5u);
     },
     Code::kCorrupt, "llama.attention.head_count", "a width of 32 cannot be split into 5 heads"},
    {"HeadDimOdd", set("llama.attention.key_length", 7u), Code::kCorrupt,
     "llama.attention.key_length", "an even number"},
    {"HeadDimHuge", set("llama.attention.key_length", 1u << 16), Code::kCorrupt,
     "llama.attention.key_length", "is 65536;"},
    {"HeadDimsDiffer", set("llama.attention.value_length", 4u), Code::kUnsupported,
     "llama.attention.value_length", "different lengths"},
    {"HeadDimOther",
     [](GgufBuilder& file) {
       file.set("llama.attention.key_length", 16u).set("llama.attention.value_length", 16u);
     },
     Code::kCorrupt, "blk.0.attn_q.weight", "[32, 64] is needed"},
    {"ContextZero", set("llama.context_length", 0u), Code::kCorrupt, "llama.context_length",
     "is 0;"},
    {"ContextHuge", set("llama.context_length", ~uint64_t{0} >> 1), Code::kCorrupt,
     "llama.context_length", "is 9223372036854775807;"},
    {"EpsNan", set("llama.attention.layer_norm_rms_epsilon", kNan), Code::kCorrupt,
     "llama.attention.layer_norm_rms_epsilon", "is nan;"},
    {"EpsNegative", set("llama.attention.layer_norm_rms_epsilon", -1e-5F), Code::kCorrupt,
     "llama.attention.layer_norm_rms_epsilon", "0 to 0.1"},
    {"EpsInteger", set("llama.attention.layer_norm_rms_epsilon", 0u), Code::kCorrupt,
     "llama.attention.layer_norm_rms_epsilon", "a float is needed"},
    {"ThetaZero", set("llama.rope.freq_base", 0.0F), Code::kCorrupt, "llama.rope.freq_base",
     "is 0;"},
    {"ThetaInfinite", set("llama.rope.freq_base", std::numeric_limits<float>::infinity()),
     Code::kCorrupt, "llama.rope.freq_base", "is inf;"},
    {"RopeDimsOdd", set("llama.rope.dimension_count", 5u), Code::kCorrupt,
     "llama.rope.dimension_count", "pairs are needed"},
    {"RopeDimsOverHead", set("llama.rope.dimension_count", 16u), Code::kCorrupt,
     "llama.rope.dimension_count", "2 to 8"},
    {"RopeScalingUnknown", set("llama.rope.scaling.type", "longrope"), Code::kUnsupported,
     "llama.rope.scaling.type", "'longrope'"},
    {"RopeFactorNan", set("llama.rope.scaling.factor", kNan), Code::kCorrupt,
     "llama.rope.scaling.factor", "is nan;"},
    {"RopeFactorNegative", set("llama.rope.scaling.factor", -2.0F), Code::kCorrupt,
     "llama.rope.scaling.factor", "is -2;"},
    {"YarnFactorBelowOne",
     [](GgufBuilder& file) {
       file.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 0.5F);
     },
     Code::kCorrupt, "llama.rope.scaling.factor", "a yarn factor of 0.5"},
    {"YarnContextZero",
     [](GgufBuilder& file) {
       file.set("llama.rope.scaling.type", "yarn")
           .set("llama.rope.scaling.original_context_length", 0u);
     },
     Code::kCorrupt, "llama.rope.scaling.original_context_length", "is 0;"},
    {"MagnitudeWithoutYarn", set("llama.rope.scaling.attn_factor", 2.0F), Code::kUnsupported,
     "llama.rope.scaling.attn_factor", "for yarn only"},
    {"RopeFactorsZero",
     [](GgufBuilder& file) {
       file.add("rope_freqs.weight", {4}, std::vector<float>{1, 0, 1, 1});
     },
     Code::kCorrupt, "rope_freqs.weight", "has the factor 0"},
    {"RopeFactorsNan",
     [](GgufBuilder& file) {
       file.add("rope_freqs.weight", {4}, std::vector<float>{1, kNan, 1, 1});
     },
     Code::kCorrupt, "rope_freqs.weight", "has the factor nan"},
    {"RopeFactorsTooMany",
     [](GgufBuilder& file) { file.add("rope_freqs.weight", {5}, std::vector<float>(5, 1)); },
     Code::kCorrupt, "rope_freqs.weight", "has the shape [5]; [4] is needed"},
    {"Experts", set("llama.expert_count", 8u), Code::kUnsupported, "llama.expert_count",
     "mixtures of experts"},
    {"NotCausal", set("llama.attention.causal", false), Code::kUnsupported,
     "llama.attention.causal", "not causal"},
    {"SoftcapNan", set("llama.final_logit_softcapping", kNan), Code::kCorrupt,
     "llama.final_logit_softcapping", "is nan;"},
    {"MatrixTransposed", reshape("blk.1.ffn_down.weight", {32, 64}), Code::kCorrupt,
     "blk.1.ffn_down.weight", "has the shape [32, 64]; [64, 32] is needed"},
    {"MatrixOfRank3", reshape("blk.0.attn_q.weight", {32, 32, 1}), Code::kCorrupt,
     "blk.0.attn_q.weight", "has the shape [32, 32, 1]"},
    {"NormTooShort", reshape("output_norm.weight", {16}), Code::kCorrupt, "output_norm.weight",
     "has the shape [16]; [32] is needed"},
    {"VocabularyLargerThanTokens", reshape("token_embd.weight", {32, 301}), Code::kCorrupt,
     "token_embd.weight", "[32, 300] is needed"},
    {"StrangeTensor", [](GgufBuilder& file) { file.add_zeros("blk.0.attn_output.bias", {32}); },
     Code::kUnsupported, "blk.0.attn_output.bias", "does not use"},
    {"BiasInOneLayerOnly", [](GgufBuilder& file) { file.add_zeros("blk.0.attn_q.bias", {32}); },
     Code::kCorrupt, "blk.0.attn_k.bias", "has no tensor blk.0.attn_k.bias"},
    {"TokensNotStrings", set("tokenizer.ggml.tokens", std::vector<float>(300)), Code::kCorrupt,
     "tokenizer.ggml.tokens", "an array of f32"},
    {"TokensNoArray", set("tokenizer.ggml.tokens", "all"), Code::kCorrupt, "tokenizer.ggml.tokens",
     "is string; an array"},
    {"TokensNone", set("tokenizer.ggml.tokens", std::vector<std::string>{}), Code::kCorrupt,
     "tokenizer.ggml.tokens", "is empty"},
    {"TokenTooLong", token(7, std::string(65536, 'x'), 1), Code::kCorrupt, "tokenizer.ggml.tokens",
     "token 7 has 65536 bytes"},
    {"ScoresOfWrongType", set("tokenizer.ggml.scores", std::vector<int8_t>(300)), Code::kCorrupt,
     "tokenizer.ggml.scores", "an array of i8; an array, each element a float"},
    {"ScoresTooFew", set("tokenizer.ggml.scores", std::vector<float>(299)), Code::kCorrupt,
     "tokenizer.ggml.scores", "299 elements for 300 tokens"},
    {"TypesOfWrongType", set("tokenizer.ggml.token_type", std::vector<float>(300, 1)),
     Code::kCorrupt, "tokenizer.ggml.token_type", "an array of f32"},
    {"TypesTooMany", set("tokenizer.ggml.token_type", std::vector<int32_t>(301, 1)), Code::kCorrupt,
     "tokenizer.ggml.token_type", "301 elements for 300 tokens"},
    {"TypeZero", token(4, "x", 0), Code::kCorrupt, "tokenizer.ggml.token_type", "is 0 for token 4"},
    {"TypeSeven", token(4, "x", 7), Code::kCorrupt, "tokenizer.ggml.token_type",
     "is 7 for token 4"},
    {"ByteTokenNegative", token(4, "<0x-1>", 6), Code::kCorrupt, "tokenizer.ggml.tokens",
     "token 4 is of type byte and reads '<0x-1>'"},
    {"ByteTokenTooLong", token(4, "<0x041>", 6), Code::kCorrupt, "tokenizer.ggml.tokens",
     "not <0xHH>"},
    {"ByteTokenEmpty", token(4, "", 6), Code::kCorrupt, "tokenizer.ggml.tokens", "not <0xHH>"},
    {"MergesNotStrings", set("tokenizer.ggml.merges", std::vector<int32_t>{1}), Code::kCorrupt,
     "tokenizer.ggml.merges", "an array of i32"},
    {"BosBeyondTheVocabulary", set("tokenizer.ggml.bos_token_id", 300u), Code::kCorrupt,
     "tokenizer.ggml.bos_token_id", "is 300, but there are 300 tokens"},
    {"EosNegative", set("tokenizer.ggml.eos_token_id", int32_t{-1}), Code::kCorrupt,
     "tokenizer.ggml.eos_token_id", "is -1"},
    {"PaddingText", set("tokenizer.ggml.padding_token_id", "0"), Code::kCorrupt,
     "tokenizer.ggml.padding_token_id", "is string"},
};

class Spoiled : public testing::TestWithParam<BadModel> {};

TEST_P(Spoiled, IsRefusedByName) {
  GgufBuilder file = tiny_model("llama");
  ASSERT_TRUE(load(file));
  GetParam().spoil(file);
  const auto config = load(file);
  ASSERT_FALSE(config);
  const Error& error = config.error();
  EXPECT_EQ(name(error.code), name(GetParam().code)) << error.message;
  EXPECT_EQ(error.param, GetParam().param) << error.message;
  EXPECT_NE(error.message.find(GetParam().message), std::string::npos) << error.message;
}

INSTANTIATE_TEST_SUITE_P(Models, Spoiled, testing::ValuesIn(kBadModels),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Config, AListOfWindowsMustFitTheLayers) {
  const auto refused = load(
      tiny_model("gemma3").set("gemma3.attention.sliding_window_pattern", std::vector<bool>{true}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().param, "gemma3.attention.sliding_window_pattern");
  EXPECT_FALSE(load(tiny_model("gemma3").set("gemma3.attention.sliding_window_pattern", 0u)));
  EXPECT_FALSE(load(tiny_model("gemma3").set("gemma3.attention.sliding_window_pattern",
                                             std::vector<float>{1, 0})));
}

TEST(Config, EachFamilyNeedsItsNorms) {
  for (const char* missing : {"blk.1.attn_q_norm.weight", "blk.1.post_ffw_norm.weight"}) {
    GgufBuilder file = tiny_model("gemma3");
    std::erase_if(file.tensors, [&](const auto& tensor) { return tensor.name == missing; });
    const auto refused = load(file);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().param, missing);
  }
}

// The folder where `make test` keeps the real models.
std::filesystem::path real_models() {
  if (const char* folder = std::getenv("TOKENMILL_TEST_MODELS")) return folder;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : "") / ".cache/tokenmill-test-models";
}

TEST(Config, RealModelFiles) {
  std::error_code error;
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(real_models(), error)) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path().filename());
    const auto file = Gguf::open(entry.path());
    ASSERT_TRUE(file) << file.error().message;
    const auto config = decoder_config_of(*file);
    ASSERT_TRUE(config) << config.error().message;
    const Status fits = check_tensors(*file, *config);
    EXPECT_TRUE(fits) << fits.error().message;
    EXPECT_GE(config->vocabulary, 32000);
    ++read;
  }
  if (read == 0) GTEST_SKIP() << "no model files in " << real_models();
}

}  // namespace
}  // namespace mill::model
