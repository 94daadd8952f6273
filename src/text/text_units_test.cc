// A text that is cut in two where TextUnits may cut gives the ids of the whole one, with every
// pre-tokenizer, for texts made to break that; and with the cache, whatever a conversation is made
// of.
#include "text/text_units.h"

#include <gtest/gtest.h>

#include <random>

#include "text/split/pre_tokenizer.h"
#include "text/split/runs.h"
#include "text/test_vocabulary.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

namespace mill::text {
namespace {

using Ids = std::vector<TokenId>;

constexpr const char* kNames[] = {
    "default",   "gpt-2",        "smollm",         "falcon",      "llama3",
    "smaug-bpe", "qwen2",        "qwen35",         "seed-coder",  "gpt-4o",
    "minicpm5",  "ufakzeka",     "laguna",         "tekken",      "bloom",
    "viking",    "deepseek-llm", "deepseek-coder", "deepseek-v3", "granite-embed-multi-97m"};

constexpr uint32_t kTelling[] = {
    'a',   'b',  's',    't',    'l',     'e',   'r',   'v',   'm',    'd',    'A',    'S',   'L',
    '\'',  ' ',  ' ',    ' ',    ' ',     '\t',  '\n',  '\r',  '0',    '7',    '.',    '/',   '!',
    '$',   '_',  0x85,   0xA0,   0x3000,  0xE9,  0xC9,  0x301, 0x4E00, 0x3042, 0xAC00, 0x660, 0xB2,
    0x17F, 0xAD, 0x2019, 0x3002, 0x1F600, 0x1C5, 0x2B0, 0x964, 0x2581, 0x345,  0x327};

std::string random_text(std::mt19937& random, uint32_t most, bool broken) {
  std::string text;
  for (uint32_t n = random() % most + 1; n > 0; --n) {
    if (broken && random() % 8 == 0)
      text += static_cast<char>(random() % 256);
    else
      append_utf8(text, kTelling[random() % std::size(kTelling)]);
  }
  return text;
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

TEST(TextUnits, EveryPlaceBehindALetterDividesThePieces) {
  for (const char* const name : kNames) {
    const PreTokenizer cutter = *PreTokenizer::named(name);
    ASSERT_TRUE(cutter.cuts_at_spaces()) << name;
    int places = 0;
    for (uint32_t seed = 0; seed < 3000; ++seed) {
      std::mt19937 random(seed);
      const std::string text = random_text(random, 40, false);
      Pieces whole, left, right;
      cutter.cut(text, whole);
      for (size_t at = 1; at < text.size(); ++at) {
        if (text[at] != ' ' || !is_letter(text[at - 1])) continue;
        ++places;
        cutter.cut(std::string_view(text).substr(0, at), left);
        cutter.cut(std::string_view(text).substr(at), right);
        left.insert(left.end(), right.begin(), right.end());
        ASSERT_EQ(left, whole) << name << ", seed " << seed << ", at " << at << ": " << text;
      }
    }
    EXPECT_GT(places, 1000);
  }
}

TEST(TextUnits, OwnPatternsAndTextsWithoutStagesAreNotDivided) {
  Stages stages;
  stages.push_back(*PatternStage::make(R"(\w+ \w+|\s)", {}));
  EXPECT_FALSE(PreTokenizer(std::move(stages)).cuts_at_spaces());
  EXPECT_FALSE(PreTokenizer(Stages()).cuts_at_spaces());
  Stages with_space;
  with_space.push_back(std::make_unique<Runs>(CodeClass(kLetter | kSpace, {})));
  EXPECT_FALSE(PreTokenizer(std::move(with_space)).cuts_at_spaces());
  Stages digits;
  digits.push_back(std::make_unique<Runs>(CodeClass(kNumber, {})));
  EXPECT_FALSE(PreTokenizer(std::move(digits)).cuts_at_spaces()) << "nothing cuts there";
}

TEST(TextUnits, NormalFormsKeepBothSidesApart) {
  using Kind = Normalizer::Step::Kind;
  for (const Kind kind :
       {Kind::kNfc, Kind::kNfd, Kind::kNfkc, Kind::kNfkd, Kind::kLowercase, Kind::kStripMarks,
        Kind::kStripAccents, Kind::kBertClean, Kind::kBertChinese}) {
    const Normalizer normalizer({{kind}});
    ASSERT_TRUE(normalizer.keeps_spaces_apart());
    for (uint32_t seed = 0; seed < 2000; ++seed) {
      std::mt19937 random(seed);
      const std::string text = random_text(random, 40, false);
      const std::string whole = normalizer.apply(text, true);
      for (size_t at = 1; at < text.size(); ++at) {
        if (text[at] != ' ' || !is_letter(text[at - 1])) continue;
        const std::string left = normalizer.apply(std::string_view(text).substr(0, at), true);
        const std::string right = normalizer.apply(std::string_view(text).substr(at), false);
        ASSERT_TRUE(is_letter(left.back()) && right.front() == ' ');
        ASSERT_EQ(left + right, whole) << "seed " << seed << ", at " << at << ": " << text;
      }
    }
  }
  for (const Kind kind : {Kind::kReplace, Kind::kPrepend, Kind::kPrependIfNew,
                          Kind::kPrependIfFirst, Kind::kPrependIfNoSpace})
    EXPECT_FALSE(Normalizer({{kind, "a ", "b"}}).keeps_spaces_apart());
}

// Long enough for many units; made of a few parts, so that whole units come again.
std::string long_text(std::mt19937& random, const std::vector<std::string>& parts) {
  std::string text;
  for (uint32_t n = random() % 12; n > 0; --n) text += parts[random() % parts.size()];
  return text;
}

std::vector<std::string> parts_of(std::mt19937& random) {
  std::vector<std::string> parts;
  for (int i = 0; i < 6; ++i) {
    std::string part;
    while (part.size() < 3000) {
      for (uint32_t n = random() % 6 + 1; n > 0; --n) part += static_cast<char>('a' + random() % 4);
      part += random() % 3 == 0 ? random_text(random, 6, i % 3 == 0) : " ";
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

void expect_same_ids(const Tokenizer& tokenizer, const std::string& what, bool divided) {
  TokenCache cache(100'000);  // so small that it forgets all the time
  for (uint32_t seed = 0; seed < 4; ++seed) {
    std::mt19937 random(seed);
    const std::vector<std::string> parts = parts_of(random);
    for (int round = 0; round < 6; ++round) {
      std::vector<std::string> texts;
      std::vector<TextSpan> spans;
      for (uint32_t n = random() % 4 + 1; n > 0; --n) texts.push_back(long_text(random, parts));
      for (const std::string& text : texts) {
        spans.push_back({"<|im_end|>", random() % 2 == 0});
        spans.push_back({text, random() % 4 == 0});
      }
      const TokenCache::Owner owner{random() % 2, 0};
      ASSERT_EQ(tokenizer.encode(spans, Tokenizer::Ends::kNone, {&cache, owner}),
                tokenizer.encode(spans, Tokenizer::Ends::kNone))
          << what << ", seed " << seed << ", round " << round;
    }
  }
  if (divided) {
    EXPECT_GT(cache.counts().hits, 0) << what;
  }
}

TEST(TextUnits, WithTheCacheAndWithoutTheIdsAreTheSame) {
  for (const char* const name : kNames) {
    Vocabulary vocabulary =
        byte_vocabulary({"a b", "ab c", "Ġ a", "Ġa b", "d d", "a d"}, {"<|im_end|>"});
    vocabulary.pre = name;
    expect_same_ids(*Tokenizer::build(std::move(vocabulary)), name, true);
  }
  for (const bool space_in_front : {false, true}) {
    for (const bool joined : {false, true}) {
      std::vector<std::string> pieces{"▁", "a", "▁a", "ab", "▁ab", "bc", "cd", "d▁"};
      if (joined)
        for (const char* across : {"a▁", "b▁", "c▁", "d▁a"}) pieces.push_back(across);
      Vocabulary vocabulary = scored_vocabulary(pieces, {"<|im_end|>"});
      vocabulary.add_space_prefix = space_in_front;
      expect_same_ids(*Tokenizer::build(std::move(vocabulary)),
                      std::string("scored pieces") + (joined ? ", joined" : ""), !joined);
    }
  }
}

}  // namespace
}  // namespace mill::text
