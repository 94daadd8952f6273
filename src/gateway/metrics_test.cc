#include "gateway/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "gateway/shop_for_test.h"

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
    EXPECT_TRUE(line.starts_with("tokenmill_") || line.starts_with("gen_ai_")) << line;
    EXPECT_NO_THROW((void)std::stod(line.substr(line.rfind(' ') + 1))) << line;
  }
}

TEST(Metrics, have_the_names_of_the_semantic_conventions) {
  MillForTest mill(says("Hello"));
  const std::string body = R"({"model":"org/tiny","messages":[{"role":"user","content":"hi"}]})";
  EXPECT_EQ(mill.post("/v1/chat/completions", body).status, 200);
  const std::string labels = R"({gen_ai_request_model="org/tiny",gen_ai_provider_name="tokenmill")";
  const std::string first = "gen_ai_server_time_to_first_token_seconds";
  const std::string whole = "gen_ai_server_request_duration_seconds";
  std::string text;
  for (int i = 0; i < 1000; ++i) {  // counted after the answer has been sent
    text = mill.get("/metrics").body;
    if (value_of(text, whole + "_count" + labels + "}") == 1) break;
  }
  EXPECT_EQ(value_of(text, whole + "_count" + labels + "}"), 1);
  EXPECT_EQ(value_of(text, first + "_count" + labels + "}"), 1);
  // The bounds that v1.41.0 names; more between them do no harm.
  for (const char* bound : {"0.001", "0.005", "0.01", "0.02", "0.04", "0.06", "0.08", "0.1", "0.25",
                            "0.5", "0.75", "1", "2.5", "5", "7.5", "10"})
    EXPECT_GE(value_of(text, first + "_bucket" + labels + ",le=\"" + bound + "\"}"), 0) << bound;
  for (const char* bound : {"0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64", "1.28", "2.56",
                            "5.12", "10.24", "20.48", "40.96", "81.92"})
    EXPECT_GE(value_of(text, whole + "_bucket" + labels + ",le=\"" + bound + "\"}"), 0) << bound;
  const std::string each = "gen_ai_server_time_per_output_token_seconds";
  EXPECT_EQ(value_of(text, each + "_count" + labels + "}"), 1);
  for (const char* bound : {"0.01", "0.025", "0.05", "0.075", "0.1", "0.15", "0.2", "0.3", "0.4",
                            "0.5", "0.75", "1", "2.5"})
    EXPECT_GE(value_of(text, each + "_bucket" + labels + ",le=\"" + bound + "\"}"), 0) << bound;
  const std::string usage = "gen_ai_client_token_usage";
  const std::string input = labels + ",gen_ai_token_type=\"input\"";
  const std::string output = labels + ",gen_ai_token_type=\"output\"";
  EXPECT_EQ(value_of(text, usage + "_count" + input + "}"), 1);
  EXPECT_EQ(value_of(text, usage + "_sum" + input + "}"),
            value_of(text, R"(tokenmill_prompt_tokens_total{model="org/tiny"})"));
  EXPECT_EQ(value_of(text, usage + "_sum" + output + "}"),
            value_of(text, R"(tokenmill_completion_tokens_total{model="org/tiny"})"));
  for (const char* bound : {"1", "4", "16", "64", "256", "1024", "4096", "16384", "65536", "262144",
                            "1048576", "4194304", "16777216", "67108864"})
    EXPECT_GE(value_of(text, usage + "_bucket" + input + ",le=\"" + bound + "\"}"), 0) << bound;
  EXPECT_EQ(text.find("tokenmill_ledger_"), std::string::npos) << "an open server has no books";
}

constexpr const char* kHello =
    R"({"model":"org/tiny","max_tokens":20,"messages":[{"role":"user","content":"hi"}]})";

TEST(Metrics, say_how_the_books_do_and_nothing_of_tenants) {
  ShopForTest shop(says("ok"));
  ASSERT_EQ(shop.ask(kHello).status, 200);
  EXPECT_EQ(shop.balance_at_rest().held, 0);
  const std::string text = shop.mill.get("/metrics").body;
  const ledger::BookHealth health = shop.office->book().health();
  EXPECT_GT(health.durable_seq, 0);
  EXPECT_EQ(value_of(text, "tokenmill_ledger_booked_seq"), static_cast<double>(health.booked_seq));
  EXPECT_EQ(value_of(text, "tokenmill_ledger_durable_seq"),
            static_cast<double>(health.durable_seq));
  EXPECT_GT(value_of(text, "tokenmill_ledger_commits_total"), 0);
  EXPECT_EQ(value_of(text, "tokenmill_ledger_failed_commits_total"), 0);
  EXPECT_EQ(value_of(text, "tokenmill_ledger_queued"), 0);
  EXPECT_EQ(value_of(text, "tokenmill_ledger_open_holds"), 0);
  EXPECT_EQ(value_of(text, R"(tokenmill_ledger_state{state="ok"})"), 1);
  EXPECT_EQ(value_of(text, R"(tokenmill_ledger_state{state="stopped"})"), 0);
  for (const char* word : {"Ada", "org-", "proj_", "key_"})
    EXPECT_EQ(text.find(word), std::string::npos) << word;
}

