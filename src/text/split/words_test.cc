// The stages that are matched by hand, against PCRE2 with the pattern that each stands for, on
// random texts.
#include "text/split/words.h"

#include <gtest/gtest.h>

#include <random>

#include "text/split/pre_tokenizer.h"
#include "text/split/runs.h"

namespace mill::text {
namespace {

// Code points that the patterns tell apart, and some of each kind that they don't. All older than
// any table's Unicode version.
constexpr uint32_t kTelling[] = {
    'a',    'b',    's',     't',    'l',   'e',   'r',    'v',    'm',     'd',     'A',   'S',
    'L',    'E',    '\'',    '\'',   ' ',   ' ',   '\t',   '\n',   '\r',    '0',     '7',   '.',
    '/',    '!',    '$',     '_',    '~',   0x85,  0xA0,   0x3000, 0x2028,  0xE9,    0xC9,  0x301,
    0x4E00, 0x9FA5, 0x3042,  0xAC00, 0x660, 0xB2,  0x2167, 0x17F,  0xAD,    0x200D,  0x1C,  0x7F,
    0x2019, 0x3002, 0x1F600, 0x93F,  0x1C5, 0x2B0, 0xFF21, 0x964,  0x10400, 0x1D400, 0xE000};

std::string random_text(std::mt19937& random) {
  std::string text;
  uint32_t code = 'a';
  for (uint32_t n = random() % 40 + 1; n > 0; --n) {
    if (random() % 4 != 0)
      code = kTelling[random() % std::size(kTelling)];  // else the same once more
    append_utf8(text, code);
  }
  return text;
}

Stages stage_of_pattern(const std::string& pattern) {
  auto stage = PatternStage::make(pattern, {});
  EXPECT_TRUE(stage) << stage.error().message;
  Stages stages;
  stages.push_back(std::move(*stage));
  return stages;
}

void expect_same(const PreTokenizer& by_hand, const PreTokenizer& by_pattern,
                 const std::string& what) {
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    std::mt19937 random(seed);
    const std::string text = random_text(random);
    Pieces got, expected;
    by_hand.cut(text, got);
    by_pattern.cut(text, expected);
    ASSERT_EQ(got, expected) << what << ", seed " << seed << ": " << text;
  }
}

struct Case {
  const char* name;  // of a pre-tokenizer with one stage
  std::string pattern;
};

const std::string kContractions = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))";
const std::string kWord = R"([^\r\n\p{L}\p{N}]?\p{L}+)";
const std::string kOther = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)";
const std::string kSpaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// [a-z] and [A-Z] alone have a case, as llama.cpp has it.
std::string cased(const std::string& letters, const std::string& after) {
  const std::string up = "(?:(?=[" + letters + "])[^a-z])", low = "(?:(?=[" + letters + "])[^A-Z])";
  const std::string lead = R"([^\r\n\p{L}\p{N}]?)";
  return lead + up + "*" + low + "+" + after + "|" + lead + up + "+" + low + "*" + after;
}

TEST(Words, SplitAsTheirPatterns) {
  const std::string slash = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)";
  const Case cases[] = {
      {"gpt-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
      {"llama-bpe", kContractions + "|" + kWord + R"(|\p{N}{1,3})" + kOther + kSpaces},
      {"qwen2", kContractions + "|" + kWord + R"(|\p{N})" + kOther + kSpaces},
      {"qwen35", kContractions +
                     R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" +
                     kSpaces},
      {"seed-coder", kContractions + "|" + kWord + R"(|\p{N}| ?[^\s\p{L}\p{N}]+)" + kSpaces},
      {"ufakzeka", kWord + R"(|\p{N})" + kOther + kSpaces},
      {"tekken", cased(R"(\p{L})", "") + R"(|\p{N})" + slash + kSpaces},
      {"gpt-4o", cased(R"(\p{L})", kContractions + "?") + R"(|\p{N}{1,3})" + slash + kSpaces},
      {"granite-embed-multi-97m",
       cased(R"(\p{L}\p{M})", kContractions + "?") + R"(|\p{N}{1,3})" + slash + kSpaces},
  };
  for (const Case& one : cases) {
    const auto by_hand = PreTokenizer::named(one.name);
    ASSERT_TRUE(by_hand);
    expect_same(*by_hand, PreTokenizer(stage_of_pattern(one.pattern)), one.name);
  }
}

TEST(Words, CasedByUnicodeSplitAsO200k) {
  const std::string contractions = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)";
  const std::string up = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])", low = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])",
                    lead = R"([^\r\n\p{L}\p{N}]?)";
  const std::string pattern = lead + up + "*" + low + "+" + contractions + "|" + lead + up + "+" +
                              low + "*" + contractions +
                              R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + kSpaces;
  Stages stages;
  stages.push_back(
      std::make_unique<Words>(WordPattern{.contractions = WordPattern::Contractions::kAfter,
                                          .long_s = true,
                                          .digits = 3,
                                          .letters = kLetter | kMark,
                                          .tail = WordPattern::Tail::kNewlinesAndSlash,
                                          .cased = true,
                                          .only_up = kUpper | kTitle,
                                          .only_low = kLower}));
  expect_same(PreTokenizer(std::move(stages)), PreTokenizer(stage_of_pattern(pattern)), "o200k");
}

