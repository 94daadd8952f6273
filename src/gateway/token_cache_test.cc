// The token cache behind the API: what a tenant says again is looked up, and no tenant finds
// another's.
#include <fmt/format.h>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

namespace json = boost::json;

std::string long_turn(char letter) {
  std::string text;
  while (text.size() < 6000) text += std::string(text.size() % 7 + 1, letter) + " said ";
  return text;
}

MillForTest::Setup roomy() {
  MillForTest::Setup setup;
  setup.context_tokens = 100'000;
  return setup;
}

struct Asked {
  int64_t hit_bytes, missed_bytes;
  std::vector<TokenId> prompt;
};

int64_t metric(const MillForTest& mill, const std::string& name) {
  const std::string text = mill.get("/metrics").body;
  const size_t at = text.find("\n" + name + " ");
  EXPECT_NE(at, std::string::npos) << name;
  return std::stoll(text.substr(at + name.size() + 2));
}

// What the cache did for one request.
Asked ask(MillForTest& mill, const std::string& key, const std::string& path, json::object body) {
  const auto counted = [&](const char* what) {
    return metric(mill, fmt::format("tokenmill_token_cache_{}_bytes_total", what));
  };
  const int64_t hit = counted("hit"), missed = counted("missed");
  net::RawClient client = mill.client();
  client.send(MillForTest::request("POST", path, json::serialize(body),
                                   "Authorization: Bearer " + key + "\r\n"));
  const net::RawResponse response = client.response();
  EXPECT_EQ(response.status, 200) << response.body;
  return {counted("hit") - hit, counted("missed") - missed, mill.worker.orders().back().prompt};
}

json::object chat(std::string_view first, std::string_view last, std::string_view salt = "") {
  json::object body{{"model", "org/tiny"},
                    {"max_tokens", 1},
                    {"messages", json::array{json::object{{"role", "user"}, {"content", first}},
                                             json::object{{"role", "user"}, {"content", last}}}}};
  if (!salt.empty()) body["cache_salt"] = salt;
  return body;
}

TEST(TokenCacheOfTheGateway, LooksUpWhatATenantSaysAgain) {
  MillForTest mill(says("Hello"), roomy());
  const std::string turn = long_turn('a');
  const Asked fresh = ask(mill, "sk-a", "/v1/chat/completions", chat(turn, "one"));
  EXPECT_EQ(fresh.hit_bytes, 0);
  EXPECT_GT(fresh.missed_bytes, 5000);
  const Asked again = ask(mill, "sk-a", "/v1/chat/completions", chat(turn, "one"));
  EXPECT_EQ(again.hit_bytes, fresh.missed_bytes);
  EXPECT_EQ(again.missed_bytes, 0);
  EXPECT_EQ(again.prompt, fresh.prompt);
  const Asked other_end = ask(mill, "sk-a", "/v1/chat/completions", chat(turn, "two"));
  EXPECT_GT(other_end.hit_bytes, 2000);
  EXPECT_NE(other_end.prompt, fresh.prompt);
  EXPECT_EQ(metric(mill, "tokenmill_token_cache_hits_total") > 0, true);
  EXPECT_GT(metric(mill, "tokenmill_token_cache_bytes"), 6000);
}

// Paired: each asks what the other has asked, and finds it as unknown as a text that nobody asked.
TEST(TokenCacheOfTheGateway, NoTenantFindsTheTextOfAnother) {
  for (const char* path : {"/v1/chat/completions", "/v1/completions"}) {
    MillForTest mill(says("Hello"), roomy());
    const bool is_chat = std::string_view(path) == "/v1/chat/completions";
    const auto body = [&](const std::string& turn, std::string_view salt = "") {
      if (is_chat) return chat(turn, "x", salt);
      json::object completion{{"model", "base"}, {"max_tokens", 1}, {"prompt", turn}};
      if (!salt.empty()) completion["cache_salt"] = salt;
      return completion;
    };
    const std::string known = long_turn('k'), unknown = long_turn('u');
    const Asked first = ask(mill, "sk-a", path, body(known));
    ASSERT_GT(first.missed_bytes, 5000) << path;
    const Asked of_another = ask(mill, "sk-b", path, body(known));
    const Asked of_nobody = ask(mill, "sk-b", path, body(unknown));
    EXPECT_EQ(of_another.hit_bytes, 0) << path;
    EXPECT_EQ(of_nobody.hit_bytes, 0) << path;
    EXPECT_EQ(of_another.missed_bytes, of_nobody.missed_bytes) << path;
    EXPECT_EQ(of_another.prompt, first.prompt) << path;
    EXPECT_EQ(ask(mill, "sk-a", path, body(known, "user-1")).hit_bytes, 0)
        << "a client's own salt divides its cache further";
    EXPECT_EQ(ask(mill, "sk-a", path, body(known, "user-2")).hit_bytes, 0) << path;
    EXPECT_GT(ask(mill, "sk-a", path, body(known, "user-1")).hit_bytes, 5000) << path;
    EXPECT_GT(ask(mill, "sk-a", path, body(known)).hit_bytes, 5000) << path;
  }
}

TEST(TokenCacheOfTheGateway, OfNoBytesIsOff) {
  MillForTest::Setup setup = roomy();
  setup.options.token_cache_bytes = 0;
  MillForTest mill(says("Hello"), std::move(setup));
  const std::string turn = long_turn('a');
  for (int i = 0; i < 2; ++i) {
    const Asked asked = ask(mill, "sk-a", "/v1/chat/completions", chat(turn, "x"));
    EXPECT_EQ(asked.hit_bytes + asked.missed_bytes, 0);
    EXPECT_GT(asked.prompt.size(), 100u);
  }
  EXPECT_EQ(metric(mill, "tokenmill_token_cache_bytes"), 0);
}

}  // namespace
}  // namespace mill::gateway
