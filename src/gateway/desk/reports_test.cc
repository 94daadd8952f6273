// Usage, costs and invoices over HTTP, of requests that were really answered and charged.
#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <tuple>

#include "gateway/house_for_test.h"
#include "gateway/shop_for_test.h"
#include "maas/catalog/rates.h"

namespace mill::gateway::desk {
namespace {

namespace json = boost::json;

class ReportsTest : public testing::Test {
 protected:
  ReportsTest() : shop(says("a fine answer")) {
    for (int i = 0; i < 3; ++i) ask(shop.key, "org/tiny");
    std::tie(second, serial) = shop.new_key({.project = shop.project, .name = "second"});
    ask(second, "base");
    for (const ledger::Entry& settle : shop.entries(ledger::Kind::kSettle))
      charged += settle.amount;
  }
  void ask(const std::string& key, const std::string& model) {
    net::RawClient connection = shop.mill.client();
    connection.send(MillForTest::request(
        "POST", "/v1/completions",
        R"({"model":")" + model + R"(","prompt":"hello","max_tokens":9})", ShopForTest::auth(key)));
    ASSERT_EQ(connection.response().status, 200);
  }
  net::RawResponse get(const std::string& path, const std::string& key) const {
    net::RawClient connection = shop.mill.client();
    connection.send(MillForTest::request("GET", path, "", ShopForTest::auth(key)));
    return connection.response();
  }
  json::value must(const std::string& path) const {
    const auto response = get(path, shop.admin);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }

  ShopForTest shop;
  std::string second;
  uint64_t serial = 0;
  ledger::Nano charged = 0;
};

TEST_F(ReportsTest, UsageIsWhatTheLedgerSays) {
  const std::string start =
      "/v1/organization/usage/completions?start_time=" + std::to_string(unix_seconds() - 60);
  const auto all = must(start);
  EXPECT_EQ(all.at("object"), "page");
  const auto& bucket = all.at("data").as_array().back();
  ASSERT_EQ(bucket.at("results").as_array().size(), 1u);
  const auto& result = bucket.at("results").at(0);
  EXPECT_EQ(result.at("object"), "organization.usage.completions.result");
  EXPECT_EQ(result.at("num_model_requests"), 4);
  EXPECT_EQ(result.at("output_tokens").to_number<int64_t>(), shop.mill.worker.generated());
  EXPECT_TRUE(result.at("model").is_null());
  const auto grouped = must(start + "&group_by=model&group_by[]=api_key_id&bucket_width=1h");
  const auto& rows = grouped.at("data").as_array().back().at("results").as_array();
  ASSERT_EQ(rows.size(), 2u);
  int64_t requests = 0;
  for (const auto& row : rows) {
    requests += row.at("num_model_requests").to_number<int64_t>();
    EXPECT_TRUE(row.at("api_key_id").as_string().starts_with("key_"));
    EXPECT_TRUE(row.at("project_id").is_null());
  }
  EXPECT_EQ(requests, 4);
  const auto few = must(start + "&models=base");
  EXPECT_EQ(few.at("data").as_array().back().at("results").at(0).at("num_model_requests"), 1);
}

TEST_F(ReportsTest, CostsAddUpToTheCharges) {
  const auto costs = must("/v1/organization/costs?group_by=line_item&start_time=" +
                          std::to_string(unix_seconds() - 60));
  long double sum = 0;
  size_t rows = 0;
  for (const auto& bucket : costs.at("data").as_array()) {
    for (const auto& row : bucket.at("results").as_array()) {
      sum += std::stold(std::string(row.at("amount").at("exact").as_string()));
      EXPECT_EQ(row.at("amount").at("currency"), "usd");
      ++rows;
    }
  }
  EXPECT_GE(rows, 4u);
  EXPECT_NEAR(static_cast<double>(sum * 1e9L), static_cast<double>(charged), 1e-6);
}

TEST_F(ReportsTest, PagesGoOnWhereTheLastOneEnded) {
  const std::string start =
      "/v1/organization/usage/completions?bucket_width=1h&limit=1&start_time=" +
      std::to_string(unix_seconds() - 7200);
  std::string page;
  int64_t requests = 0, pages = 0;
  do {
    const auto got = must(start + (page.empty() ? "" : "&page=" + page));
    for (const auto& bucket : got.at("data").as_array()) {
      for (const auto& row : bucket.at("results").as_array())
        requests += row.at("num_model_requests").to_number<int64_t>();
    }
    page = got.at("has_more").as_bool() ? std::string(got.at("next_page").as_string()) : "";
  } while (++pages < 10 && !page.empty());
  EXPECT_GE(pages, 3);
  EXPECT_EQ(requests, 4);
}

TEST_F(ReportsTest, TheInvoiceOfTheMonthIsAPageAndATable) {
  const auto now_s = static_cast<std::time_t>(unix_seconds());
  char month[8];
  std::strftime(month, sizeof month, "%Y-%m", std::gmtime(&now_s));
  const std::string path = "/v1/organization/invoices/" + std::string(month);
  const auto page = get(path + "/html", shop.admin);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(page.body.find("Ada"), std::string::npos);
  EXPECT_EQ(get(path + "/html", shop.admin).body, page.body);
  const auto table = get(path + "/csv", shop.admin);
  EXPECT_EQ(table.status, 200);
  EXPECT_NE(table.body.find("org/tiny"), std::string::npos);
  const auto focus = get("/v1/organization/exports/" + std::string(month) + "/focus", shop.admin);
  EXPECT_EQ(focus.status, 200) << focus.body;
  EXPECT_NE(focus.body.find("BilledCost"), std::string::npos);
  EXPECT_EQ(get("/v1/organization/invoices/2026-13/html", shop.admin).status, 400);
}

TEST_F(ReportsTest, WhatIsNotAskedWellIsNamed) {
  const auto status = [&](const std::string& query) {
    return get("/v1/organization/usage/completions" + query, shop.admin).status;
  };
  EXPECT_EQ(status(""), 400);
  EXPECT_EQ(status("?start_time=-1"), 400);
  EXPECT_EQ(status("?start_time=5&end_time=5"), 400);
  EXPECT_EQ(status("?start_time=1&bucket_width=1y"), 400);
  EXPECT_EQ(status("?start_time=1&group_by=moon"), 400);
  EXPECT_EQ(status("?start_time=1&page=page_x"), 400);
  EXPECT_EQ(status("?start_time=1&project_ids=proj_nobody"), 404);
  EXPECT_EQ(get("/v1/organization/costs?start_time=1", shop.key).status, 403);
}

// Two requests of 25 J each, of an organization; then 20 W for ten seconds of nobody's.
class EnergyReportsTest : public testing::Test {
 protected:
  EnergyReportsTest()
      : shop(says_in("a fine answer", std::chrono::milliseconds(250)), 1'000'000, {}, shop_prices(),
             house_for_test()) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(shop.ask(kHello).status, 200);
    }
    for (const ledger::Entry& settle : shop.entries(ledger::Kind::kSettle)) {
      charged += settle.amount;
      tokens += settle.tokens.input_uncached + settle.tokens.output_text;
    }
    EXPECT_TRUE(shop.office->till().book_overhead());
    EXPECT_EQ(shop.entries(ledger::Kind::kOverhead).size(), 1u);
    const auto made =
        shop.office->create_admin_key({.org = shop.org, .name = "owner"}, "test", kNever);
    EXPECT_TRUE(made.has_value());
    owner = made->secret;
  }
  json::value bucket(const std::string& key, const std::string& query = "") const {
    net::RawClient connection = shop.mill.client();
    connection.send(MillForTest::request("GET",
                                         "/v1/organization/usage/completions?start_time=" +
                                             std::to_string(unix_seconds() - 60) + query,
                                         "", ShopForTest::auth(key)));
    const auto response = connection.response();
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body).at("data").as_array().back();
  }
  static constexpr const char* kHello =
      R"({"model":"org/tiny","max_tokens":20,"messages":[{"role":"user","content":"hi"}]})";

  ShopForTest shop;
  std::string owner;
  int64_t charged = 0, tokens = 0;
};

