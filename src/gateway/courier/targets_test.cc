#include "gateway/courier/targets.h"

#include <gtest/gtest.h>

namespace mill::gateway {
namespace {

TEST(WebhookTargets, ByDefaultOnlyThePublicInternet) {
  const WebhookTargets targets;
  for (const char* url :
       {"https://hooks.example/a", "http://1.1.1.1/", "https://[2606:4700::1111]:8443/x"})
    EXPECT_TRUE(targets.check(url).has_value()) << url;
  for (const char* url :
       {"https://127.0.0.1/", "http://localhost:8080/", "http://a.localhost/", "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
        "http://[fd00::1]/", "http://0.0.0.0/", "ftp://a.example/", "https://a@b.example/"}) {
    const Status refused = targets.check(url);
    ASSERT_FALSE(refused.has_value()) << url;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
    EXPECT_EQ(refused.error().param, "url");
  }
  EXPECT_TRUE(targets.may_connect("8.8.8.8"));
  EXPECT_FALSE(targets.may_connect("192.168.0.1"));
  EXPECT_FALSE(targets.may_connect("no address"));
  EXPECT_FALSE(targets.may_connect(""));
}

TEST(WebhookTargets, TheOperatorOpensANetwork) {
  const WebhookTargets targets{
      {*maas::parse_cidr("10.1.0.0/16"), *maas::parse_cidr("127.0.0.0/8")}};
  EXPECT_TRUE(targets.check("https://10.1.2.3/").has_value());
  EXPECT_FALSE(targets.check("https://10.2.0.1/").has_value());
  EXPECT_TRUE(targets.check("http://localhost:1/").has_value());
  EXPECT_TRUE(targets.may_connect("127.0.0.1"));
  EXPECT_FALSE(targets.may_connect("::1"));
}

}  // namespace
}  // namespace mill::gateway
