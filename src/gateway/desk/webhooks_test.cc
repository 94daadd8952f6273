// Webhooks and credit alerts over HTTP: who sets them, what is shown, what is refused.
#include "gateway/desk/desk_for_test.h"

namespace mill::gateway::desk {
namespace {

class WebhooksTest : public DeskTest {
 protected:
  static constexpr const char* kHook = "/v1/organization/webhook";
  static constexpr const char* kLow = "/v1/organization/credit_alert";
  static constexpr const char* kUrl = R"({"url":"https://hooks.example/a"})";
};
#define WEBHOOKS(name) TEST_F(WebhooksTest, name)

WEBHOOKS(TheSecretIsShownWhenItIsMadeAndNeverAgain) {
  const Tenant t = tenant("Ada");
  expect_error(send("GET", kHook, "", t.admin), 404, "");
  const Reply made = must(send("POST", kHook, kUrl, t.admin));
  const std::string secret = made.str("secret");
  EXPECT_TRUE(secret.starts_with("whsec_")) << made.text;
  EXPECT_EQ(secret.size(), 6u + 44u);
  EXPECT_EQ(made.str("url"), "https://hooks.example/a");
  EXPECT_EQ(made.str("status"), "enabled");
  EXPECT_EQ(must(send("GET", kHook, "", t.admin)).text.find("whsec"), std::string::npos);
  const Reply moved =
      must(send("POST", kHook, R"({"url":"https://hooks.example/b"})", t.admin));  // keeps it
  EXPECT_TRUE(moved.at("secret").is_null());
  const Reply rotated = must(send("POST", std::string(kHook) + "/rotate", "", t.admin));
  EXPECT_TRUE(rotated.str("secret").starts_with("whsec_"));
  EXPECT_NE(rotated.str("secret"), secret);
  EXPECT_FALSE(rotated.at("old_secret_until").is_null());
  EXPECT_TRUE(
      must(send("POST", std::string(kHook) + "/rotate", R"({"overlap_seconds":0})", t.admin))
          .at("old_secret_until")
          .is_null());
  const Reply log = must(send("GET", "/v1/organization/audit_logs?limit=100", "", t.admin));
  EXPECT_NE(log.text.find("webhook.updated"), std::string::npos);
  EXPECT_NE(log.text.find("rotated"), std::string::npos);
  EXPECT_EQ(log.text.find("whsec"), std::string::npos);
  restart();
  EXPECT_EQ(must(send("GET", kHook, "", t.admin)).str("url"), "https://hooks.example/b");
  must(send("DELETE", kHook, "", t.admin));
  expect_error(send("GET", kHook, "", t.admin), 404, "");
  expect_error(send("DELETE", kHook, "", t.admin), 404, "");
  expect_error(send("POST", std::string(kHook) + "/rotate", "", t.admin), 404, "");
}

WEBHOOKS(AnAddressInsideIsRefused) {
  const Tenant t = tenant("Ada");
  for (const char* url :
       {"http://127.0.0.1:9/", "http://localhost/", "https://10.0.0.1/", "http://169.254.169.254/",
        "file:///etc/passwd", "https://u@h.example/", ""}) {
    const Reply refused = send("POST", kHook, std::string(R"({"url":")") + url + R"("})", t.admin);
    expect_error(refused, 400, "url");
  }
  expect_error(send("POST", kHook,
                    R"({"url":"https://a.example/)" + std::string(2100, 'x') + R"("})", t.admin),
               400, "url");
  expect_error(send("POST", kHook, R"({"address":"https://a.example/"})", t.admin), 400, "address");
  expect_error(send("POST", std::string(kHook) + "/rotate", R"({"overlap_seconds":-1})", t.admin),
               404, "");
}

WEBHOOKS(AnOwnerSetsThemAndAReaderDoesNot) {
  const Tenant t = tenant("Ada");
  const std::string of = "?organization_id=" + t.org;
  const std::string reader =
      must(post("/v1/organization/users" + of, R"({"email":"r@x","name":"R","role":"owner"})"))
          .str("id");
  const std::string other =
      must(post("/v1/organization/users" + of, R"({"email":"s@x","name":"S","role":"reader"})"))
          .str("id");
  const std::string key = must(post("/v1/organization/admin_api_keys" + of,
                                    R"({"name":"r","user_id":")" + other + R"("})"))
                              .str("value");
  expect_error(send("POST", kHook, kUrl, key), 403, "scope");
  expect_error(send("POST", kLow, R"({"amount":"1"})", key), 403, "scope");
  must(send("POST", kHook, kUrl, t.admin));
  EXPECT_EQ(send("GET", kHook, "", key).status, 200);
}

WEBHOOKS(TheLineOfLowCreditIsSetAndTakenAway) {
  const Tenant t = tenant("Ada");
  expect_error(send("GET", kLow, "", t.admin), 404, "");
  const Reply made = must(send("POST", kLow, R"({"amount":"2.50"})", t.admin));
  EXPECT_EQ(made.str("amount"), "2.50");
  EXPECT_EQ(made.str("left"), "10.00");
  EXPECT_EQ(made.str("currency"), "USD");
  EXPECT_EQ(must(send("GET", kLow, "", t.admin)).str("amount"), "2.50");
  for (const char* bad :
       {R"({"amount":"0"})", R"({"amount":"-1"})", R"({"amount":5})", "{}", R"({"amount":"NaN"})"})
    expect_error(send("POST", kLow, bad, t.admin), 400, "amount");
  expect_error(send("POST", kLow, R"({"amount":"1","currency":"CNY"})", t.admin), 400, "currency");
  must(send("DELETE", kLow, "", t.admin));
  expect_error(send("DELETE", kLow, "", t.admin), 404, "");
}

}  // namespace
}  // namespace mill::gateway::desk
