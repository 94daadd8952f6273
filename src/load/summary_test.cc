#include "load/summary.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "load/report.h"

namespace mill::load {
namespace {

using std::chrono::milliseconds;

constexpr Instant kBegin{std::chrono::hours(1)};
Instant at(int64_t ms) {
  return kBegin + milliseconds(ms);
}

// A request intended at `intended` ms whose tokens came at `pieces`.
Record answered(int64_t intended, std::initializer_list<int64_t> pieces) {
  Record record{.asked_prompt = 10,
                .asked_output = static_cast<int32_t>(pieces.size()),
                .intended = at(intended),
                .started = at(intended + 1),
                .ok = true};
  for (const int64_t piece : pieces) record.reply.pieces.push_back(at(piece));
  record.ended = record.reply.ended = record.reply.pieces.back() + milliseconds(5);
  record.reply.prompt_tokens = 10;
  record.reply.completion_tokens = static_cast<int64_t>(pieces.size());
  return record;
}

Record failed(const std::string& why) {
  return {.intended = at(0), .started = at(0), .ended = at(1), .failure = why};
}

TEST(Spread, is_exact_and_interpolates_as_numpy_does) {
  std::vector<double> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(i);
  const Spread spread = spread_of(hundred);
  EXPECT_EQ(spread.count, 100);
  EXPECT_DOUBLE_EQ(spread.mean, 50.5);
  EXPECT_DOUBLE_EQ(spread.p50, 50.5);
  EXPECT_DOUBLE_EQ(spread.p90, 90.1);
  EXPECT_DOUBLE_EQ(spread.p95, 95.05);
  EXPECT_DOUBLE_EQ(spread.p99, 99.01);
  EXPECT_DOUBLE_EQ(spread.max, 100);
  std::vector<double> one{7}, none;
  EXPECT_DOUBLE_EQ(spread_of(one).p99, 7);
  EXPECT_EQ(spread_of(none).count, 0);
  EXPECT_EQ(spread_of(none).p99, 0);
}

TEST(Summary, measures_from_the_intended_start) {
  RunLog run{.begun = at(0), .ended = at(1000), .open_loop = true};
  run.records = {answered(100, {400, 420, 460}), answered(200, {250})};
  const Summary sum = summarise(run, {});
  EXPECT_EQ(sum.ok, 2);
  EXPECT_DOUBLE_EQ(sum.seconds, 1);
  EXPECT_EQ(sum.completion_tokens, 4);
  EXPECT_DOUBLE_EQ(sum.per_second(sum.completion_tokens), 4);
  EXPECT_DOUBLE_EQ(sum.ttft.max, 0.3);
  EXPECT_DOUBLE_EQ(sum.ttft.mean, 0.175);
  EXPECT_EQ(sum.itl.count, 2);
  EXPECT_DOUBLE_EQ(sum.itl.max, 0.04);
  EXPECT_EQ(sum.tpot.count, 1) << "an answer of one token has no further ones";
  EXPECT_DOUBLE_EQ(sum.tpot.mean, 0.03);
  EXPECT_DOUBLE_EQ(sum.e2e.max, 0.365);
  EXPECT_DOUBLE_EQ(sum.late.max, 0.001);
  EXPECT_FALSE(sum.good_per_second.has_value());
}

TEST(Summary, tokens_that_come_together_have_one_gap_and_count_singly_in_tpot) {
  RunLog run{.begun = at(0), .ended = at(1000)};
  run.records = {answered(0, {100, 200})};
  run.records[0].reply.completion_tokens = 5;
  const Summary sum = summarise(run, {});
  EXPECT_EQ(sum.itl.count, 1);
  EXPECT_DOUBLE_EQ(sum.itl.mean, 0.1);
  EXPECT_DOUBLE_EQ(sum.tpot.mean, 0.025);
}

TEST(Summary, goodput_counts_what_kept_every_bound) {
  RunLog run{.begun = at(0), .ended = at(2000)};
  run.records = {answered(0, {100, 120, 140}),  // good
                 answered(0, {301, 320, 340}),  // late
                 answered(0, {100, 200, 210}),  // slow on average, and a long gap
                 answered(0, {100, 151, 160}),  // a long gap
                 failed("deadline: x")};
  const Slo slo{.ttft_seconds = 0.3, .tpot_seconds = 0.04, .itl_seconds = 0.05};
  const Summary sum = summarise(run, slo);
  EXPECT_EQ(sum.good, 1);
  EXPECT_DOUBLE_EQ(*sum.good_per_second, 0.5);
  EXPECT_EQ(summarise(run, {.tpot_seconds = 0.04}).good, 3);
  EXPECT_EQ(summarise(run, {.ttft_seconds = 0.3}).good, 3);
}

TEST(Summary, failures_are_counted_by_kind) {
  RunLog run{.begun = at(0), .ended = at(10)};
  run.records = {failed("overloaded: HTTP 503: try again in 3 s"), failed("io: cut"),
                 failed("overloaded: HTTP 503: try again in 17 s"), answered(0, {5})};
  run.records[3].asked_output = 2;
  const Summary sum = summarise(run, {});
  EXPECT_EQ(sum.failed, 3);
  ASSERT_EQ(sum.failures.size(), 2);
  EXPECT_EQ(sum.failures[0].count, 2);
  EXPECT_EQ(sum.failures[0].example, "overloaded: HTTP 503: try again in 3 s");
  EXPECT_EQ(sum.shortened, 1);
}

TEST(Summary, a_run_of_nothing_has_figures_of_nothing) {
  const Summary sum = summarise({.begun = at(0), .ended = at(0)}, {.ttft_seconds = 1});
  EXPECT_EQ(sum.ok, 0);
  EXPECT_EQ(sum.per_second(5), 0);
  EXPECT_DOUBLE_EQ(*sum.good_per_second, 0);
}

Report report_of(std::vector<Summary> points) {
  return {.target = "http://x",
          .model = "m",
          .shape = "s",
          .energy = "none: --watts",
          .points = std::move(points)};
}

TEST(Report, names_the_best_points) {
  std::vector<Summary> points(3);
  for (size_t i = 0; i < 3; ++i) {
    points[i].seconds = 1;
    points[i].completion_tokens = std::array{10, 30, 20}[i];
    points[i].good_per_second = std::array{2.0, 1.0, 0.0}[i];
  }
  const Report report = report_of(points);
  EXPECT_EQ(fastest(report).value(), 1);
  EXPECT_EQ(best_good(report).value(), 0);
  EXPECT_FALSE(fastest(report_of({})).has_value());
  const auto json = boost::json::parse(report_json(report)).as_object();
  EXPECT_EQ(json.at("fastest_point").as_int64(), 1);
  EXPECT_EQ(json.at("points").as_array().size(), 3);
  EXPECT_NE(report_text(report).find("most tokens: 30.0 generated/s"), std::string::npos);
}

TEST(Report, says_how_energy_is_known_or_why_not) {
  RunLog run{.begun = at(0), .ended = at(1000)};
  run.records = {answered(0, {100, 200})};
  Summary sum = summarise(run, {});
  Report report = report_of({sum});
  EXPECT_NE(report_text(report).find("energy     not known: none: --watts"), std::string::npos);
  EXPECT_TRUE(boost::json::parse(report_json(report)).at_pointer("/points/0/joules").is_null());
  report.points[0].joules = 50;
  EXPECT_NE(report_text(report).find("25.000 J per generated token"), std::string::npos);
}

TEST(Report, records_are_lines_in_the_order_asked) {
  RunLog run;
  run.records = {answered(0, {10, 20}), failed("io: \"cut\"\n")};
  run.records[0].index = 1;
  run.records[0].reply.text = "é\"";
  const std::string lines = records_jsonl(run);
  const size_t end = lines.find('\n');
  const auto first = boost::json::parse(lines.substr(0, end)).as_object();
  const auto second = boost::json::parse(lines.substr(end + 1)).as_object();
  EXPECT_FALSE(first.at("ok").as_bool());
  EXPECT_EQ(first.at("failure").as_string(), "io: \"cut\"\n");
  EXPECT_EQ(second.at("text").as_string(), "é\"");
  EXPECT_DOUBLE_EQ(second.at("pieces").as_array()[1].as_double(), 3600.02);
}

}  // namespace
}  // namespace mill::load
