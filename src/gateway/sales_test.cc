// What the gateway does with keys, limits and money, over real connections and a real journal.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "gateway/house_for_test.h"
#include "gateway/shop_for_test.h"

namespace mill::gateway {
namespace {

using ledger::Balance;
using ledger::Kind;
using ledger::Reason;

constexpr const char* kHello =
    R"({"model":"org/tiny","max_tokens":20,"messages":[{"role":"user","content":"hi"}]})";
constexpr const char* kStream =
    R"({"model":"org/tiny","max_tokens":20,"stream":true,"messages":[{"role":"user","content":"hi"}]})";

std::string member(const net::RawResponse& response, const char* name) {
  boost::system::error_code bad;
  const auto body = boost::json::parse(response.body, bad);
  if (bad || !body.is_object() || !body.as_object().contains("error")) return response.body;
  const auto& value = body.at("error").at(name);
  return value.is_string() ? std::string(value.as_string()) : boost::json::serialize(value);
}
int64_t tokens(const net::RawResponse& response, const char* name) {
  return boost::json::parse(response.body).at("usage").at(name).to_number<int64_t>();
}

TEST(Sales, WithoutAKeyNobodyIsLetIn) {
  ShopForTest shop(says("ok"));
  for (const std::string& headers :
       {std::string(), std::string("Authorization: Bearer sk-nonsense\r\n"),
        ShopForTest::auth(shop.key + "x"), std::string("Authorization: Basic abc\r\n")}) {
    const auto refused = shop.ask(kHello, headers);
    EXPECT_EQ(refused.status, 401);
    EXPECT_EQ(member(refused, "code"), "invalid_api_key");
    EXPECT_EQ(member(refused, "param"), "null");
    EXPECT_EQ(refused.header("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(refused.body.find(shop.key), std::string::npos);
  }
  EXPECT_TRUE(shop.mill.worker.orders().empty());
}

TEST(Sales, AnAdminKeyCannotInfer) {
  ShopForTest shop(says("ok"));
  const auto refused = shop.ask(kHello, ShopForTest::auth(shop.admin));
  EXPECT_EQ(refused.status, 403);
  EXPECT_TRUE(shop.entries(Kind::kHold).empty());
}

TEST(Sales, AnAnswerIsHeldAndSettled) {
  ShopForTest shop(says("a fine answer"));
  const auto answer = shop.ask(kHello);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto settles = shop.durable(Kind::kSettle);  // when the answer is here
  ASSERT_EQ(settles.size(), 1u);
  const ledger::Entry& settle = settles[0];
  EXPECT_EQ(settle.tokens.input_uncached, tokens(answer, "prompt_tokens"));
  EXPECT_EQ(settle.tokens.output_text, tokens(answer, "completion_tokens"));
  EXPECT_EQ(settle.amount, settle.tokens.input_uncached + 4 * settle.tokens.output_text);
  EXPECT_EQ(settle.reason, Reason::kStop);
  EXPECT_EQ(settle.model, "org/tiny");
  EXPECT_EQ(ledger::to_string(settle.hold), answer.header("X-Tokenmill-Receipt"));
  EXPECT_EQ(shop.balance(),
            (Balance{.credit = 1'000'000 - settle.amount, .charged = settle.amount}));
  EXPECT_EQ(settle.payer, (ledger::Payer{shop.org, shop.project, shop.key_serial}));
}

TEST(Sales, TheEntrySaysWhatElectricityAllChoicesTook) {
  ShopForTest shop(says_in("a fine answer", std::chrono::milliseconds(250)), 1'000'000, {},
                   shop_prices(), house_for_test());
  ASSERT_EQ(shop.ask(kHello).status, 200);
  ASSERT_EQ(shop.ask(kStream).status, 200);
  const std::string two = R"({"model":"org/tiny","max_tokens":20,"n":2,"messages":[)"
                          R"({"role":"user","content":"hi"}]})";
  ASSERT_EQ(shop.ask(two).status, 200);
  const auto settles = shop.durable(Kind::kSettle);
  ASSERT_EQ(settles.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const int64_t answers = i == 2 ? 2 : 1;
    EXPECT_EQ(settles[i].microjoules, answers * 25'000'000) << i;
    EXPECT_EQ(settles[i].energy_cost, answers * 2'500) << i;
    EXPECT_EQ(settles[i].co2_micrograms, answers * 1'250) << i;
    EXPECT_TRUE(settles[i].flags & ledger::kEnergyModel) << i;
    EXPECT_TRUE(settles[i].flags & ledger::kEnergyPriced) << i;
  }
  ASSERT_TRUE(shop.office->till().book_overhead());
  const std::string metrics = shop.mill.get("/metrics").body;
  for (const char* line :
       {"tokenmill_energy_joules_total{source=\"model\",part=\"requests\"} 100\n",
        "tokenmill_energy_joules_total{source=\"model\",part=\"overhead\"} 100\n",
        "tokenmill_co2_grams_total{source=\"model\",part=\"requests\"} 0.005\n"})
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
}

TEST(Sales, AnEntryOfAMillThatMeasuresNothingDoesNotSay) {
  ShopForTest shop(says_in("a fine answer", std::chrono::milliseconds(250)));
  ASSERT_EQ(shop.ask(kHello).status, 200);
  const auto settles = shop.durable(Kind::kSettle);
  ASSERT_EQ(settles.size(), 1u);
  EXPECT_EQ(settles[0].microjoules, 0);
  EXPECT_EQ(settles[0].flags & (ledger::kEnergyModel | ledger::kEnergyRapl), 0u);
  EXPECT_EQ(shop.mill.get("/metrics").body.find("tokenmill_energy"), std::string::npos);
}

TEST(Sales, AStreamIsSettledBeforeItsLastByte) {
  ShopForTest shop(says("a fine answer"));
  const auto answer = shop.ask(kStream);
  ASSERT_EQ(answer.status, 200);
  ASSERT_EQ(events_of(answer.body).back(), "[DONE]");
  const auto settles = shop.durable(Kind::kSettle);
  ASSERT_EQ(settles.size(), 1u);
  EXPECT_EQ(settles[0].tokens.output_text, shop.mill.worker.generated());
  EXPECT_TRUE(settles[0].flags & ledger::kStream);
  EXPECT_EQ(shop.balance().held, 0);
}

TEST(Sales, TheKeyOfAnthropicsClientsIsUnderstood) {
  ShopForTest shop(says("ok"));
  EXPECT_EQ(shop.ask(kHello, "x-api-key: " + shop.key + "\r\n").status, 200);
}

TEST(Sales, AnAliasIsItsModel) {
  ShopForTest shop(says("ok"));
  const auto answer =
      shop.ask(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"max_tokens":20})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(shop.entries(Kind::kSettle).at(0).model, "org/tiny");
}

TEST(Sales, AModelThatIsNotHereFallsBackAndTheOneThatAnswersSetsThePrice) {
  maas::BookDraft prices = shop_prices();
  maas::ModelDraft gone{.id = "gone", .fallbacks = {"nowhere", "org/tiny"}};
  gone.prices = {{.currency = "USD", .rates = {.input = "9", .output = "9"}}};
  maas::ModelDraft nowhere = gone;
  nowhere.id = "nowhere";
  nowhere.fallbacks.clear();
  prices.models.push_back(gone);
  prices.models.push_back(nowhere);
  ShopForTest shop(says("ok"), 1'000'000, {}, prices);
  const auto answer =
      shop.ask(R"({"model":"gone","messages":[{"role":"user","content":"hi"}],"max_tokens":20})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(shop.entries(Kind::kSettle).at(0).model, "org/tiny");
}

TEST(Sales, ARetiredModelNamesItsReplacementAndADeprecatedOneWarns) {
  maas::BookDraft prices = shop_prices();
  prices.models[0].deprecated_at = "2024-01-01";
  prices.models[0].retires_at = "2199-01-01";
  prices.models[1].retires_at = "2024-01-01";
  prices.models[1].replacement = "org/tiny";
  ShopForTest shop(says("ok"), 1'000'000, {}, prices);
  const auto warned = shop.ask(kHello);
  EXPECT_EQ(warned.header("Deprecation"), "@1704067200");
  EXPECT_EQ(warned.header("Sunset"), "Tue, 01 Jan 2199 00:00:00 GMT");
  const auto gone = shop.ask(R"({"model":"base","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(gone.status, 404);
  EXPECT_NE(member(gone, "message").find("org/tiny"), std::string::npos);
}

TEST(Sales, AKeyMayUseTheModelsOfItsListAlone) {
  ShopForTest shop(says("ok"));
  const auto [narrow, serial] =
      shop.new_key({.project = shop.project, .name = "narrow", .only = {.models = {"base"}}});
  const auto refused = shop.ask(kHello, ShopForTest::auth(narrow));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(member(refused, "param"), "model");
  const auto [alias, other] =
      shop.new_key({.project = shop.project, .name = "alias", .only = {.models = {"tiny"}}});
  EXPECT_EQ(shop.ask(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}]})",
                     ShopForTest::auth(alias))
                .status,
            200);
}

TEST(Sales, AKeyOfAnotherNetworkIsForbidden) {
  ShopForTest shop(says("ok"));
  const auto [far, serial] =
      shop.new_key({.project = shop.project,
                    .name = "far",
                    .only = {.networks = {*maas::parse_cidr("10.0.0.0/8")}}});
  EXPECT_EQ(shop.ask(kHello, ShopForTest::auth(far)).status, 403);
  const auto [near, other] =
      shop.new_key({.project = shop.project,
                    .name = "near",
                    .only = {.networks = {*maas::parse_cidr("127.0.0.0/8")}}});
  EXPECT_EQ(shop.ask(kHello, ShopForTest::auth(near)).status, 200);
}

TEST(Sales, BehindATrustedProxyTheClientsAddressCounts) {
  MillForTest::Setup setup;
  setup.options.trusted_proxies = {*maas::parse_cidr("127.0.0.0/8"),
                                   *maas::parse_cidr("10.0.0.0/8")};
  ShopForTest shop(says("ok"), 1'000'000, std::move(setup));
  const auto [office, serial] =
      shop.new_key({.project = shop.project,
                    .name = "office",
                    .only = {.networks = {*maas::parse_cidr("203.0.113.0/24")}}});
  const auto status = [&, key = office](const std::string& headers) {
    return shop.ask(kHello, ShopForTest::auth(key) + headers).status;
  };
  EXPECT_EQ(status("X-Forwarded-For: 203.0.113.9\r\n"), 200);
  EXPECT_EQ(status("X-Forwarded-For: 203.0.113.9, 10.0.0.7\r\n"), 200);
  EXPECT_EQ(status(""), 403);
  // What the client wrote itself, and the proxy added to.
  EXPECT_EQ(status("X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n"), 403);
  EXPECT_EQ(status("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.7\r\n"), 403);
  EXPECT_EQ(status("X-Forwarded-For: 203.0.113.9, nonsense\r\n"), 403);
  EXPECT_EQ(status("Forwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n"), 403);
}

TEST(Sales, WithoutATrustedProxyNobodysWordForHisAddressCounts) {
  ShopForTest shop(says("ok"));
  const auto [office, serial] =
      shop.new_key({.project = shop.project,
                    .name = "office",
                    .only = {.networks = {*maas::parse_cidr("203.0.113.0/24")}}});
  EXPECT_EQ(shop.ask(kHello, ShopForTest::auth(office) + "X-Forwarded-For: 203.0.113.9\r\n").status,
            403);
}

TEST(Sales, ARateLimitSaysWhichHowFarAndWhenAgain) {
  ShopForTest shop(says("ok"));
  shop.must(maas::SetLimit{{.key = shop.key_serial}, "requests_per_minute", 2});
  const auto first = shop.ask(kHello);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first.header("x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(shop.ask(kHello).status, 200);
  const auto refused = shop.ask(kHello);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(member(refused, "code"), "rate_limit_exceeded");
  EXPECT_NE(member(refused, "message").find("requests_per_minute"), std::string::npos)
      << refused.body;
  EXPECT_GT(std::stol(std::string(refused.header("retry-after-ms"))), 0);
  EXPECT_LE(std::stol(std::string(refused.header("retry-after-ms"))), 30'000);
  EXPECT_FALSE(refused.header("Retry-After").empty());
  EXPECT_EQ(refused.header("x-should-retry"), "true");
  EXPECT_TRUE(std::string(refused.header("x-ratelimit-reset-requests")).ends_with('s'));
  EXPECT_EQ(shop.entries(Kind::kHold).size(), 2u);
}

TEST(Sales, WithoutCreditTheAnswerIsInsufficientQuota) {
  ShopForTest shop(says("ok"), 10);
  const auto refused = shop.ask(kHello);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(member(refused, "code"), "insufficient_quota");
  EXPECT_EQ(refused.header("x-should-retry"), "false");
  EXPECT_EQ(shop.balance(), (Balance{.credit = 10}));
}

TEST(Sales, AnExhaustedBudgetIsNotToBeTriedAgain) {
  ShopForTest shop(says("ok"));
  shop.must(maas::SetSpendLimit{shop.org, shop.project, ledger::kUsd, maas::Period::kDay, 1});
  const auto refused = shop.ask(kHello);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(member(refused, "code"), "insufficient_quota");
  EXPECT_EQ(refused.header("x-should-retry"), "false");
}

TEST(Sales, AFaultBeforeTheFirstTokenIsFreeAndALaterOneCostsWhatWasSent) {
  ShopForTest shop([](const work::Order& order) {
    Script script;
    script.say = "a long answer of several words";
    script.pace = std::chrono::milliseconds(20);
    script.fault_at = order.prompt.size() % 2 == 0 ? 0 : 4;
    return script;
  });
  for (const char* content : {"a", "ab"}) {
    const auto answer = shop.ask(
        R"({"model":"org/tiny","max_tokens":20,"stream":true,"messages":[{"role":"user","content":")" +
        std::string(content) + R"("}]})");
    (void)answer;
  }
  const auto voids = shop.entries(Kind::kVoid);
  const auto settles = shop.entries(Kind::kSettle);
  ASSERT_EQ(voids.size(), 1u);
  ASSERT_EQ(settles.size(), 1u);
  EXPECT_EQ(voids[0].reason, Reason::kFaultBeforeFirstToken);
  EXPECT_EQ(settles[0].reason, Reason::kFaultAfterFirstToken);
  EXPECT_LE(settles[0].tokens.output_text, 4);
  EXPECT_GT(settles[0].tokens.output_text, 0);
}

TEST(Sales, WhoLeavesPaysForWhatWasMilled) {
  ShopForTest shop([](const work::Order&) {
    Script script;
    script.say = "word ";
    script.forever = true;
    script.pace = std::chrono::milliseconds(2);
    return script;
  });
  {
    net::RawClient connection = shop.mill.client();
    connection.send(MillForTest::request(
        "POST", "/v1/chat/completions",
        R"({"model":"org/tiny","max_tokens":400,"stream":true,"messages":[{"role":"user","content":"hi"}]})",
        ShopForTest::auth(shop.key)));
    ASSERT_TRUE(connection.receive_until("\"content\":\"w"));
  }
  ASSERT_TRUE(shop.mill.worker.wait_for_cancels(1));
  shop.balance_at_rest();
  const auto settles = shop.entries(Kind::kSettle);
  ASSERT_EQ(settles.size(), 1u);
  EXPECT_EQ(settles[0].reason, Reason::kClientGone);
  EXPECT_EQ(settles[0].tokens.output_text, shop.mill.worker.generated());
}

TEST(Sales, ARevokedKeyEndsItsStreamsWithinASecond) {
  ShopForTest shop([](const work::Order&) {
    Script script;
    script.say = "some words";
    script.hold_at = 1;  // and then it is silent
    return script;
  });
  net::RawClient connection = shop.mill.client();
  connection.send(
      MillForTest::request("POST", "/v1/chat/completions", kStream, ShopForTest::auth(shop.key)));
  ASSERT_TRUE(connection.receive_until("data:"));
  const Instant before = now();
  shop.must(maas::RevokeKey{shop.key_serial});
  ASSERT_TRUE(connection.receive_until("revoked"));
  EXPECT_LT(now() - before, std::chrono::seconds(1));
  shop.balance_at_rest();
  EXPECT_EQ(shop.entries(Kind::kSettle).at(0).reason, Reason::kKeyRevoked);
  EXPECT_EQ(shop.ask(kHello).status, 401);
}

TEST(Sales, ALongAnswerGrowsItsHoldOrEndsWithLength) {
  MillForTest::Setup setup;
  setup.context_tokens = 20'000;
  // Room for the first hold and one doubling, not for two.
  ShopForTest shop(
      [](const work::Order&) {
        Script script;
        script.say = "word ";
        script.forever = true;
        return script;
      },
      4 * 12'000, setup);
  const auto answer = shop.ask(
      R"({"model":"org/tiny","max_tokens":16384,"messages":[{"role":"user","content":"hi"}]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(boost::json::parse(answer.body).at("choices").at(0).at("finish_reason"), "length");
  const auto settle = shop.entries(Kind::kSettle).at(0);
  EXPECT_EQ(settle.reason, Reason::kLength);
  EXPECT_LE(settle.tokens.output_text, 8192);
  EXPECT_GE(settle.tokens.output_text, 8000);
  EXPECT_EQ(shop.entries(Kind::kExtend).size(), 1u);
  EXPECT_GE(shop.balance().available(), 0);
}

TEST(Sales, TheWorkersCountersAndTheLedgerAgree) {
  ShopForTest shop([](const work::Order& order) {
    Script script;
    script.say = std::string(1 + order.prompt.size() % 17, 'x');
    script.usage.cached_tokens = static_cast<int64_t>(order.prompt.size() / 2);
    return script;
  });
  std::vector<std::jthread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        const std::string body = R"({"model":"org/tiny","n":2,"max_tokens":20,"stream":)" +
                                 std::string(i % 2 == 0 ? "true" : "false") +
                                 R"(,"messages":[{"role":"user","content":")" +
                                 std::string(1 + (i * c) % 31, 'y') + R"("}]})";
        EXPECT_EQ(shop.ask(body).status, 200);
      }
    });
  }
  clients.clear();
  int64_t output = 0, charged = 0;
  for (const ledger::Entry& settle : shop.entries(Kind::kSettle)) {
    output += settle.tokens.output_text;
    charged += settle.amount;
    EXPECT_GT(settle.tokens.input_cache_read, 0);
  }
  EXPECT_EQ(output, shop.mill.worker.generated());
  EXPECT_EQ(shop.balance().charged, charged);
  EXPECT_EQ(shop.balance().held, 0);
  EXPECT_TRUE(shop.office->book().audit().has_value());
}

