#include "load/workload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "load/prompt.h"

namespace mill::load {
namespace {

std::vector<Ask> all(AskSource source, size_t at_most = 100000) {
  std::vector<Ask> asks;
  while (asks.size() < at_most) {
    std::optional<Ask> ask = source();
    if (!ask) break;
    asks.push_back(*std::move(ask));
  }
  return asks;
}

Lengths lengths(std::string_view text) {
  return *parse_lengths(text, "--input");
}

TEST(Lengths, reads_what_people_type) {
  EXPECT_EQ(describe(lengths("128")), "128");
  EXPECT_EQ(describe(lengths("64:256")), "64 to 256");
  EXPECT_EQ(describe(lengths("lognormal:512:0.8")), "median 512, sigma 0.80, at most 8192");
  EXPECT_EQ(describe(lengths("lognormal:512:0.8:600")), "median 512, sigma 0.80, at most 600");
  for (const std::string_view wrong :
       {"", "0", "-1", "x", "12x", "1e3", "64:", ":64", "64:32", "1:2:3", "lognormal",
        "lognormal:5", "lognormal:5:x", "lognormal:5:1:4", "lognormal:0:1", "lognormal:5:1:9:9",
        "lognormal:5:nan", "99999999999"}) {
    const auto result = parse_lengths(wrong, "--input");
    ASSERT_FALSE(result) << wrong;
    EXPECT_EQ(result.error().code, Code::kInvalid);
    EXPECT_EQ(result.error().message.find("--input"), 0) << result.error().message;
  }
}

TEST(Lengths, draws_stay_in_their_bounds_and_reach_both_ends) {
  const Lengths uniform = lengths("3:5");
  EXPECT_EQ(draw(uniform, 0, 0), 3);
  EXPECT_EQ(draw(uniform, 0.5, 0), 4);
  EXPECT_EQ(draw(uniform, 0.999999, 0), 5);
  const Lengths lognormal = lengths("lognormal:100:1.0:300");
  EXPECT_EQ(draw(lognormal, 0, 0.3), 100) << "the median, when the normal draw is 0";
  EXPECT_EQ(draw(lognormal, 0.999999, 0), 300);
  EXPECT_EQ(draw(lengths("lognormal:1:10"), 0.999999, 0.5), 1);
}

TEST(Workload, lengths_follow_their_distribution) {
  Synthetic shape{
      .prompt = lengths("10:30"), .output = lengths("lognormal:100:0.5:100000"), .requests = 4000};
  std::vector<double> outputs;
  double prompts = 0;
  for (const Ask& ask : all(synthetic(shape))) {
    prompts += static_cast<double>(ask.prompt_tokens());
    outputs.push_back(ask.output_tokens);
  }
  EXPECT_NEAR(prompts / 4000, 20, 0.5);
  std::sort(outputs.begin(), outputs.end());
  EXPECT_NEAR(outputs[2000], 100, 5);
  EXPECT_NEAR(outputs[3364], 100 * std::exp(0.5), 10) << "one sigma: 84.1 %";
}

TEST(Workload, a_seed_makes_the_same_requests_and_another_makes_others) {
  Synthetic shape{.prompt = lengths("10:1000"), .output = lengths("10:1000"), .requests = 50};
  const auto once = all(synthetic(shape)), twice = all(synthetic(shape));
  shape.seed = 2;
  const auto other = all(synthetic(shape));
  int same = 0;
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(once[i].prompt_tokens(), twice[i].prompt_tokens());
    EXPECT_EQ(once[i].output_tokens, twice[i].output_tokens);
    same += once[i].prompt_tokens() == other[i].prompt_tokens();
  }
  EXPECT_LT(same, 5);
}

TEST(Workload, prompts_share_their_prefix_and_nothing_else) {
  const Synthetic shape{
      .prompt = lengths("100"), .output = lengths("1"), .shared_prefix = 60, .requests = 2};
  const auto asks = all(synthetic(shape));
  const IdRange range{.first = 1000, .end = 50000};
  const auto a = prompt_ids(asks[0], range, 7), b = prompt_ids(asks[1], range, 7);
  ASSERT_EQ(a.size(), 100);
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 60, b.begin()));
  EXPECT_FALSE(std::equal(a.begin() + 60, a.begin() + 64, b.begin() + 60));
  EXPECT_EQ(prompt_ids(asks[0], range, 7), a);
  EXPECT_NE(prompt_ids(asks[0], range, 8), a);
  for (const TokenId id : a) EXPECT_TRUE(id >= 1000 && id < 50000);
  const auto elsewhere = all(at_point(synthetic(shape), 3));
  EXPECT_NE(prompt_ids(elsewhere[0], range, 7)[0], a[0]);
  EXPECT_EQ(all(at_point(synthetic(shape), 0))[1].segments[1].source, asks[1].segments[1].source);
}

TEST(Workload, a_prefix_longer_than_the_prompt_leaves_one_token_of_its_own) {
  const Synthetic shape{
      .prompt = lengths("10"), .output = lengths("1"), .shared_prefix = 60, .requests = 1};
  const Ask ask = all(synthetic(shape)).front();
  EXPECT_EQ(ask.prompt_tokens(), 10);
  EXPECT_EQ(ask.segments.back().tokens, 1);
}

TEST(Workload, poisson_arrivals_have_exponential_gaps_at_the_rate) {
  const Synthetic shape{.prompt = lengths("1"), .output = lengths("1"), .requests = 5000};
  const auto asks = all(arriving(synthetic(shape), {.per_second = 20, .seed = 3}));
  EXPECT_NEAR(to_seconds(asks.back().at), 250, 12);
  double sum = 0, squares = 0;
  for (size_t i = 1; i < asks.size(); ++i) {
    const double gap = to_seconds(asks[i].at - asks[i - 1].at);
    EXPECT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / 4999, deviation = std::sqrt(squares / 4999 - mean * mean);
  EXPECT_NEAR(deviation / mean, 1, 0.06);
  const auto even =
      all(arriving(synthetic(shape), {.per_second = 20, .process = Process::kEven}), 10);
  EXPECT_NEAR(to_seconds(even[9].at), 0.5, 1e-6);
}

TEST(Prompt, words_cost_what_was_measured) {
  const auto count = [](const std::string& text) {
    return std::count(text.begin(), text.end(), ' ') + 1;
  };
  Ask ask;
  ask.segments = {{0, 60}, {kOwnSource, 40}};
  EXPECT_EQ(count(prompt_words(ask, {}, 1)), 100);
  EXPECT_EQ(count(prompt_words(ask, {.tokens_per_word = 1.25, .overhead = 20}, 1)), 64);
  EXPECT_EQ(count(prompt_words(ask, {.overhead = 200}, 1)), 1);
  Ask other = ask;
  other.segments[1].source = kOwnSource | 1;
  const std::string a = prompt_words(ask, {}, 1), b = prompt_words(other, {}, 1);
  size_t same = 0, words = 0;
  while (same < a.size() && a[same] == b[same]) words += a[same++] == ' ';
  EXPECT_GE(words, 60) << "the shared words stand first in both";
  EXPECT_LT(words, 70);
  ask.text = "as it is";
  EXPECT_EQ(prompt_words(ask, {}, 1), "as it is");
}

}  // namespace
}  // namespace mill::load
