#include "net/webhook_signature.h"

#include <gtest/gtest.h>

#include <vector>

namespace mill::net {
namespace {

// Made by the `standardwebhooks` package of PyPI (1.1.0), which shares no code with ours:
//   Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign(
//       "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC),
//       '{"test": 2432232314}')
TEST(WebhookSignature, IsThatOfTheSpecification) {
  const std::string secret(
      "\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6"
      "\x48\xa3\x62\xda\x2d\xa4\xb0",
      24);
  EXPECT_EQ(webhook_secret_text(secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  const std::vector<std::string> one{secret};
  const std::string signature =
      webhook_signature(one, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})");
  EXPECT_EQ(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  const std::vector<std::string> two{secret, "another secret of so many bytes."};
  const std::string both =
      webhook_signature(two, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})");
  EXPECT_TRUE(both.starts_with(signature + " v1,")) << both;
  EXPECT_EQ(both.size(), 2 * signature.size() + 1);
}

TEST(WebhookSignature, ChangesWithEachPart) {
  const std::vector<std::string> secrets{std::string(32, 's')}, others{std::string(32, 't')};
  const std::string signature = webhook_signature(secrets, "msg_1", 1, "body");
  EXPECT_NE(webhook_signature(others, "msg_1", 1, "body"), signature);
  EXPECT_NE(webhook_signature(secrets, "msg_2", 1, "body"), signature);
  EXPECT_NE(webhook_signature(secrets, "msg_1", 2, "body"), signature);
  EXPECT_NE(webhook_signature(secrets, "msg_1", 1, "bodY"), signature);
}

}  // namespace
}  // namespace mill::net