net::RawResponse get(const ShopForTest& shop, const std::string& path, const std::string& secret) {
  net::RawClient connection = shop.mill.client();
  connection.send(MillForTest::request("GET", path, "", ShopForTest::auth(secret)));
  return connection.response();
}

TEST(Sales, ModelsAreListedWithTheirPricesToThoseWhoMayUseThem) {
  ShopForTest shop(says("ok"));
  EXPECT_EQ(shop.mill.get("/v1/models").status, 401);
  const auto list = boost::json::parse(get(shop, "/v1/models", shop.key).body).at("data");
  ASSERT_EQ(list.as_array().size(), 2u);
  const auto& pricing = list.at(0).at("pricing");
  EXPECT_EQ(pricing.at("prompt"), "0.000000001");
  EXPECT_EQ(pricing.at("input_cache_read"), "0.0000000005");
  EXPECT_EQ(pricing.at("completion"), "0.000000004");
  EXPECT_EQ(pricing.at("currency"), "USD");
  const auto [narrow, serial] =
      shop.new_key({.project = shop.project, .name = "narrow", .only = {.models = {"base"}}});
  const auto few = boost::json::parse(get(shop, "/v1/models", narrow).body).at("data");
  ASSERT_EQ(few.as_array().size(), 1u);
  EXPECT_EQ(few.at(0).at("id"), "base");
  EXPECT_EQ(get(shop, "/v1/models/tiny", shop.key).status, 200);
  EXPECT_EQ(get(shop, "/v1/models/org%2Ftiny", narrow).status, 404);
}

