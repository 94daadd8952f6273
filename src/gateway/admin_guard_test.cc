#include "gateway/admin_guard.h"

#include <gtest/gtest.h>

namespace mill::gateway {
namespace {

net::HttpRequest with(std::vector<net::Header> headers) {
  net::HttpRequest request;
  request.method = "GET";
  request.target = "/admin/models";
  request.headers = std::move(headers);
  return request;
}

bool may(std::vector<net::Header> headers, bool loopback, std::string_view key) {
  const Status checked = check_admin(with(std::move(headers)), loopback, key);
  if (!checked) {
    EXPECT_EQ(checked.error().code, Code::kPermission);
  }
  return checked.has_value();
}

TEST(AdminGuard, without_a_key_only_this_machine_may) {
  EXPECT_TRUE(may({{"Host", "localhost:8080"}}, true, ""));
  EXPECT_TRUE(may({{"Host", "127.0.0.1:8080"}}, true, ""));
  EXPECT_TRUE(may({{"Host", "[::1]:8080"}}, true, ""));
  EXPECT_TRUE(may({{"Host", "[::1]"}}, true, ""));
  EXPECT_FALSE(may({{"Host", "localhost:8080"}}, false, ""));
  EXPECT_FALSE(may({{"Host", "localhost"}, {"Authorization", "Bearer "}}, false, ""));
}

TEST(AdminGuard, without_a_key_neither_a_proxy_nor_a_web_page_may) {
  for (const char* name : {"Origin", "origin", "Referer", "Sec-Fetch-Site", "X-Forwarded-For",
                           "Forwarded", "X-Real-IP", "Via"}) {
    EXPECT_FALSE(may({{"Host", "localhost"}, {name, "x"}}, true, "")) << name;
  }
  EXPECT_FALSE(may({{"Host", "rebound.example:8080"}}, true, ""));
  EXPECT_FALSE(may({{"Host", "localhost.example"}}, true, ""));
  EXPECT_FALSE(may({{"Host", "127.rebound.example"}}, true, ""));
}

TEST(AdminGuard, a_key_opens_from_anywhere_and_is_needed_everywhere) {
  const std::string key = "corn-and-rye";
  EXPECT_TRUE(may({{"Authorization", "Bearer corn-and-rye"}}, false, key));
  EXPECT_TRUE(may({{"Authorization", "bearer corn-and-rye"}, {"Origin", "x"}}, false, key));
  EXPECT_FALSE(may({}, true, key));
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "Bearer corn", "Bearer corn-and-ryf", "Bearer corn-and-rye ",
        "Bearer corn-and-ryecorn-and-rye", "Basic corn-and-rye", "corn-and-rye"}) {
    EXPECT_FALSE(may({{"Authorization", wrong}}, true, key)) << wrong;
  }
}

}  // namespace
}  // namespace mill::gateway
