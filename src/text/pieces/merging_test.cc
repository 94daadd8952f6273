// Byte pairs and scored pieces against the definition of each, on random vocabularies and words.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "text/pieces/byte_pairs.h"
#include "text/pieces/scored_pieces.h"

namespace mill::text {
namespace {

using Strings = std::vector<std::string>;

// While there is something to merge: the best neighbours, the leftmost of equals. rank(left, right)
// is -1 where nothing can be merged.
template <class Rank>
Strings merged_by_definition(Strings symbols, Rank rank) {
  for (;;) {
    int64_t best = -1;
    size_t place = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const int64_t one = rank(symbols[i], symbols[i + 1]);
      if (one >= 0 && (best < 0 || one < best)) best = one, place = i;
    }
    if (best < 0) return symbols;
    symbols[place] += symbols[place + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

Strings letters_of(const std::string& word) {
  Strings out;
  for (const char c : word) out.emplace_back(1, c);
  return out;
}

std::shared_ptr<const StringTable> table_of(std::initializer_list<std::string_view> strings) {
  return std::make_shared<const StringTable>(strings);
}

std::string random_word(std::mt19937& random, uint32_t longest, uint32_t letters) {
  std::string out;
  for (uint32_t n = random() % longest + 1; n > 0; --n)
    out.push_back(static_cast<char>('a' + random() % letters));
  return out;
}

class RandomMerging : public testing::TestWithParam<uint32_t> {};  // the longest word

TEST_P(RandomMerging, BytePairsFollowTheDefinition) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    const uint32_t letters = random() % 3 + 1;
    BytePairs::Parts parts;
    Strings pieces;
    for (uint32_t i = 0; i < letters; ++i) pieces.emplace_back(1, static_cast<char>('a' + i));
    std::map<std::pair<std::string, std::string>, int64_t> ranks;
    for (uint32_t n = random() % 30; n > 0; --n) {
      const std::string left = pieces[random() % pieces.size()],
                        right = pieces[random() % pieces.size()];
      if (left.size() + right.size() > 40) continue;
      if (std::find(pieces.begin(), pieces.end(), left + right) == pieces.end())
        pieces.push_back(left + right);
      ranks.emplace(std::pair(left, right), static_cast<int64_t>(parts.merges.size() / 2));
      parts.merges.append(Strings{left, right});
    }
    // In any order: a piece may be needed before it can be made.
    parts.pieces = std::make_shared<const StringTable>(std::span<const std::string>(pieces));
    const auto pairs = BytePairs::build(std::move(parts));
    ASSERT_TRUE(pairs);
    BytePairs::Memory memory;
    for (int round = 0; round < 5; ++round) {
      const std::string word = random_word(random, GetParam(), letters);
      const Strings expected = merged_by_definition(
          letters_of(word), [&](const std::string& left, const std::string& right) {
            const auto found = ranks.find({left, right});
            return found == ranks.end() ? -1 : found->second;
          });
      for (int again = 0; again < 2; ++again) {  // the second time it may know the whole word
        std::vector<TokenId> ids;
        pairs->encode(word, memory, ids);
        Strings got;
        for (const TokenId id : ids) got.push_back(pieces[static_cast<size_t>(id)]);
        ASSERT_EQ(got, expected) << "seed " << seed << ": " << word;
      }
    }
  }
}

TEST_P(RandomMerging, ScoredPiecesFollowTheDefinition) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    const uint32_t letters = random() % 4 + 1;
    std::map<std::string, float> scores;
    for (uint32_t i = 0; i + 1 < letters; ++i)
      scores[std::string(1, static_cast<char>('a' + i))] = 0;  // the last letter is no piece
    for (uint32_t n = random() % 40; n > 0; --n) {
      std::string piece = random_word(random, 6, letters);
      if (random() % 4 == 0) piece.insert(0, "\xE2\x96\x81");
      scores[piece] = -static_cast<float>(random() % 12) / 2;  // with equals, and with -0
    }
    ScoredPieces::Parts parts;
    Strings pieces;
    for (const auto& [piece, score] : scores) {
      pieces.push_back(piece);
      parts.scores.push_back(score);
    }
    for (int byte = 0; byte < 256; ++byte) {
      parts.bytes[byte] = static_cast<TokenId>(pieces.size());
      pieces.push_back(std::string("<") + static_cast<char>(byte));
      parts.scores.push_back(0);
    }
    for (const std::string& piece : pieces) parts.hidden.push_back(piece[0] == '<');
    parts.pieces = std::make_shared<const StringTable>(std::span<const std::string>(pieces));
    const ScoredPieces scored(parts);
    ScoredPieces::Memory memory;
    for (int round = 0; round < 5; ++round) {
      std::string text = random_word(random, GetParam(), letters);
      for (char& c : text)
        if (random() % 5 == 0) c = ' ';
      Strings symbols;
      for (const char c : text) symbols.push_back(c == ' ' ? "\xE2\x96\x81" : std::string(1, c));
      Strings expected;
      for (const std::string& symbol : merged_by_definition(
               symbols, [&](const std::string&left, const std::string&right) -> int64_t {
                 const auto found = scores.find(left + right);
                 return found == scores.end() ? -1 : static_cast<int64_t>(-found->second * 2);
               })) {
        if (scores.contains(symbol)) {
          expected.push_back(symbol);
        } else {
          for (const char byte : symbol) expected.push_back(std::string("<") + byte);
        }
      }
      for (int again = 0; again < 2; ++again) {
        std::vector<TokenId> ids;
        scored.encode(text, memory, ids);
        Strings got;
        for (const TokenId id : ids) got.push_back(pieces[static_cast<size_t>(id)]);
        ASSERT_EQ(got, expected) << "seed " << seed << ": " << text;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Words, RandomMerging, testing::Values(8, 38, 45, 300));

TEST(BytePairs, AMergeWithoutItsPieceIsCorrupt) {
  for (const auto& [left, right] : {std::pair{"a", "x"}, {"x", "a"}, {"b", "a"}}) {
    const auto built = BytePairs::build({.pieces = table_of({"a", "b", "ab"}),  //
                                         .merges = {"a", "b", left, right}});
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code, Code::kCorrupt);
    EXPECT_NE(built.error().message.find("merge 1"), std::string::npos) << built.error().message;
  }
}

TEST(BytePairs, CharactersFallBackToBytesOrToUnknown) {
  BytePairs::Parts parts{.pieces = table_of({"a", "", "?"}),
                         .options = {.by_characters = true, .unknown = 2}};
  parts.bytes.fill(kNoToken);
  const auto encode = [](const BytePairs& pairs, std::string_view word) {
    BytePairs::Memory memory;
    std::vector<TokenId> ids;
    pairs.encode(word, memory, ids);
    return ids;
  };
  EXPECT_EQ(encode(*BytePairs::build(parts), "aéüa"), (std::vector<TokenId>{0, 2, 2, 0}));
  parts.options.fuse_unknown = true;
  EXPECT_EQ(encode(*BytePairs::build(parts), "aéüa"), (std::vector<TokenId>{0, 2, 0}));
  parts.options.byte_fallback = true;
  for (int byte = 0; byte < 256; ++byte) parts.bytes[byte] = 1000 + byte;
  EXPECT_EQ(encode(*BytePairs::build(parts), "aé"),
            (std::vector<TokenId>{0, 1000 + 0xC3, 1000 + 0xA9}));
}

}  // namespace
}  // namespace mill::text