TEST(Words, StagesInARowSplitAsTheirPatterns) {
  const auto in_a_row = [](const std::vector<std::string>& patterns) {
    Stages stages;
    for (const std::string& pattern : patterns)
      stages.push_back(std::move(stage_of_pattern(pattern)[0]));
    return PreTokenizer(std::move(stages));
  };
  const std::string gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"smollm", {R"(\p{N})", gpt2}},
      {"default", {R"([\p{P}$+<=>^~|]+)", gpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {"falcon", {R"([\p{P}$+<=>^~|`]+)", gpt2, "[0-9][0-9][0-9]"}},
      {"deepseek-coder",
       {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
        R"((?:(?!\s)[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}])+)", R"(\p{N})"}},
      {"deepseek-v3",
       {R"(\p{N}{1,3})", R"([\x{3040}-\x{30FF}\x{4E00}-\x{9FA5}]+)",
        R"([!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)" +
            kSpaces}},
      {"minicpm5",
       {R"(\p{N}{1,3})", kContractions + "|" + kWord + R"(|\p{N}+)" + kOther + kSpaces}},
      {"laguna", {R"([^\n]+|[\n]+)", kContractions + "|" + kWord + R"(|\p{N})" + kOther + kSpaces}},
      {"viking", {R"( ?[^(\s|.,!?…。，、।۔،)]+)", R"(\p{N})"}},
  };
  for (const auto& [name, patterns] : cases) {
    const auto by_hand = PreTokenizer::named(name);
    ASSERT_TRUE(by_hand);
    expect_same(*by_hand, in_a_row(patterns), name);
  }
}

TEST(Words, TrailingSpaceIsAPieceOfItsOwn) {
  Stages by_hand;
  by_hand.push_back(std::make_unique<EndSpace>());
  expect_same(PreTokenizer(std::move(by_hand)), PreTokenizer(stage_of_pattern(R"(\s+\z)")),
              R"(\s+$)");
}

TEST(PreTokenizer, AnUnknownNameIsNamed) {
  const auto found = PreTokenizer::named("no-such-model");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kUnsupported);
  EXPECT_NE(found.error().message.find("no-such-model"), std::string::npos);
}

TEST(PatternStage, BehavioursOfASplit) {
  using Behaviour = PatternStage::Behaviour;
  const auto cut = [](Behaviour behaviour, bool inverted, std::string_view text) {
    auto stage = PatternStage::make("-", {.behaviour = behaviour, .inverted = inverted});
    Pieces pieces;
    (*stage)->cut(text, pieces);
    return std::vector<std::string>(pieces.begin(), pieces.end());
  };
  using Strings = std::vector<std::string>;
  EXPECT_EQ(cut(Behaviour::kIsolated, false, "the-final--countdown"),
            (Strings{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(cut(Behaviour::kRemoved, false, "the-final--countdown"),
            (Strings{"the", "final", "countdown"}));
  EXPECT_EQ(cut(Behaviour::kRemoved, true, "the-final--countdown"), (Strings{"-", "-", "-"}));
  EXPECT_EQ(cut(Behaviour::kMergedWithPrevious, false, "the-final--countdown"),
            (Strings{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(cut(Behaviour::kMergedWithNext, false, "the-final--countdown"),
            (Strings{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(cut(Behaviour::kContiguous, false, "the-final--countdown"),
            (Strings{"the", "-", "final", "--", "countdown"}));
}

TEST(PatternStage, AMatchOfNothingCutsAndGoesOn) {
  auto stage = PatternStage::make(R"((?=(?:\d{3})+(?!\d)))", {});
  Pieces pieces;
  (*stage)->cut("n=1234567", pieces);
  EXPECT_EQ(pieces, (Pieces{"n=1", "234", "567"}));
}

TEST(PatternStage, WordsHaveMarks) {
  const auto cut = [](const char* pattern, std::string_view text) {
    auto stage = PatternStage::make(
        pattern, {.behaviour = PatternStage::Behaviour::kRemoved, .inverted = true});
    Pieces pieces;
    (*stage)->cut(text, pieces);
    return pieces;
  };
  EXPECT_EQ(cut(R"(\w+)", "a\u093F_1 \\ b"), (Pieces{"a\u093F_1", "b"}));
  EXPECT_EQ(cut(R"([^\w\s]+)", "a\u093F.! b"), (Pieces{".!"}));
  EXPECT_EQ(cut(R"(\W+)", "a\u093F.! b"), (Pieces{".! "}));
  EXPECT_EQ(cut(R"(\\w)", "a\\w"), (Pieces{"\\w"}));
}

TEST(PatternStage, ABadPatternIsRefused) {
  const auto stage = PatternStage::make("(", {});
  ASSERT_FALSE(stage);
  EXPECT_EQ(stage.error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace mill::text
