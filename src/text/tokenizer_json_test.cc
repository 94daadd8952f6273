#include <gtest/gtest.h>

#include "text/tokenizer.h"

namespace mill::text {
namespace {

using Ends = Tokenizer::Ends;
using Ids = std::vector<TokenId>;

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

// Byte-level BPE as GPT-2's file has it, over a few letters.
const std::string kByteLevel = R"({
  "added_tokens": [{"id": 9, "content": "<|end|>", "special": true, "normalized": false},
                   {"id": 10, "content": "<tab>", "special": false, "normalized": false, "lstrip": true}],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "post_processor": {"type": "TemplateProcessing",
                     "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                     "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [9], "tokens": ["<|end|>"]}}},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ã": 3, "©": 4, "ab": 5, "Ġab": 6, "Ã©": 7, "e": 8},
            "merges": ["a b", ["Ġ", "ab"], "Ã ©"]}})";

Ids encoded(const std::string& json, std::string_view text, bool trusted = true,
            Ends ends = Ends::kNone) {
  const auto tokenizer = Tokenizer::from_tokenizer_json(json);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? tokenizer->encode(text, trusted, ends) : Ids();
}

TEST(TokenizerJson, ByteLevel) {
  EXPECT_EQ(encoded(kByteLevel, "ab ab"), (Ids{5, 6}));
  EXPECT_EQ(encoded(kByteLevel, "e\u0301"), (Ids{7}));  // NFC puts them together
  EXPECT_EQ(encoded(kByteLevel, "a<|end|>b", true, Ends::kAsModelWants), (Ids{9, 0, 9, 1}));
  EXPECT_EQ(encoded(kByteLevel, "a<|end|>b", false),
            (Ids{0, 8, 1}));  // bytes without a piece go, as with the peer
  EXPECT_EQ(encoded(kByteLevel, "a <tab>b", false), (Ids{0, 10, 1}));
  const Tokenizer tokenizer = *Tokenizer::from_tokenizer_json(kByteLevel);
  EXPECT_EQ(tokenizer.bytes(6), " ab");
  EXPECT_EQ(tokenizer.bytes(7), "é");
  EXPECT_EQ(tokenizer.bytes(9), "");
  EXPECT_EQ(tokenizer.bytes(10), "<tab>");
  EXPECT_TRUE(tokenizer.is_control(9));
  EXPECT_EQ(tokenizer.bos(), 9);
  EXPECT_EQ(tokenizer.ends_of_generation().size(), 1u);
}

TEST(TokenizerJson, APrefixSpaceGoesInFront) {
  const std::string json =
      replaced(kByteLevel, R"("add_prefix_space": false)", R"("add_prefix_space": true)");
  EXPECT_EQ(encoded(json, "ab ab"), (Ids{6, 6}));
  EXPECT_EQ(encoded(json, " ab"), (Ids{6}));
}

// SentencePiece vocabularies as the converters write them.
const std::string kFallback = R"({
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                     {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": null,
  "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "fuse_unk": true,
            "vocab": {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3, "▁a▁a": 4}, "merges": ["▁ a", "▁a ▁a"]}})";

TEST(TokenizerJson, CharactersWithFallback) {
  EXPECT_EQ(encoded(kFallback, "a a"), (Ids{4}));
  EXPECT_EQ(encoded(kFallback, "a éüa"), (Ids{3, 1, 0, 2}));  // no byte tokens: unknown, two as one
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    const char* const digits = "0123456789ABCDEF";
    bytes += std::string(", \"<0x") + digits[byte >> 4] + digits[byte & 15] +
             ">\": " + std::to_string(5 + byte);
  }
  const std::string with_bytes = replaced(kFallback, R"("▁a▁a": 4)", R"("▁a▁a": 4)" + bytes);
  EXPECT_EQ(encoded(with_bytes, "aé"), (Ids{3, 5 + 0xC3, 5 + 0xA9}));
  EXPECT_EQ(Tokenizer::from_tokenizer_json(with_bytes)->bytes(5 + 0xC3), "\xC3");
  EXPECT_EQ(Tokenizer::from_tokenizer_json(with_bytes)->bytes(4), " a a");
}

TEST(TokenizerJson, Metaspace) {
  const auto with_scheme = [](const std::string& scheme) {
    return R"({"added_tokens": [{"id": 4, "content": "<s>", "special": true}],
               "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")" +
           scheme + R"(", "split": true},
               "model": {"type": "BPE", "vocab": {"▁": 0, "a": 1, "▁a": 2, "▁a▁a": 3}, "merges": ["▁ a", "▁a ▁a"]}})";
  };
  EXPECT_EQ(encoded(with_scheme("always"), "a a<s>a"), (Ids{2, 2, 4, 2}));
  EXPECT_EQ(encoded(with_scheme("first"), "a a<s>a"), (Ids{2, 2, 4, 1}));
  EXPECT_EQ(encoded(with_scheme("never"), "a a<s>a"), (Ids{1, 2, 4, 1}));
}

