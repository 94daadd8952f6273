#include "engine/ngram_drafter.h"

#include <gtest/gtest.h>

#include <random>

namespace mill::engine {
namespace {

using Tokens = std::vector<TokenId>;

Tokens guess(NgramDrafter& drafter, const Tokens& tokens, int64_t most = 8) {
  Tokens draft = {-7};
  drafter.propose(tokens, most, draft);
  return draft;
}

TEST(NgramDrafter, WhatFollowedBeforeIsGuessed) {
  NgramDrafter drafter;
  EXPECT_EQ(guess(drafter, {1, 2, 3, 4, 5, 6, 9, 1, 2, 3}), (Tokens{4, 5, 6, 9}));
}

TEST(NgramDrafter, NothingIsGuessedWithoutAnEarlierPlace) {
  NgramDrafter drafter;
  EXPECT_TRUE(guess(drafter, {1}).empty());
  EXPECT_TRUE(guess(drafter, {1, 2, 3}).empty());
  EXPECT_TRUE(guess(drafter, {1, 2, 3, 4, 5, 6, 9, 8, 2, 3}).empty()) << "two tokens are too few";
  EXPECT_TRUE(guess(drafter, {1, 2, 3, 4, 5, 6, 9, 8, 2, 3}, 0).empty());
}

TEST(NgramDrafter, TheLongestMatchIsFollowedAndOfEqualOnesTheLatest) {
  NgramDrafter drafter;
  EXPECT_EQ(guess(drafter, {8, 1, 2, 3, 50, 9, 1, 2, 3, 60, 8, 1, 2, 3}, 1), Tokens{50});
  NgramDrafter other;
  EXPECT_EQ(guess(other, {7, 1, 2, 3, 50, 9, 1, 2, 3, 60, 8, 1, 2, 3}, 1), Tokens{60});
}

TEST(NgramDrafter, ATextThatRepeatsItselfGoesOn) {
  NgramDrafter drafter;
  EXPECT_EQ(guess(drafter, {5, 6, 5, 6, 5}, 4), (Tokens{6, 5, 6, 5}));
  NgramDrafter same;
  EXPECT_EQ(guess(same, {4, 4, 4, 4, 4, 4}, 4), (Tokens{4, 4, 4, 4}));
}

TEST(NgramDrafter, SuccessMakesItBoldAndFailureCautious) {
  NgramDrafter drafter;
  const Tokens text = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 99, 1, 2, 3};
  EXPECT_EQ(guess(drafter, text, 100).size(), 4U);
  drafter.learn(4, 4);
  EXPECT_EQ(guess(drafter, text, 100).size(), 8U);
  drafter.learn(8, 1);
  EXPECT_EQ(guess(drafter, text, 100).size(), 5U);
  drafter.learn(5, 0);
  EXPECT_EQ(guess(drafter, text, 100).size(), 3U);
  drafter.learn(3, 0);
  EXPECT_TRUE(guess(drafter, text, 100).empty());
  EXPECT_TRUE(guess(drafter, text, 100).empty());
  EXPECT_EQ(guess(drafter, text, 100).size(), 2U) << "tries again after a pause";
  for (int i = 0; i < 20; ++i) drafter.learn(1, 0);
  int quiet = 0;
  while (guess(drafter, text, 100).empty()) ++quiet;
  EXPECT_EQ(quiet, 64);
  Tokens quotation;
  for (TokenId t = 0; t < 40; ++t) quotation.push_back(t);
  for (TokenId t = 0; t < 20; ++t) quotation.push_back(t);
  NgramDrafter paused;
  for (int i = 0; i < 20; ++i) paused.learn(1, 0);
  EXPECT_EQ(guess(paused, quotation, 6), (Tokens{20, 21, 22, 23, 24, 25})) << "a long quotation";
}

// Against the plain way: look at every earlier place.
TEST(NgramDrafter, AgreesWithASearchOfTheWholeText) {
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    NgramDrafter drafter({.candidates = 1 << 20, .first_draft = 1});
    Tokens text;
    for (int step = 0; step < 300; ++step) {
      text.push_back(static_cast<TokenId>(random() % 4));
      const Tokens draft = guess(drafter, text);
      size_t best = 0;
      TokenId next = kNoToken;
      for (size_t end = text.size() - 1; end >= 1; --end) {
        size_t length = 0;
        while (length < end && length < 32 &&
               text[end - 1 - length] == text[text.size() - 1 - length]) {
          ++length;
        }
        if (length > best) {
          best = length;
          next = text[end];
        }
      }
      if (text.size() <= 3 || best < 3) {
        ASSERT_TRUE(draft.empty());
      } else {
        ASSERT_FALSE(draft.empty());
        ASSERT_EQ(draft.front(), next) << "match of " << best << " in round " << round;
      }
      if (random() % 10 == 0) text.insert(text.end(), 5, static_cast<TokenId>(random() % 4));
    }
  }
}

}  // namespace
}  // namespace mill::engine
