#include "gateway/kept_answers.h"

#include <gtest/gtest.h>

namespace mill::gateway {
namespace {

using std::chrono::hours;
using Answer = std::shared_ptr<const KeptAnswer>;

const Instant kStart = Instant{} + hours(1);

// Runs a request to its end; false where another answer was kept.
bool run(KeptAnswers& store, const std::string& key, std::string body, Instant at = kStart) {
  auto found = store.begin(1, key, "/v1/x", "b", at);
  auto& turn = std::get<KeptAnswers::Found>(found);
  if (std::holds_alternative<Answer>(turn)) return false;
  std::get<KeptAnswers::Turn>(turn).keep({.content_type = "t", .body = std::move(body)});
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