const std::string kWordPieces = R"({
  "added_tokens": [{"id": 1, "content": "[CLS]", "special": true}, {"id": 2, "content": "[SEP]", "special": true}],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 6,
            "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "un": 3, "##able": 4, "##a": 5, "!": 6, "的": 7}}})";

TEST(TokenizerJson, WordPieces) {
  EXPECT_EQ(encoded(kWordPieces, "Unable ÜN的ÚÑ!\x01", false, Ends::kAsModelWants),
            (Ids{1, 3, 4, 3, 7, 3, 6, 2}));
  EXPECT_EQ(encoded(kWordPieces, "una unx aun unaaaaa"),
            (Ids{3, 5, 0, 0, 0}));  // the last is too long
  EXPECT_EQ(Tokenizer::from_tokenizer_json(kWordPieces)->bytes(4), "able");
}

TEST(TokenizerJson, BadFilesAreRefusedByField) {
  const struct {
    std::string json, field;
    Code code;
  } kCases[] = {
      {"", "", Code::kCorrupt},
      {"[]", "", Code::kCorrupt},
      {"{}", "model", Code::kCorrupt},
      {"{\"model\": ", "", Code::kCorrupt},
      {std::string(100, '['), "", Code::kCorrupt},
      {replaced(kByteLevel, "\"BPE\"", "\"Unigram\""), "model", Code::kUnsupported},
      {replaced(kByteLevel, "\"a\": 0", "\"a\": -1"), "vocab", Code::kCorrupt},
      {replaced(kByteLevel, "\"a\": 0", "\"a\": \"0\""), "vocab", Code::kCorrupt},
      {replaced(kByteLevel, "\"a\": 0", "\"a\": 1"), "vocab", Code::kCorrupt},
      {replaced(kByteLevel, "\"a\": 0", "\"a\": 2000000000"), "vocab", Code::kCorrupt},
      {replaced(kByteLevel, "\"a\": 0", "\"a\": 99999999999"), "vocab", Code::kCorrupt},
      {replaced(kByteLevel, "\"id\": 9", "\"id\": 1e9"), "added_tokens", Code::kCorrupt},
      {replaced(kByteLevel, "\"a b\"", "\"a z\""), "tokenizer.ggml.merges", Code::kCorrupt},
      {replaced(kByteLevel, "\"a b\"", "\"ab\""), "merges", Code::kCorrupt},
      {replaced(kByteLevel, "\"a b\"", "7"), "merges", Code::kCorrupt},
      {replaced(kByteLevel, "\"a b\"", "[\"a\"]"), "merges", Code::kCorrupt},
      {replaced(kByteLevel, "\"ByteLevel\"", "\"UnicodeScripts\""), "pre_tokenizer",
       Code::kUnsupported},
      {replaced(kByteLevel, "\"NFC\"", "\"Precompiled\""), "normalizer", Code::kUnsupported},
      {replaced(kByteLevel, "{\"type\": \"NFC\"}", "3"), "normalizer", Code::kCorrupt},
      {replaced(kByteLevel, "[9]", "[900]"), "ids", Code::kCorrupt},
      {replaced(kByteLevel, "\"TemplateProcessing\"", "\"Other\""), "post_processor",
       Code::kUnsupported},
      {replaced(kFallback, "\"unk_token\": \"<unk>\"", "\"unk_token\": \"<none>\""), "unk_token",
       Code::kCorrupt},
      {replaced(kFallback, "\"byte_fallback\": true", "\"byte_fallback\": 1"), "byte_fallback",
       Code::kCorrupt},
      {replaced(kFallback, "\"byte_fallback\": true", "\"end_of_word_suffix\": \"</w>\""),
       "end_of_word_suffix", Code::kUnsupported},
      {replaced(
           kFallback, "\"pre_tokenizer\": null",
           R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"})"),
       "pre_tokenizer", Code::kUnsupported},
  };
  for (const auto& one : kCases) {
    const auto built = Tokenizer::from_tokenizer_json(one.json);
    ASSERT_FALSE(built) << one.json;
    EXPECT_EQ(built.error().code, one.code) << built.error().message;
    EXPECT_EQ(built.error().param, one.field) << built.error().message;
  }
}

TEST(TokenizerJson, TheUnknownTokenControlsNothing) {
  const std::string json =
      replaced(kWordPieces, R"("added_tokens": [)",
               R"("added_tokens": [{"id": 0, "content": "[UNK]", "special": true}, )");
  const Tokenizer tokenizer = *Tokenizer::from_tokenizer_json(json);
  EXPECT_FALSE(tokenizer.is_control(0));
  EXPECT_EQ(tokenizer.bytes(0), "");
  EXPECT_EQ(tokenizer.encode("zz", false, Ends::kNone), (Ids{0}));
}

TEST(TokenizerJson, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(encoded(kFallback, "a\xFF\xFE"), encoded(kFallback, "a\uFFFD\uFFFD"));
}

}  // namespace
}  // namespace mill::text