TEST(Sales, TheModelsOfTheMillAreTheOperatorsAlone) {
  ShopForTest shop(says("ok"));
  EXPECT_EQ(shop.mill.get("/admin/models").status, 401);
  EXPECT_EQ(get(shop, "/admin/models", shop.key).status, 403);
  EXPECT_EQ(get(shop, "/admin/models", shop.admin).status, 404);  // these models are fixed
}

TEST(Sales, ARequestWithAnIdempotencyKeyIsAnsweredAndChargedOnce) {
  std::atomic<int> asked{0};
  ShopForTest shop([&](const work::Order&) {
    Script script;
    script.say = "answer " + std::to_string(++asked);
    return script;
  });
  for (const char* body : {kHello, kStream}) {
    const std::string headers =
        ShopForTest::auth(shop.key) + "Idempotency-Key: k" + std::to_string(asked) + "\r\n";
    const auto first = shop.ask(body, headers);
    ASSERT_EQ(first.status, 200);
    const auto charged = shop.balance();
    const auto again = shop.ask(body, headers);
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.header("Content-Type"), first.header("Content-Type"));
    EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
    EXPECT_EQ(again.header("X-Tokenmill-Receipt"), first.header("X-Tokenmill-Receipt"));
    EXPECT_EQ(shop.balance(), charged);
    const auto other =
        shop.ask(R"({"model":"org/tiny","messages":[{"role":"user","content":"other"}]})", headers);
    EXPECT_EQ(other.status, 422);
    // Another key's requests are another's.
    const auto [second, serial] = shop.new_key({.project = shop.project, .name = "second"});
    EXPECT_EQ(shop.ask(body, ShopForTest::auth(second) + "Idempotency-Key: k0\r\n")
                  .header("Idempotent-Replayed"),
              "");
  }
}

