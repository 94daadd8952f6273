// What a client may send again, over real connections and a real journal, also after the process
// has died.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>

#include "gateway/shop_for_test.h"

namespace mill::gateway {
namespace {

using ledger::Kind;
using ledger::Reason;

constexpr const char* kWhole =
    R"({"model":"org/tiny","max_tokens":20,"messages":[{"role":"user","content":"hi"}]})";
constexpr const char* kStream =
    R"({"model":"org/tiny","max_tokens":20,"stream":true,"messages":[{"role":"user","content":"hi"}]})";

std::string under(const ShopForTest& shop, const std::string& key) {
  return ShopForTest::auth(shop.key) + "Idempotency-Key: " + key + "\r\n";
}

// The text of an answer, whole or in pieces; none with quotes in it.
std::string said(const std::string& body) {
  constexpr std::string_view kName = "\"content\":\"";
  std::string text;
  for (size_t at = body.find(kName); at != std::string::npos; at = body.find(kName, at)) {
    at += kName.size();
    text += body.substr(at, body.find('"', at) - at);
  }
  return text;
}

void expect_again(const net::RawResponse& again, const net::RawResponse& first) {
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.header("Content-Type"), first.header("Content-Type"));
  EXPECT_EQ(again.header("X-Tokenmill-Receipt"), first.header("X-Tokenmill-Receipt"));
}

TEST(Idempotency, AnAnswerOutlivesTheProcess) {
  ShopForTest shop(says("the first answer"));
  const auto whole = shop.ask(kWhole, under(shop, "one"));
  const auto stream = shop.ask(kStream, under(shop, "two"));
  ASSERT_EQ(whole.status, 200);
  ASSERT_EQ(stream.status, 200);
  ShopForTest again(says("another answer"), shop);
  const auto before = again.balance();
  EXPECT_EQ(before, shop.balance());
  expect_again(again.ask(kWhole, under(shop, "one")), whole);
  expect_again(again.ask(kStream, under(shop, "two")), stream);
  EXPECT_EQ(again.ask(kStream, under(shop, "one")).status, 422);
  EXPECT_EQ(again.balance(), before);
  EXPECT_TRUE(again.mill.worker.orders().empty());
  EXPECT_EQ(again.ask(kWhole, under(shop, "three")).header("Idempotent-Replayed"), "");
}

TEST(Idempotency, WhatACrashInterruptedIsFreeAndItsKeyToo) {
  ShopForTest shop([](const work::Order&) {
    Script script;
    script.say = "some words";
    script.hold_at = 3;
    return script;
  });
  net::RawClient connection = shop.mill.client();
  connection.send(
      MillForTest::request("POST", "/v1/chat/completions", kStream, under(shop, "one")));
  ASSERT_TRUE(connection.receive_until("data:"));
  ASSERT_EQ(shop.entries(Kind::kHold).size(), 1u);
  ShopForTest again(says("all of it"), shop);
  EXPECT_EQ(again.entries(Kind::kVoid).at(0).reason, Reason::kRecovered);
  EXPECT_EQ(again.balance().charged, 0);
  EXPECT_EQ(again.ask(kStream, under(shop, "one")).status, 200);
  EXPECT_EQ(again.entries(Kind::kSettle).size(), 1u);
  shop.mill.worker.release();
}

TEST(Idempotency, WhoLeavesFindsTheWholeAnswerAndPaysForItOnce) {
  for (const char* body : {kWhole, kStream}) {
    ShopForTest shop([](const work::Order&) {
      Script script;
      script.say = "a few words";
      script.hold_at = 2;
      return script;
    });
    {
      net::RawClient connection = shop.mill.client();
      connection.send(
          MillForTest::request("POST", "/v1/chat/completions", body, under(shop, "one")));
      while (shop.mill.worker.orders().empty()) std::this_thread::yield();
      if (body == kStream) {
        ASSERT_TRUE(connection.receive_until("data:"));
      }
    }
    EXPECT_EQ(shop.ask(body, under(shop, "one")).status, 409);
    shop.mill.worker.release();
    shop.balance_at_rest();
    const auto settles = shop.entries(Kind::kSettle);
    ASSERT_EQ(settles.size(), 1u);
    EXPECT_EQ(settles[0].reason, Reason::kStop);
    EXPECT_EQ(settles[0].tokens.output_text, shop.mill.worker.generated());
    auto again = shop.ask(body, under(shop, "one"));
    while (again.status == 409) again = shop.ask(body, under(shop, "one"));  // it is just kept
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
    EXPECT_EQ(said(again.body), "a few words") << again.body;
    EXPECT_EQ(shop.entries(Kind::kSettle).size(), 1u);
  }
}

TEST(Idempotency, OurFaultInTheMiddleIsFreeForWhoAsksAgain) {
  std::atomic<bool> faulty{true};
  ShopForTest shop([&](const work::Order&) {
    Script script;
    script.say = "a long answer of several words";
    script.pace = std::chrono::milliseconds(20);
    if (faulty) script.fault_at = 4;
    return script;
  });
  const auto broken = shop.ask(kStream, under(shop, "one"));
  EXPECT_NE(broken.body.find("error"), std::string::npos);
  EXPECT_EQ(shop.entries(Kind::kVoid).size(), 1u);
  EXPECT_EQ(shop.balance().charged, 0);
  faulty = false;
  const auto first = shop.ask(kStream, under(shop, "one"));
  EXPECT_EQ(first.header("Idempotent-Replayed"), "");
  expect_again(shop.ask(kStream, under(shop, "one")), first);
  EXPECT_EQ(shop.entries(Kind::kSettle).size(), 1u);
}

TEST(Idempotency, WithoutTheHeaderNothingIsKept) {
  ShopForTest shop(says("ok"));
  ASSERT_EQ(shop.ask(kWhole).status, 200);
  ASSERT_EQ(shop.ask(kStream).status, 200);
  ASSERT_EQ(shop.entries(Kind::kSettle).size(), 2u);
  int kept = 0;
  ASSERT_TRUE(
      shop.office->book().keepsakes([&](int64_t, int64_t, const ledger::Keepsake&) -> Status {
        ++kept;
        return {};
      }));
  EXPECT_EQ(kept, 0);
}

}  // namespace
}  // namespace mill::gateway
