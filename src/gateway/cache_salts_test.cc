#include "gateway/cache_salts.h"

#include <set>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

net::HttpRequest with_authorization(std::string value) {
  net::HttpRequest request;
  if (!value.empty()) request.headers.push_back({"AUTHORIZATION", std::move(value)});
  return request;
}

TEST(CacheSalts, credentials_are_what_follows_bearer) {
  for (const auto& [header, credentials] : {std::pair{"Bearer k", "k"},
                                            {"bearer  k", "k"},
                                            {"BEARER k l", "k l"},
                                            {"Bearer ", ""},
                                            {"Basic abc", "Basic abc"},
                                            {"", ""}}) {
    EXPECT_EQ(credentials_of(with_authorization(header)), credentials) << header;
  }
}

TEST(CacheSalts, are_one_for_each_key_and_addition) {
  const CacheSalts salts;
  std::set<std::pair<uint64_t, uint64_t>> all;
  int pairs = 0;
  for (const char* key : {"", "Bearer a", "Bearer ab", "Bearer b", "Basic a"}) {
    for (const char* addition : {"", "a", "b", "ab"}) {
      const work::CacheSalt salt = salts.of(credentials_of(with_authorization(key)), addition);
      EXPECT_EQ(salt, salts.of(credentials_of(with_authorization(key)), addition));
      all.emplace(salt.high, salt.low);
      ++pairs;
    }
  }
  EXPECT_EQ(all.size(), static_cast<size_t>(pairs));
  EXPECT_FALSE(CacheSalts().of("", "") == salts.of("", "")) << "another server has another key";
}

std::string chat_with(std::string_view members) {
  return R"({"model":"org/tiny","messages":[{"role":"user","content":"hi"}])" +
         std::string(members) + "}";
}

work::Order order_for(MillForTest& mill, std::string_view members, std::string_view headers = "") {
  net::RawClient client = mill.client();
  client.send(MillForTest::request("POST", "/v1/chat/completions", chat_with(members),
                                   std::string(headers)));
  EXPECT_EQ(client.response().status, 200);
  return mill.worker.orders().back();
}

TEST(Handling, reaches_the_order) {
  MillForTest mill(says("Hello"));
  const work::Order plain = order_for(mill, "");
  EXPECT_EQ(plain.priority, 0);
  EXPECT_TRUE(plain.speculate);
  EXPECT_EQ(plain.sampling.typical_p, 1.0F);
  EXPECT_EQ(plain.sampling.repetition_penalty, 1.0F);

  const work::Order order = order_for(
      mill, R"(,"priority":-3,"speculate":false,"typical_p":0.25,"repetition_penalty":1.5,)"
            R"("min_p":0.5,"top_k":7,"cache_salt":"x")");
  EXPECT_EQ(order.priority, 3) << "on the wire the lower number goes first";
  EXPECT_FALSE(order.speculate);
  EXPECT_EQ(order.sampling.typical_p, 0.25F);
  EXPECT_EQ(order.sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(order.sampling.min_p, 0.5F);
  EXPECT_EQ(order.sampling.top_k, 7);
  EXPECT_FALSE(order.cache_salt == plain.cache_salt);
}

TEST(Handling, keeps_the_caches_of_keys_apart) {
  MillForTest mill(says("Hello"));
  const auto salt = [&](std::string_view members, std::string_view headers) {
    return order_for(mill, members, headers).cache_salt;
  };
  const std::string a = "Authorization: Bearer sk-a\r\n", b = "Authorization: Bearer sk-b\r\n";
  EXPECT_EQ(salt("", a), salt("", a));
  EXPECT_EQ(salt("", ""), salt("", ""));
  EXPECT_FALSE(salt("", a) == salt("", b));
  EXPECT_FALSE(salt("", a) == salt("", ""));
  EXPECT_FALSE(salt(R"(,"cache_salt":"s")", a) == salt(R"(,"cache_salt":"s")", b))
      << "a salt of the client's must not reach another's cache";
  EXPECT_EQ(salt(R"(,"cache_salt":"s")", a), salt(R"(,"cache_salt":"s")", a));
}

TEST(RetryAfter, is_whole_seconds_and_at_least_one) {
  EXPECT_EQ(retry_after(0), 1);
  EXPECT_EQ(retry_after(0.2), 1);
  EXPECT_EQ(retry_after(1), 1);
  EXPECT_EQ(retry_after(1.01), 2);
  EXPECT_EQ(retry_after(59.5), 60);
  EXPECT_EQ(retry_after(std::numeric_limits<double>::quiet_NaN()), 1);
  EXPECT_EQ(retry_after(1e300), 86400);
}

TEST(RetryAfter, follows_what_the_worker_says) {
  MillForTest mill([](const work::Order&) {
    Script script;
    script.refuse = Error{Code::kOverloaded, "the queue is full", ""};
    return script;
  });
  mill.worker.set_drain_seconds(12.3);
  const net::RawResponse response = mill.post("/v1/chat/completions", chat_with(""));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.header("Retry-After"), "13");
}

}  // namespace
}  // namespace mill::gateway
