#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "text/pieces/byte_alphabet.h"
#include "text/test_vocabulary.h"

namespace mill::text {
namespace {

using Ends = Tokenizer::Ends;
using Ids = std::vector<TokenId>;

std::string pieces_of(const Tokenizer& tokenizer, const Ids& ids) {
  std::string out;
  for (const TokenId id : ids) out.append(out.empty() ? "" : "|").append(tokenizer.piece(id));
  return out;
}

std::string bytes_of(const Tokenizer& tokenizer, const Ids& ids) {
  std::string out;
  for (const TokenId id : ids) out.append(tokenizer.bytes(id));
  return out;
}

TEST(Tokenizer, BytePairsMergeWithinWords) {
  const Tokenizer tokenizer =
      *Tokenizer::build(byte_vocabulary({"l l", "h e", "ll o", "he llo", "Ġ hello"}));
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode("hello hello he", false, Ends::kNone)),
            "hello|Ġhello|Ġ|he");
}

TEST(Tokenizer, EveryByteComesBack) {
  for (const Vocabulary::Algorithm algorithm :
       {Vocabulary::Algorithm::kBytePairs, Vocabulary::Algorithm::kScoredPieces}) {
    const bool scored = algorithm == Vocabulary::Algorithm::kScoredPieces;
    const Tokenizer tokenizer = *Tokenizer::build(scored ? scored_vocabulary({"▁", "a", "▁a", "é"})
                                                         : byte_vocabulary({"Ġ a"}));
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
      const char* const kParts[] = {" ", "a", "é", "的", "🙂", "\n", "  ", "ß\u0301", "."};
      std::string text;
      for (uint32_t n = random() % 12; n > 0; --n) text += kParts[random() % std::size(kParts)];
      EXPECT_EQ(bytes_of(tokenizer, tokenizer.encode(text, false, Ends::kNone)), text);
    }
  }
}

TEST(Tokenizer, UntrustedTextNeverBecomesAControlToken) {
  // The merges could spell <|im_end|> (id known by its name, too), and so could scores.
  Vocabulary bytes = byte_vocabulary(
      {"< |", "<| im_end", "i m", "im _", "im_ end", "e n", "en d", "| >", "<|im_end |>"},
      {"<|im_end|>"});
  Vocabulary scored =
      scored_vocabulary({"<", "|", "i", "m", "_", "e", "n", "d", ">", "<|", "<|i", "<|im", "<|im_",
                         "<|im_e", "<|im_en", "<|im_end", "<|im_end|"},
                        {"<|im_end|>"});
  for (Vocabulary* vocabulary : {&bytes, &scored}) {
    const auto built = Tokenizer::build(std::move(*vocabulary));
    ASSERT_TRUE(built) << built.error().message;
    const TokenId control = static_cast<TokenId>(built->size() - 1);
    ASSERT_EQ(built->piece(control), "<|im_end|>");
    EXPECT_TRUE(built->is_control(control));
    EXPECT_EQ(built->bytes(control), "");
    const Ids untrusted = built->encode("a<|im_end|>b", false, Ends::kNone);
    EXPECT_EQ(std::count(untrusted.begin(), untrusted.end(), control), 0);
    EXPECT_EQ(bytes_of(*built, untrusted), "a<|im_end|>b");
    const Ids trusted = built->encode("a<|im_end|>b", true, Ends::kNone);
    EXPECT_EQ(std::count(trusted.begin(), trusted.end(), control), 1);
    // Half trusted is not trusted; two trusted halves are.
    const TextSpan half[] = {{"a<|im_", true}, {"end|>b", false}},
                   whole[] = {{"a<|im_", true}, {"end|>b", true}};
    EXPECT_EQ(built->encode(half, Ends::kNone), untrusted);
    EXPECT_EQ(built->encode(whole, Ends::kNone), trusted);
  }
}

TEST(Tokenizer, SpansAreTokenizedAsOneText) {
  const Tokenizer tokenizer = *Tokenizer::build(byte_vocabulary({"h e", "l l", "he ll", "hell o"}));
  const TextSpan spans[] = {{"he", true}, {"", false}, {"l", false}, {"lo", true}};
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode(spans, Ends::kNone)), "hello");
  EXPECT_TRUE(tokenizer.encode(std::span<const TextSpan>(), Ends::kNone).empty());
}

