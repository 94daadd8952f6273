#include "gateway/kept_answers.h"

#include <gtest/gtest.h>

namespace mill::gateway {
namespace {

using std::chrono::hours;
using Answer = std::shared_ptr<const KeptAnswer>;

const Instant kStart = Instant{} + hours(1);

// Runs a request to its end; false where another answer was kept.
bool run(KeptAnswers& store, const std::string& key, const std::string& body, Instant at = kStart) {
  static int64_t seq = 0;
  auto found = store.begin(1, key, "/v1/x", "b", at);
  auto& turn_or_answer = std::get<KeptAnswers::Found>(found);
  if (std::holds_alternative<Answer>(turn_or_answer)) return false;
  auto& turn = std::get<KeptAnswers::Turn>(turn_or_answer);
  turn.is_of_type("t");
  turn.append(body);
  EXPECT_NE(turn.seal("r")->bytes.find(body), std::string::npos);
  turn.keep(++seq, at);
  return true;
}

TEST(KeptAnswers, TheOldestGoWhenTheRoomIsUsed) {
  KeptAnswers store({.bytes = 10'000});
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(run(store, "k" + std::to_string(i), std::string(1000, 'x')));
    EXPECT_LE(store.bytes(), 10'000U);
  }
  EXPECT_FALSE(run(store, "k99", ""));
  EXPECT_TRUE(run(store, "k0", ""));
  EXPECT_TRUE(run(store, "large", std::string(20'000, 'x')));
  EXPECT_TRUE(run(store, "large", std::string(20'000, 'x')));  // too large to keep
}

TEST(KeptAnswers, AnAnswerIsForgottenAfterItsTime) {
  KeptAnswers store({.keep = hours(24)});
  EXPECT_TRUE(run(store, "k", "a"));
  EXPECT_FALSE(run(store, "k", "b", kStart + hours(24)));
  EXPECT_TRUE(run(store, "k", "c", kStart + hours(25)));
}

TEST(KeptAnswers, OfAnAnswerThatIsTooLongItIsKnownThatItWasCharged) {
  KeptAnswers store;
  {
    auto found = store.begin(1, "k", "/v1/x", "b", kStart);
    auto& turn = std::get<KeptAnswers::Turn>(std::get<KeptAnswers::Found>(found));
    for (size_t i = 0; i <= KeptAnswers::kLongestAnswer / 1000; ++i)
      turn.append(std::string(1000, 'x'));
    EXPECT_LT(turn.seal("receipt-7")->bytes.size(), 1000U);
    turn.keep(1, kStart);
  }
  const auto found = store.begin(1, "k", "/v1/x", "b", kStart);
  const auto& refused = std::get<KeptAnswers::Refusal>(found);
  EXPECT_EQ(refused.status, 410);
  EXPECT_NE(refused.message.find("receipt-7"), std::string::npos);
}

TEST(KeptAnswers, WhatIsForgottenHereMayBeForgottenInTheJournal) {
  KeptAnswers store({.bytes = 3000});
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_TRUE(run(store, key, std::string(1000, 'x')));
  auto found = store.begin(1, "e", "/v1/x", "b", kStart);
  auto& turn = std::get<KeptAnswers::Turn>(std::get<KeptAnswers::Found>(found));
  const int64_t forgotten = turn.seal("r")->forget_through;
  EXPECT_GT(forgotten, 0);
  auto kept = store.begin(1, "d", "/v1/x", "b", kStart);
  EXPECT_LT(forgotten, std::get<Answer>(std::get<KeptAnswers::Found>(kept))->seq);
}

TEST(KeptAnswers, OwnersPathsAndBodiesAreToldApart) {
  KeptAnswers store;
  EXPECT_TRUE(run(store, "k", "a"));
  const auto refusal = [&](uint64_t owner, const char* key, const char* path, const char* body) {
    const auto found = store.begin(owner, key, path, body, kStart);
    const auto* refused = std::get_if<KeptAnswers::Refusal>(&found);
    return refused ? refused->status : 0;
  };
  EXPECT_EQ(refusal(1, "k", "/v1/x", "c"), 422);
  EXPECT_EQ(refusal(1, "k", "/v1/xb", ""), 422);
  EXPECT_EQ(refusal(2, "k", "/v1/x", "c"), 0);
  EXPECT_EQ(refusal(1, "", "/v1/x", "b"), 400);
  EXPECT_EQ(refusal(1, "a\x7f", "/v1/x", "b"), 400);
  EXPECT_EQ(refusal(1, std::string(256, 'k').c_str(), "/v1/x", "b"), 400);
}

}  // namespace
}  // namespace mill::gateway
