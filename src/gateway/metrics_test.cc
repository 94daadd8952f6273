#include "gateway/metrics.h"

#include <gtest/gtest.h>

#include <sstream>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

using namespace std::chrono_literals;

TEST(Histogram, counts_up_to_each_bound) {
  constexpr double kBounds[] = {0.1, 1};
  Histogram histogram(kBounds);
  histogram.record(100ms);
  histogram.record(101ms);
  histogram.record(5s);
  std::string out;
  histogram.append(out, "x", "m=\"a\"");
  EXPECT_EQ(out,
            "x_bucket{m=\"a\",le=\"0.1\"} 1\nx_bucket{m=\"a\",le=\"1\"} "
            "2\nx_bucket{m=\"a\",le=\"+Inf\"} 3\n"
            "x_sum{m=\"a\"} 5.201\nx_count{m=\"a\"} 3\n");
}

double value_of(const std::string& text, const std::string& series) {
  const size_t at = text.find("\n" + series + " ");
  if (at == std::string::npos) return -1;
  return std::stod(text.substr(at + series.size() + 2));
}

TEST(Metrics, count_what_was_served) {
  MillForTest mill(says("Hello world"));
  const std::string body =
      R"({"model":"org/tiny","messages":[{"role":"user","content":"hi"}],"n":2)";
  EXPECT_EQ(mill.post("/v1/chat/completions", body + "}").status, 200);
  EXPECT_EQ(mill.post("/v1/chat/completions", body + R"(,"stream":true})").status, 200);
  EXPECT_EQ(mill.post("/v1/chat/completions", body + R"(,"temperature":9})").status, 400);
  EXPECT_EQ(mill.post("/v1/chat/completions", R"({"model":"other"})").status, 404);
  EXPECT_EQ(mill.get("/nothing").status, 404);
  // A line is counted after its answer has been sent: wait for the last of them.
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text = mill.get("/metrics").body;
    if (value_of(text, R"(tokenmill_requests_total{route="",status="404",model=""})") == 1) break;
  }
  EXPECT_EQ(
      value_of(text, R"(tokenmill_requests_total{route="chat",status="200",model="org/tiny"})"), 2);
  EXPECT_EQ(value_of(text, R"(tokenmill_requests_total{route="chat",status="400",model=""})"), 1);
  EXPECT_EQ(value_of(text, R"(tokenmill_requests_total{route="chat",status="404",model=""})"), 1)
      << "a name that no model has must not become a series";
  EXPECT_EQ(value_of(text, R"(tokenmill_prompt_tokens_total{model="org/tiny"})"), 42);
  EXPECT_EQ(value_of(text, R"(tokenmill_completion_tokens_total{model="org/tiny"})"), 12);
  EXPECT_EQ(value_of(text, R"(tokenmill_completion_tokens_total{model="base"})"), 0);
  EXPECT_EQ(value_of(text, R"(tokenmill_time_to_first_token_seconds_count{model="org/tiny"})"), 2);
  EXPECT_EQ(value_of(text, R"(tokenmill_inter_token_seconds_count{model="org/tiny"})"), 4);
  EXPECT_EQ(value_of(text, R"(tokenmill_request_duration_seconds_count{model="org/tiny"})"), 2);
  EXPECT_EQ(value_of(text, R"(tokenmill_kv_blocks{model="org/tiny"})"), 100);
  EXPECT_GE(value_of(text, "tokenmill_http_connections"), 1);
}

TEST(Metrics, are_well_formed) {
  MillForTest mill(says("Hello"));
  const net::RawResponse response = mill.get("/metrics");
  EXPECT_EQ(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  std::istringstream lines(response.body);
  std::string line, family;
  while (std::getline(lines, line)) {
    ASSERT_FALSE(line.empty());
    if (line.starts_with("# TYPE ")) family = line.substr(7, line.find(' ', 7) - 7);
    if (line.front() == '#') continue;
    EXPECT_TRUE(line.starts_with(family)) << line << " stands outside its family " << family;
    EXPECT_TRUE(line.starts_with("tokenmill_")) << line;
    EXPECT_NO_THROW((void)std::stod(line.substr(line.rfind(' ') + 1))) << line;
  }
}

}  // namespace
}  // namespace mill::gateway