TEST(Tokenizer, UserDefinedTokensCountEverywhere) {
  Vocabulary vocabulary = byte_vocabulary({}, {"<tab>"});
  vocabulary.types.back() = TokenType::kUserDefined;
  const Tokenizer tokenizer = *Tokenizer::build(std::move(vocabulary));
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode("a<tab>", false, Ends::kNone)), "a|<tab>");
  EXPECT_EQ(bytes_of(tokenizer, tokenizer.encode("a<tab>", false, Ends::kNone)), "a<tab>");
}

TEST(Tokenizer, AnUnusedTokenIsFoundInTextAndGivesNothingBack) {
  Vocabulary vocabulary = byte_vocabulary({"a b"});
  vocabulary.types.back() = TokenType::kUnused;
  const Tokenizer tokenizer = *Tokenizer::build(std::move(vocabulary));
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode("cab", false, Ends::kNone)), "c|ab");
  EXPECT_EQ(bytes_of(tokenizer, tokenizer.encode("cab", false, Ends::kNone)), "c");
}

TEST(Tokenizer, ASpaceGoesInFrontBehindEachSpecialToken) {
  Vocabulary vocabulary = scored_vocabulary({"▁", "a", "▁a"}, {"<s>"});
  vocabulary.add_space_prefix = true;
  vocabulary.bos = static_cast<TokenId>(vocabulary.pieces.size() - 1);
  vocabulary.add_bos = true;
  const Tokenizer tokenizer = *Tokenizer::build(std::move(vocabulary));
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode("a<s>a", true, Ends::kAsModelWants)),
            "<s>|▁a|<s>|▁a");
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode("", true, Ends::kAsModelWants)), "<s>");
  EXPECT_TRUE(tokenizer.adds_bos());
}

TEST(Tokenizer, EndsOfGenerationAreKnownByName) {
  Vocabulary vocabulary =
      byte_vocabulary({}, {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "</s>", "<stop>"});
  const auto last = static_cast<TokenId>(vocabulary.pieces.size() - 1);
  vocabulary.eos = last - 4;
  vocabulary.ends = {last};
  vocabulary.types[static_cast<size_t>(last) - 1] = TokenType::kNormal;  // </s>, wrongly
  const Tokenizer tokenizer = *Tokenizer::build(std::move(vocabulary));
  const std::span<const TokenId> ends = tokenizer.ends_of_generation();
  EXPECT_EQ(Ids(ends.begin(), ends.end()), (Ids{last - 4, last - 2, last - 1, last}));
  EXPECT_TRUE(tokenizer.is_control(last - 1));
}

TEST(Tokenizer, HarmonysEndEndsNoAnswer) {
  const Tokenizer tokenizer =
      *Tokenizer::build(byte_vocabulary({}, {"<|end|>", "<|return|>", "<|call|>"}));
  const auto last = static_cast<TokenId>(tokenizer.size() - 1);
  const std::span<const TokenId> ends = tokenizer.ends_of_generation();
  EXPECT_EQ(Ids(ends.begin(), ends.end()), (Ids{last - 1, last}));
}

// ---- vocabularies that break the rules ----

void expect_refused(Vocabulary vocabulary, const std::string& field, const std::string& said,
                    Code code = Code::kCorrupt) {
  const auto built = Tokenizer::build(std::move(vocabulary));
  ASSERT_FALSE(built) << said;
  EXPECT_EQ(built.error().code, code);
  EXPECT_EQ(built.error().param, field);
  EXPECT_NE(built.error().message.find(said), std::string::npos) << built.error().message;
}

void replace_first(StringTable& strings, std::string_view by) {
  StringTable out = {by};
  for (size_t i = 1; i < strings.size(); ++i) out.add(strings[i]);
  strings = std::move(out);
}

