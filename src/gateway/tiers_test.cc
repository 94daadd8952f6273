// service_tier: what a request asks for is what it is served in, charged for and told, over real
// connections and a real journal.
#include <gtest/gtest.h>

#include "gateway/shop_for_test.h"

namespace mill::gateway {
namespace {

using ledger::Kind;
using maas::Tier;

maas::BookDraft tiered_prices() {
  maas::BookDraft draft = shop_prices();
  maas::PriceDraft& price = draft.models[0].prices[0];
  price.tiers = {{.tier = "priority", .factor = "2"}, {.tier = "flex", .factor = "0.5"}};
  price.batch_factor = "0.25";
  return draft;
}

std::string asking(const std::string& tier, const std::string& more = "") {
  return R"({"model":"org/tiny","max_tokens":20,"service_tier":)" + tier + more +
         R"(,"messages":[{"role":"user","content":"hi"}]})";
}

struct Tiers : testing::Test {
  ShopForTest shop{says("a fine answer"), 1'000'000, {}, tiered_prices()};
  void own_tier(Tier tier) { shop.must(maas::SetProjectShare{shop.project, tier, 1000}); }
  static std::string told(const net::RawResponse& response) {
    const auto body = boost::json::parse(response.body).as_object();
    return body.contains("service_tier") ? std::string(body.at("service_tier").as_string()) : "";
  }
  static std::string param(const net::RawResponse& response) {
    return std::string(boost::json::parse(response.body).at("error").at("param").as_string());
  }
};

TEST_F(Tiers, TheTierThatIsAskedIsHeldChargedServedAndTold) {
  own_tier(Tier::kPriority);
  struct Row {
    const char* asked;
    const char* told;
    Tier tier;
    int32_t level;
    int64_t quarters;  // of the plain price
  };
  for (const Row& row : {Row{"null", "priority", Tier::kPriority, 1, 8},
                         Row{"\"auto\"", "priority", Tier::kPriority, 1, 8},
                         Row{"\"priority\"", "priority", Tier::kPriority, 1, 8},
                         Row{"\"default\"", "default", Tier::kDefault, 0, 4},
                         Row{"\"flex\"", "flex", Tier::kFlex, -3, 2},
                         Row{"\"batch\"", "batch", Tier::kBatch, -30, 1}}) {
    SCOPED_TRACE(row.asked);
    const auto answer = shop.ask(asking(row.asked));
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(told(answer), row.told);
    const ledger::Entry settle = shop.entries(Kind::kSettle).back();
    const ledger::Entry hold = shop.entries(Kind::kHold).back();
    const int64_t input = settle.tokens.input_uncached, output = settle.tokens.output_text;
    const auto price = [&](int64_t out) {  // rounded half to even
      const int64_t quarters = (input + 4 * out) * row.quarters;
      const int64_t whole = quarters / 4, rest = quarters % 4;
      return whole + (rest > 2 || (rest == 2 && whole % 2 == 1) ? 1 : 0);
    };
    EXPECT_EQ(settle.amount, price(output));
    EXPECT_GE(hold.amount, price(20));
    EXPECT_LE(hold.amount, price(20) + 1);  // rounded up
    EXPECT_EQ(settle.tier, static_cast<uint8_t>(row.tier));
    EXPECT_EQ(hold.tier, static_cast<uint8_t>(row.tier));
    EXPECT_EQ(shop.mill.worker.orders().back().priority, row.level);
  }
}

TEST_F(Tiers, AStreamTellsItsTierInEveryEvent) {
  own_tier(Tier::kPriority);
  const auto answer = shop.ask(asking("\"flex\"", R"(,"stream":true)"));
  ASSERT_EQ(answer.status, 200);
  for (const std::string& event : events_of(answer.body)) {
    if (event == "[DONE]") continue;
    EXPECT_EQ(boost::json::parse(event).at("service_tier"), "flex") << event;
  }
}

TEST_F(Tiers, ABetterTierThanTheProjectsIsForbidden) {
  for (const auto& [own, asked] :
       {std::pair{Tier::kDefault, "\"priority\""}, std::pair{Tier::kFlex, "\"default\""},
        std::pair{Tier::kBatch, "\"flex\""}}) {
    own_tier(own);
    const auto refused = shop.ask(asking(asked));
    EXPECT_EQ(refused.status, 403) << asked;
    EXPECT_EQ(param(refused), "service_tier");
  }
  EXPECT_TRUE(shop.entries(Kind::kHold).empty());
  EXPECT_TRUE(shop.mill.worker.orders().empty());
}

TEST(PlainTiers, ATierThatIsNotSoldIsRefusedByName) {
  ShopForTest shop(says("ok"));
  shop.must(maas::SetProjectShare{shop.project, Tier::kPriority, 1000});
  for (const char* tier : {"\"priority\"", "\"flex\"", "\"batch\"", "null"}) {
    const auto refused = shop.ask(asking(tier));
    EXPECT_EQ(refused.status, 400) << tier;
    EXPECT_EQ(boost::json::parse(refused.body).at("error").at("param"), "service_tier");
  }
  EXPECT_TRUE(shop.entries(Kind::kHold).empty());
  EXPECT_EQ(shop.ask(asking("\"default\"")).status, 200);
}

TEST_F(Tiers, OtherWordsAreRefused) {
  for (const char* word : {"\"scale\"", "\"fast\"", "\"\"", "\"Default\"", "7", "[]", "true"}) {
    const auto refused = shop.ask(asking(word));
    EXPECT_EQ(refused.status, 400) << word;
    EXPECT_EQ(param(refused), "service_tier");
  }
}

TEST_F(Tiers, TextCompletionsHaveThemToo) {
  own_tier(Tier::kPriority);
  net::RawClient connection = shop.mill.client();
  connection.send(MillForTest::request(
      "POST", "/v1/completions",
      R"({"model":"org/tiny","prompt":"hi","max_tokens":4,"service_tier":"flex"})",
      ShopForTest::auth(shop.key)));
  const auto answer = connection.response();
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(told(answer), "flex");
}

TEST(OpenTiers, AnOpenServerHasNone) {
  MillForTest mill(says("ok"));
  for (const char* tier : {"null", "\"auto\"", "\"default\""}) {
    const auto answer = mill.post("/v1/chat/completions", asking(tier));
    EXPECT_EQ(answer.status, 200) << tier;
    EXPECT_EQ(answer.body.find("service_tier"), std::string::npos);
  }
  for (const char* tier : {"\"flex\"", "\"priority\"", "\"batch\""})
    EXPECT_EQ(mill.post("/v1/chat/completions", asking(tier)).status, 400) << tier;
}

}  // namespace
}  // namespace mill::gateway