TEST(Metrics, say_why_requests_were_refused) {
  ShopForTest shop(says("ok"), 200);
  shop.must(maas::SetLimit{{.key = shop.key_serial}, "requests_per_minute", 1});
  const auto [narrow, serial] =
      shop.new_key({.project = shop.project, .name = "narrow", .only = {.models = {"base"}}});
  const auto [other, another] = shop.new_key({.project = shop.project, .name = "other"});
  EXPECT_EQ(shop.ask(kHello).status, 200);
  EXPECT_EQ(shop.ask(kHello).status, 429);  // its limit
  EXPECT_EQ(shop.ask(kHello, ShopForTest::auth("sk-nonsense")).status, 401);
  EXPECT_EQ(shop.ask(kHello, ShopForTest::auth(narrow)).status, 403);  // not its model
  EXPECT_EQ(
      shop.ask(R"({"model":"org/tiny","max_tokens":300,"messages":[]})", ShopForTest::auth(other))
          .status,
      400);  // no refusal: a fault of the request
  EXPECT_EQ(
      shop.ask(
              R"({"model":"org/tiny","max_tokens":300,"messages":[{"role":"user","content":"hi"}]})",
              ShopForTest::auth(other))
          .status,
      429);  // no credit
  const auto refusals = [](const std::string& rest) {
    return "tokenmill_refusals_total{" + rest + "}";
  };
  const std::string credit = refusals(R"(reason="credit",limit="",level="",model="org/tiny")");
  std::string text;
  for (int i = 0; i < 1000; ++i) {  // counted after the answer has been sent
    text = shop.mill.get("/metrics").body;
    if (value_of(text, credit) == 1) break;
  }
  EXPECT_EQ(value_of(text, credit), 1) << text;
  EXPECT_EQ(value_of(text, refusals(R"(reason="limit",limit="requests_per_minute",level="key",)"
                                    R"(model="org/tiny")")),
            1);
  EXPECT_EQ(value_of(text, refusals(R"(reason="key",limit="",level="",model="")")), 1);
  EXPECT_EQ(value_of(text, refusals(R"(reason="forbidden",limit="",level="",model="org/tiny")")),
            1);
  size_t series = 0;
  for (size_t at = 0; (at = text.find("\ntokenmill_refusals_total{", at)) != text.npos; ++at)
    ++series;
  EXPECT_EQ(series, 4u);
}

// The names of metrics in a PromQL expression: words that are no function, no label and no keyword.
std::set<std::string> metrics_of(std::string promql) {
  const std::regex aside(R"(\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)|"[^"]*")");
  promql = std::regex_replace(promql, aside, " ");
  std::set<std::string> names;
  const std::regex word(R"(([A-Za-z_:][A-Za-z0-9_:]*)(\s*\()?)");
  for (std::sregex_iterator it(promql.begin(), promql.end(), word), end; it != end; ++it) {
    const bool function = (*it)[2].matched || it->str(1) == "sum" || it->str(1) == "max";
    if (!function) names.insert(it->str(1));
  }
  return names;
}

TEST(Dashboard, every_expression_is_of_metrics_that_there_are) {
  EXPECT_EQ(metrics_of(R"(1 - sum by (le) (rate(a_b{c="d"}[5m])) / x)"),
            (std::set<std::string>{"a_b", "x"}));
  ShopForTest shop(says("ok"));
  ASSERT_EQ(shop.ask(kHello).status, 200);
  ASSERT_EQ(shop.ask(kHello, "").status, 401);  // so that there is a refusal to show
  std::string shown;
  for (int i = 0; i < 1000 && shown.find("tokenmill_refusals_total{") == shown.npos; ++i)
    shown = shop.mill.get("/metrics").body;
  append_webhook_metrics(shown, Courier(*shop.office, {}));
  std::istringstream lines(shown);
  std::set<std::string> there;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) there.insert(line.substr(0, line.find_first_of("{ ")));
  }
  std::ifstream file(MILL_SOURCE_DIR "/deploy/grafana/tokenmill.json");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto dashboard = boost::json::parse(text);
  size_t expressions = 0;
  for (const auto& panel : dashboard.at("panels").as_array()) {
    for (const auto& target : panel.at("targets").as_array()) {
      const std::string promql(target.at("expr").as_string());
      const auto names = metrics_of(promql);
      EXPECT_FALSE(names.empty()) << promql;
      for (const std::string& name : names)
        EXPECT_TRUE(there.count(name)) << "no metric " << name << ": " << promql;
      ++expressions;
    }
  }
  EXPECT_GE(expressions, 20u);
}

}  // namespace
}  // namespace mill::gateway
