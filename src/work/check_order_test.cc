#include "work/check_order.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace mill::work {
namespace {

constexpr int64_t kVocabulary = 10, kContext = 8;

std::optional<Code> refused(std::vector<TokenId> prompt, int32_t max_tokens) {
  Order order;
  order.prompt = std::move(prompt);
  order.max_tokens = max_tokens;
  const Status checked = check_order(order, kVocabulary, kContext);
  if (checked) return {};
  return checked.error().code;
}

TEST(CheckOrder, TokensOfTheVocabularyThatFitTheContextPass) {
  EXPECT_EQ(refused({0, 9}, 6), std::nullopt);
  EXPECT_EQ(refused({0}, 0), std::nullopt);
  EXPECT_EQ(refused(std::vector<TokenId>(kContext, 1), 0), std::nullopt);
}

TEST(CheckOrder, OthersDoNot) {
  EXPECT_EQ(refused({}, 1), Code::kInvalid);
  EXPECT_EQ(refused({1, 10}, 1), Code::kInvalid);
  EXPECT_EQ(refused({1, -1}, 1), Code::kInvalid);
  EXPECT_EQ(refused({1}, -1), Code::kInvalid);
  EXPECT_EQ(refused({0, 9}, 7), Code::kTooLarge);
  EXPECT_EQ(refused({0, 9}, INT32_MAX), Code::kTooLarge);
}

}  // namespace
}  // namespace mill::work
