// The JSON parsing test suite (github nst/JSONTestSuite), as bodies of requests: what isn't JSON
// gets a 400, what is gets past the parser, and nothing ends the server.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

fs::path data_folder() {
  const char* shared = std::getenv("TOKENMILL_SHARED");
  const fs::path root = shared ? fs::path(shared) : fs::path(MILL_SOURCE_DIR "/../shared");
  return root / "data/json_test_suite/test_parsing";
}

TEST(JsonSuite, every_file_gets_its_answer) {
  if (!fs::exists(data_folder())) GTEST_SKIP() << "no " << data_folder();
  MillForTest mill(says("Hello"));
  int accepted = 0, refused = 0, either = 0;
  for (const auto& entry : fs::directory_iterator(data_folder())) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    // Inside an unknown member, so that the rest of the request is in order.
    const std::string body = R"({"model":"base","prompt":"x","unknown":)" + bytes.str() + "}";
    const net::RawResponse response = mill.post("/v1/completions", body);
    ASSERT_TRUE(response.whole);
    if (name.starts_with("y_")) {
      ++accepted;
      EXPECT_EQ(response.status, 200) << response.body;
    } else if (name.starts_with("n_")) {
      ++refused;
      EXPECT_EQ(response.status, 400);
    } else {
      ++either;
      EXPECT_TRUE(response.status == 200 || response.status == 400);
    }
    if (response.status != 200) {
      EXPECT_EQ(json::parse(response.body).at("error").at("type"), "invalid_request_error");
    }
  }
  EXPECT_GT(accepted, 80);
  EXPECT_GT(refused, 150);
  EXPECT_GT(either, 20);
}

}  // namespace
}  // namespace mill::gateway
