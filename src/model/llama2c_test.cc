#include "model/llama2c.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "model/config.h"

namespace mill::model {
namespace {

// A file of the shared test data; empty where that is absent.
std::string shared(const std::string& file) {
  const char* folder = std::getenv("TOKENMILL_SHARED");
  const std::string path =
      (folder != nullptr ? folder : MILL_SOURCE_DIR "/../shared") + ("/data/" + file);
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Llama2c, Stories260KBecomesALlama) {
  const std::string checkpoint = shared("stories260K/stories260K.bin");
  const std::string tokenizer = shared("stories260K/tok512.bin");
  if (checkpoint.empty() || tokenizer.empty()) GTEST_SKIP() << "no stories260K in the shared data";
  const auto builder = gguf_of_llama2c(checkpoint, tokenizer);
  ASSERT_TRUE(builder) << builder.error().message;
  const auto bytes = builder->build();
  const auto file = Gguf::parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  const auto config = decoder_config_of(*file);
  ASSERT_TRUE(config) << config.error().message;
  const Status fits = check_tensors(*file, *config);
  EXPECT_TRUE(fits) << fits.error().message;
  EXPECT_EQ(config->layers, 5);
  EXPECT_EQ(config->dim, 64);
  EXPECT_EQ(config->ffn_dim, 172);
  EXPECT_EQ(config->heads.heads, 8);
  EXPECT_EQ(config->heads.kv_heads, 4);
  EXPECT_EQ(config->vocabulary, 512);
  EXPECT_TRUE(config->tied_head);
  EXPECT_FALSE(config->rope.half_split);
  const auto tokens = file->array<std::string_view>("tokenizer.ggml.tokens");
  ASSERT_TRUE(tokens);
  EXPECT_EQ((*tokens)[1], "<s>");
  EXPECT_EQ((*tokens)[3 + 10], "<0x0A>");
  EXPECT_EQ((*tokens)[403], "\u2581Once");
}

TEST(Llama2c, RefusesWhatDoesNotAddUp) {
  EXPECT_FALSE(gguf_of_llama2c("", ""));
  EXPECT_FALSE(gguf_of_llama2c(std::string(28, '\1'), ""));
  EXPECT_FALSE(gguf_of_llama2c(std::string(28, '\0'), ""));
}

}  // namespace
}  // namespace mill::model