TEST(HostileVocabulary, IsRefusedByField) {
  const auto changed = [](auto change) {
    Vocabulary vocabulary = scored_vocabulary({"▁", "a"});
    change(vocabulary);
    return vocabulary;
  };
  expect_refused({}, "tokenizer.ggml.tokens", "0 tokens");
  expect_refused(changed([](auto& v) { v.scores.pop_back(); }), "tokenizer.ggml.scores",
                 "scores for");
  expect_refused(changed([](auto& v) { v.scores.clear(); }), "tokenizer.ggml.scores", "0 scores");
  expect_refused(changed([](auto& v) { v.scores[3] = std::nanf(""); }), "tokenizer.ggml.scores",
                 "token 3");
  expect_refused(changed([](auto& v) { v.types.resize(1); }), "tokenizer.ggml.token_type",
                 "1 types");
  expect_refused(changed([](auto& v) { replace_first(v.pieces, std::string(70'000, 'x')); }),
                 "tokenizer.ggml.tokens", "70000 bytes");
  expect_refused(changed([](auto& v) { replace_first(v.pieces, v.pieces[1]); }),
                 "tokenizer.ggml.tokens", "as another token is");
  for (const char* bad : {"<0x-1>", "<0xGG>", "<0x1>", "<0x123>", "0x0A", "<0x0A", ""})
    expect_refused(changed([=](auto& v) { replace_first(v.pieces, bad); }), "tokenizer.ggml.tokens",
                   "stands for a byte");
  expect_refused(changed([](auto& v) { v.bos = 1000; }), "tokenizer.ggml.bos_token_id", "1000");
  expect_refused(changed([](auto& v) { v.eos = -7; }), "tokenizer.ggml.eos_token_id", "-7");
  expect_refused(changed([](auto& v) { v.unknown = 258; }), "tokenizer.ggml.unknown_token_id",
                 "258");
  expect_refused(changed([](auto& v) { v.ends = {9999}; }), "tokenizer.ggml.eot_token_id", "9999");
  expect_refused(changed([](auto& v) { v.strip_left = {9999}; }), "tokenizer.ggml.tokens", "9999");
  expect_refused(changed([](auto& v) { v.add_bos = true; }), "tokenizer.ggml.bos_token_id",
                 "names none");
  expect_refused(changed([](auto& v) { v.add_eos = true; }), "tokenizer.ggml.eos_token_id",
                 "names none");
}

TEST(HostileVocabulary, MergesAreRefusedByNumber) {
  for (const char* bad :
       {"", " ", "a", "a ", " a", "a  b", "a zzz", "zz a", "a b", "\xFF \xFF", "a\tb c"})
    expect_refused(byte_vocabulary_with_merges({"h e", bad}), "tokenizer.ggml.merges", "merge 1");
  Vocabulary unknown = byte_vocabulary({});
  unknown.pre = "no-such-pre";
  expect_refused(std::move(unknown), "tokenizer.ggml.pre", "no-such-pre", Code::kUnsupported);
}

TEST(HostileVocabulary, OddPiecesDoNoHarm) {
  // No UTF-8, zeros, an empty piece, a piece of spaces, a user-defined token of one byte.
  Vocabulary vocabulary =
      byte_vocabulary({}, {"\xFF\xFE", std::string("\0\0", 2), "", "   ", "\x80"});
  const size_t size = vocabulary.pieces.size();
  for (size_t i = size - 5; i < size; ++i) vocabulary.types[i] = TokenType::kNormal;
  vocabulary.types[size - 1] = TokenType::kUserDefined;
  const Tokenizer tokenizer = *Tokenizer::build(std::move(vocabulary));
  EXPECT_EQ(tokenizer.encode("\x80", false, Ends::kNone), (Ids{static_cast<TokenId>(size) - 1}));
  EXPECT_EQ(bytes_of(tokenizer, tokenizer.encode("a   b", false, Ends::kNone)), "a   b");
  for (size_t id = 0; id < size; ++id) (void)tokenizer.bytes(static_cast<TokenId>(id));
}

TEST(HostileVocabulary, ControlTokensStandForNoByteAndForNothingUnknown) {
  Vocabulary vocabulary = scored_vocabulary({"a"});
  vocabulary.types['b'] = TokenType::kControl;  // <0x62>
  vocabulary.types['c'] = TokenType::kControl;
  vocabulary.unknown = 'c';
  EXPECT_EQ(Tokenizer::build(vocabulary)->encode("abc<0x62>", false, Ends::kNone),
            (Ids{256, '<', '0', 'x', '6', '2', '>'}));
}

TEST(HostileVocabulary, WithoutBytesTextIsUnknown) {
  Vocabulary vocabulary;
  vocabulary.algorithm = Vocabulary::Algorithm::kScoredPieces;
  vocabulary.pieces = {"<unk>", "a"};
  vocabulary.scores = {0, 0};
  vocabulary.types = {TokenType::kUnknown, TokenType::kNormal};
  vocabulary.unknown = 0;
  EXPECT_EQ(Tokenizer::build(vocabulary)->encode("ab", false, Ends::kNone), (Ids{1, 0}));
  vocabulary.unknown = kNoToken;
  EXPECT_EQ(Tokenizer::build(vocabulary)->encode("ab", false, Ends::kNone), (Ids{1}));
}

}  // namespace
}  // namespace mill::text
