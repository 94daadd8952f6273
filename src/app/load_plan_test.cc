#include "app/load_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mill::app {
namespace {

std::vector<load::Ask> all(load::AskSource source) {
  std::vector<load::Ask> asks;
  while (asks.size() < 10000) {
    std::optional<load::Ask> ask = source();
    if (!ask) break;
    asks.push_back(*std::move(ask));
  }
  return asks;
}

LoadPlan plan_of(const LoadArguments& arguments) {
  Result<LoadPlan> plan = LoadPlan::make(arguments);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan ? *std::move(plan) : LoadPlan();
}

// A trace of three requests, 2 s long.
class LoadPlanTrace : public testing::Test {
 protected:
  LoadPlanTrace()
      : file_(std::filesystem::temp_directory_path() /
              ("load-plan-test-" + std::to_string(::getpid()))) {
    std::ofstream(file_) << "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                            "2023-11-16 18:00:00.0,100,10\n2023-11-16 18:00:01.0,200,20\n"
                            "2023-11-16 18:00:02.0,300,30\n";
  }
  ~LoadPlanTrace() override { std::filesystem::remove(file_); }
  const std::filesystem::path file_;
};

TEST(LoadPlan, a_list_of_clients_is_a_sweep_of_closed_loops) {
  const LoadPlan plan = plan_of({.clients = {1, 8}, .shared_prefix = 4});
  EXPECT_FALSE(plan.open_loop);
  EXPECT_EQ(plan.loads, (std::vector<double>{1, 8}));
  EXPECT_EQ(plan.how_at(1).clients, 8);
  const auto first = all(plan.asks(0)), second = all(plan.asks(1));
  EXPECT_EQ(first.size(), 16);
  EXPECT_EQ(second.size(), 32);
  EXPECT_NE(first[0].segments[0].source, second[0].segments[0].source)
      << "what one point asks is not in another's cache";
}

TEST(LoadPlan, rates_are_open_loops_of_thirty_seconds) {
  const LoadPlan plan = plan_of({.rates = {2}});
  EXPECT_TRUE(plan.open_loop);
  EXPECT_EQ(plan.how_at(0).clients, 0);
  const auto asks = all(plan.asks(0));
  EXPECT_EQ(asks.size(), 60);
  EXPECT_GT(asks.back().at, std::chrono::seconds(15));
  const LoadPlan timed = plan_of({.rates = {50}, .duration = "3s"});
  EXPECT_EQ(timed.how.at_most, std::chrono::seconds(3));
  EXPECT_EQ(all(timed.asks(0)).size(), 10000) << "the time ends it";
}

TEST_F(LoadPlanTrace, replays_at_its_own_times_or_at_a_rate_or_in_a_closed_loop) {
  const LoadPlan own = plan_of({.trace = file_.string(), .speed = 2});
  EXPECT_TRUE(own.open_loop);
  EXPECT_NEAR(to_seconds(all(own.asks(0))[2].at), 1, 1e-6);
  const LoadPlan rated = plan_of({.rates = {0.75, 15}, .trace = file_.string(), .max_input = 150});
  EXPECT_NEAR(to_seconds(all(rated.asks(0))[2].at), 4, 1e-6);
  EXPECT_NEAR(to_seconds(all(rated.asks(1))[2].at), 0.2, 1e-6);
  EXPECT_EQ(all(rated.asks(1))[2].prompt_tokens(), 150);
  const LoadPlan closed = plan_of({.clients = {2}, .trace = file_.string(), .requests = 2});
  EXPECT_FALSE(closed.open_loop);
  EXPECT_EQ(all(closed.asks(0)).size(), 2);
}

TEST(LoadPlan, a_warm_up_shares_the_prefix_and_no_prompt) {
  const LoadPlan plan = plan_of({.clients = {3}, .warmup = 5, .shared_prefix = 10});
  const auto warm = all(plan.warm_asks(0)), asks = all(plan.asks(0));
  EXPECT_EQ(warm.size(), 5);
  EXPECT_EQ(plan.warm_up().clients, 5);
  EXPECT_EQ(warm[0].segments[0].source, asks[0].segments[0].source);
  for (const auto& ask : asks) EXPECT_NE(ask.segments[1].source, warm[0].segments[1].source);
}

TEST(LoadPlan, wrong_flags_are_named) {
  const struct {
    LoadArguments arguments;
    std::string_view says;
  } cases[] = {
      {{.clients = {1}, .rates = {1}}, "--clients and --rate"},
      {{.trace = "a", .prompts = "b"}, "--trace and --prompts"},
      {{.clients = {1}, .input = "x"}, "--input"},
      {{.clients = {1}, .output = "5:4"}, "--output"},
      {{.clients = {1}, .duration = "soon"}, "--duration"},
      {{.clients = {1}, .slo_ttft = "-1s"}, "--slo-ttft"},
      {{.clients = std::vector<int64_t>(33, 1)}, "at most 32"},
      {{.trace = "/nowhere/t.csv"}, "/nowhere/t.csv"},
  };
  for (const auto& [arguments, says] : cases) {
    const auto plan = LoadPlan::make(arguments);
    ASSERT_FALSE(plan) << says;
    EXPECT_NE(plan.error().message.find(says), std::string::npos) << plan.error().message;
  }
}

TEST(LoadPlan, bounds_are_durations) {
  const LoadPlan plan = plan_of(
      {.clients = {1}, .deadline = "0s", .slo_ttft = "2s", .slo_tpot = "200ms", .slo_itl = "0.5s"});
  EXPECT_DOUBLE_EQ(plan.slo.ttft_seconds, 2);
  EXPECT_DOUBLE_EQ(plan.slo.tpot_seconds, 0.2);
  EXPECT_DOUBLE_EQ(plan.slo.itl_seconds, 0.5);
  EXPECT_GT(plan.how.patience, std::chrono::hours(24));
}

}  // namespace
}  // namespace mill::app
