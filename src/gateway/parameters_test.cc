// Every number that a request may hold, at its extremes: refused by name, or taken and within what
// work/order.h promises the worker.
#include <cmath>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

namespace json = boost::json;

bool keeps_the_contract(const work::Order& order) {
  const work::Sampling& s = order.sampling;
  const auto within = [](float value, float low, float high) {
    return std::isfinite(value) && value >= low && value <= high;
  };
  bool ok = within(s.temperature, 0, 2) && within(s.top_p, 0, 1) && s.top_p > 0 && s.top_k >= 0 &&
            within(s.min_p, 0, 1) && within(s.typical_p, 0, 1) && s.typical_p > 0 &&
            within(s.repetition_penalty, 0, 10) && s.repetition_penalty > 0 &&
            within(s.presence_penalty, -2, 2) && within(s.frequency_penalty, -2, 2);
  for (const auto& [token, bias] : s.logit_bias) ok = ok && token >= 0 && within(bias, -100, 100);
  if (s.top_logprobs) ok = ok && *s.top_logprobs >= 0 && *s.top_logprobs <= 20;
  return ok && order.max_tokens >= 0 && order.max_tokens <= 512 && !order.prompt.empty();
}

constexpr const char* kExtremes[] = {"0",
                                     "-0",
                                     "-0.0",
                                     "1",
                                     "-1",
                                     "0.5",
                                     "2",
                                     "1e-320",
                                     "1e-46",
                                     "-1e-46",
                                     "1e308",
                                     "-1e308",
                                     "1e400",
                                     "2147483647",
                                     "2147483648",
                                     "-2147483648",
                                     "4294967296",
                                     "9223372036854775807",
                                     "-9223372036854775808",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "1e19",
                                     "-1e19",
                                     "NaN",
                                     "Infinity",
                                     "\"1\"",
                                     "true",
                                     "[]",
                                     "{}",
                                     "[1]",
                                     "0x10",
                                     "01",
                                     "1.",
                                     ".5",
                                     "+1",
                                     "1e"};

class Extremes : public testing::TestWithParam<const char*> {};

TEST_P(Extremes, are_refused_by_name_or_within_the_contract) {
  MillForTest mill(says("Hello"));
  const std::string name = GetParam();
  for (const char* value : kExtremes) {
    const std::string member = name == "logit_bias"
                                   ? R"("logit_bias":{"5":)" + std::string(value) + "}"
                                   : '"' + name + "\":" + value;
    const size_t before = mill.worker.orders().size();
    const net::RawResponse response = mill.post(
        "/v1/chat/completions",
        R"({"model":"org/tiny","messages":[{"role":"user","content":"hi"}],"logprobs":true,)" +
            member + "}");
    SCOPED_TRACE(member);
    if (response.status == 200) {
      ASSERT_GT(mill.worker.orders().size(), before);
      EXPECT_TRUE(keeps_the_contract(mill.worker.orders().back()));
      continue;
    }
    EXPECT_EQ(response.status, 400) << response.body;
    const json::value error = json::parse(response.body).at("error");
    if (error.at("param").is_null()) {
      EXPECT_NE(error.at("message").as_string().find("JSON"), json::string::npos) << response.body;
    } else {
      const std::string param(error.at("param").as_string());
      EXPECT_TRUE(param.starts_with(name) || param == "messages") << response.body;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Extremes,
                         testing::Values("temperature", "top_p", "top_k", "min_p", "typical_p",
                                         "repetition_penalty", "presence_penalty",
                                         "frequency_penalty", "logit_bias", "seed", "max_tokens",
                                         "max_completion_tokens", "n", "top_logprobs", "priority"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace mill::gateway