TEST(Sales, AnIdempotencyKeyInFlightIsAConflictAndAFailedOneIsFree) {
  std::atomic<bool> faulty{true};
  ShopForTest shop([&](const work::Order&) {
    Script script;
    script.say = "some words";
    if (faulty) script.fault_at = 0;
    script.hold_at = 1;
    return script;
  });
  const std::string headers = ShopForTest::auth(shop.key) + "Idempotency-Key: one\r\n";
  EXPECT_EQ(shop.ask(kHello, headers).status, 500);
  faulty = false;
  net::RawClient first = shop.mill.client();
  first.send(MillForTest::request("POST", "/v1/chat/completions", kHello, headers));
  while (shop.mill.worker.orders().size() < 2) std::this_thread::yield();
  EXPECT_EQ(shop.ask(kHello, headers).status, 409);
  shop.mill.worker.release();
  EXPECT_EQ(first.response().status, 200);
  EXPECT_EQ(shop.ask(kHello, headers).header("Idempotent-Replayed"), "true");
  EXPECT_EQ(shop.ask(kHello, ShopForTest::auth(shop.key) + "Idempotency-Key: a b\r\n").status, 400);
}

// Its place in the line is the till's to say, whatever the body says.
TEST(Sales, WhoAsksForLessThanItsShareGoesAheadOfItsTimeAndNobodyChoosesIt) {
  ShopForTest shop(says("ok"));
  const auto paid = [&](const std::string& more) {
    const std::string body = R"({"model":"org/tiny","messages":[{"role":"user","content":"hi"}])";
    return shop.ask(body + more + "}");
  };
  EXPECT_EQ(paid("").status, 200);
  ASSERT_EQ(shop.mill.worker.orders().size(), 1U);
  const Duration head_start = maas::FairShare::Options{}.head_start;
  EXPECT_LE(shop.mill.worker.orders()[0].yield, -head_start);
  EXPECT_NE(shop.mill.worker.orders()[0].tenant, 0U);
  paid(R"(,"yield":-1000000000000,"head_start":1000000000000)");  // taken or refused
  for (const work::Order& order : shop.mill.worker.orders()) {
    EXPECT_GT(order.yield, -head_start - std::chrono::minutes(1));
  }
}

TEST(Sales, ModelsWithoutAPriceAreNotSold) {
  maas::BookDraft prices = shop_prices();
  prices.models.erase(prices.models.begin());
  ShopForTest shop(says("ok"), 1'000'000, {}, prices);
  const auto refused = shop.ask(kHello);
  EXPECT_EQ(refused.status, 404);
  EXPECT_EQ(member(refused, "code"), "model_not_found");
}

}  // namespace
}  // namespace mill::gateway
