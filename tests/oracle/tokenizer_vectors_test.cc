// The ggml project's tokenizer vectors: for each vocabulary, texts and the ids that llama.cpp gives
// them.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "app/model_text.h"
#include "test_files.h"
#include "text/tokenizer.h"

namespace mill {
namespace {

namespace fs = std::filesystem;

struct Vector {
  std::string text;
  std::vector<TokenId> ids;
};

std::vector<Vector> vectors_of(const fs::path& stem) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<Vector> out;
  const std::string texts = contents_of(stem.string() + ".inp");
  std::istringstream lines(contents_of(stem.string() + ".out"));
  for (size_t at = 0; at < texts.size();) {
    const size_t end = std::min(texts.find(separator, at), texts.size());
    std::string line;
    std::getline(lines, line);
    std::istringstream ids(line);
    out.push_back({texts.substr(at, end - at), {std::istream_iterator<TokenId>(ids), {}}});
    at = end + separator.size();
  }
  return out;
}

void expect_vectors(const text::Tokenizer& tokenizer, const fs::path& stem) {
  const std::vector<Vector> vectors = vectors_of(stem);
  EXPECT_GE(vectors.size(), 46u) << stem;
  for (const Vector& vector : vectors)
    EXPECT_EQ(tokenizer.encode(vector.text, false, text::Tokenizer::Ends::kNone), vector.ids)
        << stem << ": " << vector.text;
}

class GgufVectors : public testing::TestWithParam<const char*> {};

TEST_P(GgufVectors, GiveTheIdsOfThePeer) {
  const fs::path path =
      shared_data() / "tokenizers" / ("ggml-vocab-" + std::string(GetParam()) + ".gguf");
  if (!fs::exists(path)) GTEST_SKIP() << "no " << path;
  const auto file = model::Gguf::open(path);
  ASSERT_TRUE(file) << file.error().message;
  auto vocabulary = app::vocabulary_of(*file);
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  const auto tokenizer = text::Tokenizer::build(std::move(*vocabulary));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(*tokenizer, path);
}

INSTANTIATE_TEST_SUITE_P(Files, GgufVectors,
                         testing::Values("deepseek-coder", "gpt-2", "llama-spm", "phi-3",
                                         "starcoder"));

// The vectors of two vocabularies that are not there as GGUF files: Qwen3's tokenizer.json gives
// qwen2's ids, and Llama 3.2's vocabulary and merges, as a GGUF would hold them, llama-bpe's.
TEST(TokenizerJsonVectors, Qwen2) {
  const fs::path folder = shared_data() / "tokenizers",
                 packed = folder / "qwen3" / "tokenizer.json.xz";
  if (!fs::exists(packed)) GTEST_SKIP() << "no " << packed;
  const std::optional<std::string> json = unpacked(packed);
  if (!json) GTEST_SKIP() << "xz can't unpack " << packed;
  const auto tokenizer = text::Tokenizer::from_tokenizer_json(*json);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(*tokenizer, folder / "ggml-vocab-qwen2.gguf");
}

TEST(TokenizerVectors, LlamaBpe) {
  const fs::path folder = shared_data() / "tokenizers";
  if (!fs::exists(folder / "llama3.2")) GTEST_SKIP() << "no " << folder / "llama3.2";
  text::Vocabulary vocabulary{.algorithm = text::Vocabulary::Algorithm::kBytePairs,
                              .pre = "llama-bpe"};
  const boost::json::value json =
      boost::json::parse(contents_of(folder / "llama3.2" / "vocab.json"));
  std::vector<std::string> pieces(json.as_object().size());
  for (const auto& [piece, id] : json.as_object())
    pieces.at(static_cast<size_t>(id.as_int64())) = piece;
  vocabulary.pieces.append(pieces);
  std::istringstream merges(contents_of(folder / "llama3.2" / "merges.txt"));
  for (std::string line; std::getline(merges, line);)
    if (!line.starts_with("#version") && !line.empty()) vocabulary.merges.add(line);
  const auto tokenizer = text::Tokenizer::build(std::move(vocabulary));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(*tokenizer, folder / "ggml-vocab-llama-bpe.gguf");
}

}  // namespace
}  // namespace mill