TEST_F(EnergyReportsTest, TheOperatorSeesCostMarginAndOverhead) {
  const json::value day = bucket(shop.admin);
  const json::value& result = day.at("results").at(0);
  const json::value& energy = result.at("energy");
  EXPECT_EQ(energy.at("source"), "model");
  EXPECT_EQ(energy.at("microjoules"), 50'000'000);
  EXPECT_EQ(energy.at("joules"), 50.0);
  EXPECT_EQ(energy.at("requests"), 2);
  EXPECT_EQ(energy.at("tokens"), tokens);
  EXPECT_EQ(energy.at("tokens_per_kwh"), tokens * 72'000);
  EXPECT_EQ(energy.at("co2_grams"), 0.0025);
  EXPECT_EQ(energy.at("cost").at("exact"), "0.000005");
  EXPECT_EQ(energy.at("cost").at("currency"), "usd");
  EXPECT_EQ(result.at("margin").at("exact").as_string(),
            maas::print_femto((charged - 5'000) * maas::kFemtoPerNano));
  EXPECT_EQ(day.at("overhead").at("microjoules"), 150'000'000) << "200 J less what requests took";
  EXPECT_EQ(day.at("overhead").at("cost").at("exact"), "0.000015");
  EXPECT_EQ(bucket(shop.admin, "&every_organization=true").at("results"), day.at("results"));
}

TEST_F(EnergyReportsTest, ATenantSeesItsJoulesAndCo2Alone) {
  const json::value day = bucket(owner);
  EXPECT_FALSE(day.as_object().contains("overhead"));
  const json::object& result = day.at("results").at(0).as_object();
  EXPECT_FALSE(result.contains("margin"));
  const json::object& energy = result.at("energy").as_object();
  EXPECT_EQ(energy.at("microjoules"), 50'000'000);
  EXPECT_EQ(energy.at("co2_micrograms"), 2'500);
  EXPECT_FALSE(energy.contains("cost"));
  net::RawClient connection = shop.mill.client();
  connection.send(MillForTest::request(
      "GET", "/v1/organization/usage/completions?start_time=0&every_organization=true", "",
      ShopForTest::auth(owner)));
  EXPECT_EQ(connection.response().status, 403);
}

TEST_F(ReportsTest, WhatWasNotMeasuredIsNull) {
  const auto all =
      must("/v1/organization/usage/completions?start_time=" + std::to_string(unix_seconds() - 60));
  const auto& day = all.at("data").as_array().back();
  EXPECT_TRUE(day.at("results").at(0).at("energy").is_null());
  EXPECT_TRUE(day.at("results").at(0).at("margin").is_null());
  EXPECT_TRUE(day.at("overhead").is_null());
}

}  // namespace
}  // namespace mill::gateway::desk
