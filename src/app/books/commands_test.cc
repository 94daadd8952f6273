// The commands against a real server, in this process: what they do, print and exit with.
#include "app/books/commands.h"

#include <fstream>
#include <sstream>

#include "app/books/journal_lines.h"
#include "app/books/price_file.h"
#include "app/books/report.h"
#include "app/books/table.h"
#include "app/yaml.h"
#include "base/clock.h"
#include "gateway/desk/desk_for_test.h"
#include "gateway/house_for_test.h"
#include "maas/catalog/civil_time.h"
#include "maas/catalog/rates.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct Outcome {
  int exit = -1;
  std::string output, errors;
};

class CommandsTest : public gateway::desk::DeskTest {
 protected:
  // Words apart by spaces.
  Outcome run(const std::string& words) { return run_with(root, words); }
  Outcome run_with(const std::string& key, const std::string& words) {
    const std::string url = "http://127.0.0.1:" + std::to_string(mill->server->port());
    return run_line(words + " --url " + url + " --admin-key " + key);
  }
  static Outcome run_line(const std::string& words) {
    CommandLine line("test 1.0");
    add_books_commands(line);
    std::vector<std::string> texts{"tokenmill"};
    std::istringstream in(words + " --log-level error");  // the server's log is in this process too
    for (std::string word; in >> word;) texts.push_back(word);
    std::vector<const char*> argv;
    for (const std::string& text : texts) argv.push_back(text.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.exit = line.run(static_cast<int>(argv.size()), argv.data());
    outcome.output = testing::internal::GetCapturedStdout();
    outcome.errors = testing::internal::GetCapturedStderr();
    return outcome;
  }
  std::string must(const std::string& words) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit, 0) << words << ": " << outcome.errors;
    EXPECT_EQ(outcome.errors, "") << words;
    return outcome.output;
  }
  // Ends with that exit code, nothing on standard output, and one sentence that has `word`.
  void expect_failure(const Outcome& outcome, int exit, const std::string& word) {
    EXPECT_EQ(outcome.exit, exit) << outcome.errors << outcome.output;
    EXPECT_EQ(outcome.output, "");
    EXPECT_TRUE(outcome.errors.starts_with("tokenmill: ")) << outcome.errors;
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    EXPECT_NE(outcome.errors.find(word), std::string::npos) << outcome.errors;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  json::object json_of(const std::string& words) {
    return json::parse(must(words + " --json")).as_object();
  }
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
};
#define COMMANDS(name) TEST_F(CommandsTest, name)

constexpr const char* kPrices = R"(note: first
models:
  - id: flash
    context_tokens: 4096
    prices:
      - currency: USD
        rates: {input: 0.15, output: 0.60}
        tiers:
          - {tier: priority, factor: 2}
)";

COMMANDS(FromNothingToAPayingTenant) {
  EXPECT_TRUE(has(must("org create Ada --currency USD --credit 10"), "Ada"));
  EXPECT_TRUE(has(must("price set " + file("p.yaml", kPrices)), "in_effect"));
  EXPECT_TRUE(has(must("project create website"), "proj_"));
  const std::string key = must("key create prod --project website --expires 90d --model flash");
  EXPECT_TRUE(has(key, "shown this once"));
  const std::string secret = key.substr(key.rfind("sk-"), 52);
  const auto caller = office->keyring().identify(secret, "127.0.0.1");
  ASSERT_TRUE(caller.has_value()) << secret;
  EXPECT_TRUE(caller->allows("flash"));
  EXPECT_FALSE(caller->allows("other"));
  EXPECT_TRUE(has(must("balance"), "10.00"));
  EXPECT_FALSE(has(must("key list --project website"), secret));
}

COMMANDS(AlertsAndWhereTheyGo) {
  must("org create Ada --currency USD --credit 10");
  must("project create website");
  expect_failure(run("webhook show"), 1, "webhook");
  const std::string made = must("webhook set https://hooks.example/a");
  EXPECT_TRUE(has(made, "whsec_")) << made;
  EXPECT_TRUE(has(made, "shown this once"));
  EXPECT_FALSE(has(must("webhook set https://hooks.example/b"), "whsec_"));
  EXPECT_TRUE(has(must("webhook show"), "https://hooks.example/b"));
  EXPECT_TRUE(has(must("webhook rotate --overlap-hours 1"), "whsec_"));
  expect_failure(run("webhook set http://127.0.0.1/"), 2, "127.0.0.1");
  EXPECT_TRUE(has(must("alert set month 25"), "alert-month-25"));
  EXPECT_TRUE(has(must("alert set day 5 --project website --notify ops@a.example"), "ops@a"));
  EXPECT_TRUE(has(must("alert list"), "25.00"));
  EXPECT_TRUE(has(must("alert list --project website"), "alert-day-5"));
  EXPECT_FALSE(has(must("alert list"), "alert-day-5"));
  must("alert clear alert-day-5 --project website");
  expect_failure(run("alert clear alert-day-5 --project website"), 1, "alert-day-5");
  EXPECT_TRUE(has(must("alert low-credit 2.5"), "2.50"));
  EXPECT_TRUE(has(must("alert low-credit"), "10.00"));
  EXPECT_TRUE(has(must("alert low-credit off"), "no credit alert"));
  EXPECT_EQ(json_of("webhook show").at("status"), "enabled");
  must("webhook clear");
  expect_failure(run("webhook show"), 1, "webhook");
}

COMMANDS(OrganizationsAndTheirMoney) {
  must("org create Ada --currency USD");
  EXPECT_TRUE(has(must("org pay Ada 12.5 --note wire"), "12.50"));
  EXPECT_TRUE(has(must("org pay Ada -2.5"), "10.00"));
  const std::string twice = "org pay Ada 1 --id 01ARZ3NDEKTSV4RRFFQ69G5FAV";
  EXPECT_FALSE(has(must(twice), "booked before"));
  EXPECT_TRUE(has(must(twice), "booked before"));
  EXPECT_TRUE(has(must("org credit-limit Ada 5"), "16.00"));
  EXPECT_TRUE(has(must("org rename Ada Countess"), "Countess"));
  EXPECT_TRUE(has(must("org show Countess"), "available"));
  EXPECT_EQ(json_of("org show Countess").at("balance").at("credit"), "11.00");
  expect_failure(run("org write-off Countess 1"), 2, "owed");
  expect_failure(run("org reverse Countess 01ARZ3NDEKTSV4RRFFQ69G5FAV"), 1, "charge");
  expect_failure(run("org pay Countess ten"), 2, "amount");
  expect_failure(run("org pay Countess -100"), 1, "credit");
  EXPECT_TRUE(has(must("org archive Countess"), "archived"));
  EXPECT_FALSE(has(must("org list"), "Countess"));
  EXPECT_TRUE(has(must("org list --archived"), "Countess"));
}

COMMANDS(NamesThatSeveralHaveNeedAnId) {
  must("org create Ada --currency USD");
  const json::object second = json_of("org create Ada --currency CNY");
  expect_failure(run("org show Ada"), 2, "org-");
  expect_failure(run("project list"), 2, "--org");
  const std::string id(second.at("id").as_string());
  EXPECT_TRUE(has(must("org show " + id), "CNY"));
  must("project create one --org " + id);
  must("project create one --org " + id);
  expect_failure(run("project show one --org " + id), 2, "proj_");
  const json::object list = json_of("project list --org " + id);
  const std::string project(list.at("data").at(0).at("id").as_string());
  EXPECT_TRUE(has(must("project show " + project), project));
  expect_failure(run("project show two --org " + id), 1, "'two'");
}

COMMANDS(KeysAreFoundInWhateverProjectTheyAre) {
  must("org create Ada --currency USD");
  must("project create one");
  must("project create two");
  must("key create k --project two");
  EXPECT_TRUE(has(must("key update k --name j --network 10.0.0.0/8 --expires 2100-01-01"),
                  "2100-01-01T00:00:00Z"));
  EXPECT_TRUE(has(must("key update j --network any --expires never"), "expires        -"));
  EXPECT_TRUE(has(must("key rotate j"), "shown this once"));
  EXPECT_TRUE(has(must("key show j"), "sk-…"));
  expect_failure(run("key update j"), 2, "--name");
  expect_failure(run("key update j --expires soon"), 2, "--expires");
  expect_failure(run("key update j --network 10.0.0.1/8"), 2, "10.0.0.1/8");
  must("key create j --project one");
  expect_failure(run("key revoke j"), 2, "key_");
  EXPECT_TRUE(has(must("key revoke j --project one"), "revoked"));
  expect_failure(run("key revoke j --project one"), 1, "'j'");
  EXPECT_TRUE(has(must("key list --project one --revoked"), "j"));
  EXPECT_TRUE(has(must("admin-key create second"), "sk-admin-"));
  EXPECT_TRUE(has(must("admin-key list"), "second"));
  EXPECT_TRUE(has(must("admin-key revoke second"), "revoked"));
  expect_failure(run("admin-key revoke operator"), 2, "last");
}

COMMANDS(LimitsAndBudgets) {
  must("org create Ada --currency USD");
  must("project create one");
  must("key create k --project one");
  EXPECT_TRUE(has(must("limit set requests_per_minute=600"), "600"));
  EXPECT_TRUE(has(must("limit set --project one requests_per_day=7 concurrent_requests=3"), "7"));
  EXPECT_TRUE(
      has(must("limit set --project one --model org/tiny output_tokens_per_minute=9"), "org/tiny"));
  EXPECT_TRUE(has(must("limit set --key k requests_per_minute=5"), "5"));
  const std::string list = must("limit list --project one");
  EXPECT_TRUE(has(list, "org/tiny") && has(list, "7")) << list;
  EXPECT_TRUE(has(must("limit list"), "600"));
  EXPECT_FALSE(has(must("limit clear requests_per_minute"), "600"));
  expect_failure(run("limit set rpm=1"), 2, "rpm");
  expect_failure(run("limit set requests_per_minute=many"), 2, "requests_per_minute=60");
  expect_failure(run("limit set --key k --model m requests_per_minute=1"), 2, "--key");
  EXPECT_TRUE(has(must("budget set month 25 --project one"), "25.00"));
  EXPECT_TRUE(has(must("budget set day 2.5"), "2.50"));
  EXPECT_TRUE(has(must("budget list --project one"), "month"));
  EXPECT_TRUE(has(must("budget clear month --project one"), "no budget per month"));
  expect_failure(run("budget clear month --project one"), 1, "month");
  expect_failure(run("budget set year 1"), 2, "interval");
  EXPECT_TRUE(has(must("project share one --tier priority --weight 2.5"), "2.5"));
  expect_failure(run("project share one"), 2, "--tier");
  expect_failure(run("project share one --tier gold"), 2, "gold");
}

COMMANDS(PricesFromAFile) {
  const std::string good = file("good.yaml", kPrices);
  EXPECT_TRUE(has(must("price set --dry-run " + good), "nothing is changed"));
  EXPECT_FALSE(has(must("price list"), "in_effect"));
  must("price set " + good);
  EXPECT_TRUE(has(must("price show"), "0.15"));
  EXPECT_TRUE(has(must("price show"), "tier priority"));
  EXPECT_TRUE(
      has(must("price quote flash --input 1000000 --tier priority --currency USD"), "0.30"));
  must("price set " + file("later.yaml", std::string("effective_from: 2100-01-01\n") + kPrices));
  EXPECT_TRUE(has(must("price list"), "scheduled"));
  EXPECT_TRUE(has(must("price withdraw 2"), "withdrawn"));
  expect_failure(run("price withdraw 1"), 1, "in effect");
  expect_failure(run("price show 9"), 1, "'9'");
  expect_failure(run("price quote none --currency USD"), 1, "none");
  expect_failure(run("price set " + (folder / "none.yaml").string()), 1, "none.yaml");
  std::string text = kPrices;
  text.replace(text.find("0.60"), 4, "NaN");
  expect_failure(run("price set " + file("nan.yaml", text)), 2, "nan.yaml:7:");
  expect_failure(run("price set " + file("broken.yaml", "models: [")), 2, "broken.yaml:");
  expect_failure(run("price set " + file("list.yaml", "- a\n")), 2, "list.yaml:1:");
  expect_failure(run("price set " + file("typo.yaml", "modles: []\n")), 2, "modles");
  text = kPrices;
  text.replace(text.find("4096"), 4, "many");
  expect_failure(run("price set " + file("many.yaml", text)), 2, "many.yaml:4:");
}

COMMANDS(TheAuditLogForPeople) {
  must("org create Ada --currency USD");
  must("project create one");
  must("project rename one two");
  const std::string all = must("audit");
  EXPECT_TRUE(has(all, "name one -> two")) << all;
  EXPECT_TRUE(has(must("audit --type project.created"), "project.created"));
  EXPECT_FALSE(has(must("audit --type project.created"), "project.updated"));
  EXPECT_EQ(json_of("audit --count 2").at("data").as_array().size(), 2u);
  EXPECT_FALSE(has(must("audit --until 2020-01-01"), "project"));
  expect_failure(run("audit --since yesterday"), 2, "yesterday");
}

constexpr const char* kShop = R"(models:
  - id: org/tiny
    prices:
      - currency: USD
        rates: {input: 1, output: 4}
  - id: base
    prices:
      - currency: USD
        rates: {input: 1, output: 4}
)";

// Two keys of two projects, with three requests and one.
class ReportCommandsTest : public CommandsTest {
 protected:
  ReportCommandsTest() {
    must("org create Ada --currency USD --credit 10");
    must("price set " + file("shop.yaml", kShop));
    must("project create one");
    must("project create two");
    const std::string first = key("k --project one"), second = key("l --project two");
    for (int i = 0; i < 3; ++i) ask(first, "org/tiny");
    ask(second, "base");
    const Status read = office->book().scan({.kinds = {ledger::Kind::kSettle}},
                                            [&](const ledger::Entry& entry) -> Status {
                                              charged += entry.amount;
                                              input += entry.tokens.input_uncached;
                                              output += entry.tokens.output_text;
                                              return {};
                                            });
    EXPECT_TRUE(read.has_value());
    EXPECT_GT(charged, 0);
  }
  std::string key(const std::string& words) {
    const std::string text = must("key create " + words);
    return text.substr(text.rfind("sk-"), 52);
  }
  void ask(const std::string& key, const std::string& model) {
    EXPECT_EQ(send("POST", "/v1/completions",
                   R"({"model":")" + model + R"(","prompt":"hello","max_tokens":9})", key)
                  .status,
              200);
  }
  // The words of each line but the first.
  static std::vector<std::vector<std::string>> rows(const std::string& text) {
    std::vector<std::vector<std::string>> all;
    std::istringstream lines(text.substr(text.find('\n') + 1));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream in(line);
      all.emplace_back();
      for (std::string word; in >> word;) all.back().push_back(word);
    }
    return all;
  }
  std::string money() const { return maas::print_femto(charged * maas::kFemtoPerNano); }
  static std::string month() { return maas::format_date(unix_nanoseconds()).substr(0, 7); }

  ledger::Nano charged = 0;
  int64_t input = 0, output = 0;
};
#define REPORTS(name) TEST_F(ReportCommandsTest, name)
using Words = std::vector<std::string>;

REPORTS(UsageIsWhatTheJournalSays) {
  const Words all{
      std::to_string(input), "0", std::to_string(output), "4", money(), "USD", "not", "measured"};
  EXPECT_EQ(rows(must("usage")), (std::vector<Words>{all}));
  const auto by_model = rows(must("usage --by model"));
  ASSERT_EQ(by_model.size(), 3u);
  EXPECT_EQ(by_model[0][0], "base");
  EXPECT_EQ(by_model[0][4], "1");
  EXPECT_EQ(by_model[1][0], "org/tiny");
  EXPECT_EQ(by_model[1][4], "3");
  Words total = all;
  total.insert(total.begin(), "total");
  EXPECT_EQ(by_model[2], total);
  const auto by_key = rows(must("usage --by tier,project,key,day"));
  ASSERT_EQ(by_key.size(), 3u);
  EXPECT_EQ(by_key[0][0], "default");
  EXPECT_EQ(by_key[0][1], "one");
  EXPECT_EQ(by_key[0][2], "k");
  EXPECT_TRUE(by_key[0][3].starts_with(month())) << by_key[0][3];
  EXPECT_EQ(by_key[1][1], "two");
  EXPECT_EQ(by_key[1][2], "l");
  EXPECT_EQ(rows(must("usage --to 2020-02-01 --from 2020-01-01")).size(), 0u);
}

REPORTS(AReportOfManyPagesIsWhole) {
  const std::string from = maas::format_date(unix_nanoseconds() - 20 * maas::kNanosPerDay);
  const json::object page = json_of("usage --by hour --from " + from);
  EXPECT_GE(page.at("data").as_array().size(), 20u * 24);  // a page has 168 at most
  EXPECT_EQ(page.at("has_more"), false);
  const auto hours = rows(must("usage --by hour --from " + from));
  ASSERT_GE(hours.size(), 1u);  // two where the hour struck meanwhile, and their total
  EXPECT_EQ(hours.back()[4], "4");
  EXPECT_TRUE(hours[0][0].ends_with(":00:00Z")) << hours[0][0];
}

REPORTS(CostsAddUpToTheCharges) {
  const auto lines = rows(must("costs"));
  ASSERT_GE(lines.size(), 4u);
  EXPECT_EQ(lines.back(), (Words{"total", money(), "USD"}));
  EXPECT_TRUE(has(must("costs"), "org/tiny, output"));
  const auto projects = rows(must("costs --by project"));
  ASSERT_EQ(projects.size(), 3u);
  EXPECT_EQ(projects[0][0], "one");
  EXPECT_EQ(projects[1][0], "two");
  EXPECT_EQ(projects[2], (Words{"total", money(), "USD"}));
  EXPECT_EQ(json_of("costs").at("object"), "page");
}

REPORTS(InvoicesAndExportsAreTheServersOwn) {
  const std::string base = "/v1/organization/invoices/" + month();
  EXPECT_EQ(must("invoice " + month()), get(base + "/html").text);
  EXPECT_EQ(must("invoice --csv " + month()), get(base + "/csv").text);
  const std::string out = (folder / "focus.csv").string();
  EXPECT_EQ(must("export focus " + month() + " --out " + out), "");
  std::ifstream in(out, std::ios::binary);
  const std::string written(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(written, get("/v1/organization/exports/" + month() + "/focus").text);
  EXPECT_TRUE(has(written, "BilledCost"));
  const std::string one = must("invoice --csv --project two " + month());
  EXPECT_TRUE(has(one, "base") && !has(one, "org/tiny")) << one;
}

REPORTS(WhatIsAskedWronglyIsOneSentence) {
  expect_failure(run("usage --by moon"), 2, "moon");
  expect_failure(run("usage --by hour,day"), 2, "not both");
  expect_failure(run("costs --by model"), 2, "line, project, key, day");
  expect_failure(run("usage --from yesterday"), 2, "--from");
  expect_failure(run("usage --from 2026-01-02 --to 2026-01-01"), 2, "--to");
  expect_failure(run("invoice 2026-13"), 2, "MONTH");
  expect_failure(run("invoice 2026-11 --json"), 2, "JSON");
  expect_failure(run("export focus 2026-11 --out /nowhere/x.csv"), 1, "/nowhere/x.csv");
  must("org create Bob --currency USD");
  expect_failure(run("usage"), 2, "--org");
  EXPECT_EQ(rows(must("usage --org Ada")).size(), 1u);
  EXPECT_EQ(rows(must("usage --org Bob")).size(), 0u);
}

// 25 J for each request, at 100 nano-dollars and 50 micrograms of CO2 per joule.
class EnergyCommandsTest : public ReportCommandsTest {
 protected:
  EnergyCommandsTest() {
    answers = gateway::says_in("a", std::chrono::milliseconds(250));
    meter = gateway::house_for_test();
    restart();
  }
  void book_overhead() {
    ASSERT_TRUE(office->till().book_overhead());
    ledger::Book& book = office->book();
    ASSERT_TRUE(book.durable_blocking({.seq = book.health().booked_seq}));
  }
};

TEST_F(EnergyCommandsTest, UsageShowsWhatTheElectricityOfEachModelCost) {
  must("org create Eve --currency USD --credit 10");
  must("project create only --org Eve");
  const std::string secret = key("m --org Eve --project only");
  for (int i = 0; i < 2; ++i) ask(secret, "org/tiny");
  ask(secret, "base");
  book_overhead();
  const auto table = rows(must("usage --org Eve --by model,hour"));
  // Each request: 5 tokens in and 2 out, at 1 and 4 dollars a million: 0.000013. A joule is
  // 1 / 3.6e6 of a kWh: 25 J are 0.000006944…, and 7 tokens of it are 1008000 a kWh.
  ASSERT_EQ(table.size(), 4u) << must("usage --org Eve --by model,hour");
  EXPECT_EQ(Words(table[0].begin() + 2, table[0].end()),
            (Words{"5", "0", "2", "1", "0.000013", "USD", "0.000006944", "model", "1008000",
                   "0.00125", "0.0000025", "0.0000105"}));
  EXPECT_EQ(Words(table[1].begin() + 2, table[1].end()),
            (Words{"10", "0", "4", "2", "0.000026", "USD", "0.000013888", "model", "1008000",
                   "0.0025", "0.000005", "0.000021"}));
  EXPECT_EQ(table[2], (Words{"total", "15", "0", "6", "3", "0.000039", "USD", "0.000020833",
                             "model", "1008000", "0.00375", "0.0000075", "0.0000315"}));
  // 20 W for ten seconds, less the 75 J above.
  EXPECT_EQ(table[3], (Words{"overhead", "USD", "0.000034722", "model", "-", "0.00625", "0.0000125",
                             "-0.0000125"}));
  const std::string head = must("usage --org Eve --by model,hour");
  EXPECT_TRUE(has(head.substr(0, head.find('\n')), "COST USD")) << head;
  EXPECT_EQ(json_of("usage --org Eve").at("data").as_array().back().at("overhead").at("joules"),
            125.0);
  // Of all: Ada's four were before anybody measured.
  const auto every = rows(must("usage --every-org"));
  EXPECT_EQ(every[0][3], "7");
  EXPECT_TRUE(has(must("usage --every-org"), "0.000020833 (3 of 7)"));
  EXPECT_EQ(every[0].back(), "-") << "what four of them cost is not known, so nor is the margin";
  EXPECT_TRUE(has(must("usage --org Ada --by model"), "not measured"));
  expect_failure(run("usage --every-org --org Ada"), 2, "--org");
  expect_failure(run("usage --every-org --by key"), 2, "--org");
  meter = nullptr;
  restart();
  EXPECT_EQ(must("usage --org Eve --by model,hour"), head) << "it is all in the journal";
}

TEST_F(EnergyCommandsTest, ATenantSeesNeitherCostNorMargin) {
  const Tenant t = tenant("Eve");
  EXPECT_EQ(
      send("POST", "/v1/completions", R"({"model":"base","prompt":"hello","max_tokens":9})", t.key)
          .status,
      200);
  book_overhead();
  const Outcome own = run_with(t.admin, "usage --by model");
  EXPECT_EQ(own.exit, 0) << own.errors;
  EXPECT_TRUE(has(own.output, "0.000006944") && has(own.output, "0.00125")) << own.output;
  EXPECT_FALSE(has(own.output, "COST") || has(own.output, "MARGIN") || has(own.output, "overhead"))
      << own.output;
  EXPECT_EQ(run_with(t.admin, "usage --every-org").exit, 1);
}

TEST(ReportTest, MoneyIsAddedExactlyAndNamesOfSeveralStayIds) {
  constexpr ReportGroup kGroups[] = {{"project", "PROJECT", "project_id"}};
  const ReportShape shape{kGroups, {}, "amount"};
  const auto groups = report_groups(shape, {"project", "project"});
  ASSERT_EQ(groups->size(), 1u);
  const auto page = [](const std::string& exact) {
    return json::parse(
               R"({"data":[{"start_time":0,"results":[
        {"project_id":"p1","amount":{"exact":")" +
               exact + R"(","currency":"usd"}},
        {"project_id":"p2","amount":{"exact":"-0.1","currency":"usd"}},
        {"project_id":"p1","amount":{"exact":"99999999999999999.000000000000002","currency":"usd"}}
        ]}]})")
        .as_object();
  };
  const auto text = report_table(shape, *groups, page("0.000000000000001"), {{"p2", "two"}});
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_EQ(*text,
            "PROJECT                             AMOUNT  CURRENCY\n"
            "p1       99999999999999999.000000000000003  USD\n"
            "two                                  -0.10  USD\n"
            "total    99999999999999998.900000000000003  USD\n");
  for (const char* bad : {"", ".5", "1e3", "0.0000000000000001", "--1", "1.2.3", "NaN"})
    EXPECT_FALSE(report_table(shape, *groups, page(bad), {}).has_value()) << bad;
  EXPECT_FALSE(report_table(shape, *groups, {{"data", {1}}}, {}).has_value());
}

COMMANDS(AWrongServerOrKeyIsOneSentence) {
  expect_failure(run_with("sk-admin-wrong", "org list"), 1, "key");
  expect_failure(run_line("org list --admin-key x --url http://127.0.0.1:1"), 1, "tokenmill serve");
  expect_failure(run_line("org list --admin-key x --url https://127.0.0.1"), 1, "https");
  expect_failure(run_line("org list --admin-key x --url nonsense"), 2, "nonsense");
  expect_failure(run_line("org list --url http://127.0.0.1:1"), 2, "TOKENMILL_ADMIN_KEY");
  const Tenant t = tenant("Ada");
  expect_failure(run_with(t.key, "org list"), 1, "admin key");
  expect_failure(run_with(t.admin, "org pay Ada 1"), 1, "operator");
  const Outcome own = run_with(t.admin, "org list");
  EXPECT_EQ(own.exit, 0);
  EXPECT_TRUE(has(own.output, "Ada"));
}

COMMANDS(TheJournalIsVerifiedAndExportedWhileTheServerHasIt) {
  const Tenant t = tenant("Ada");
  const std::string where = " --ledger " + (folder / "ledger.db").string();
  const Outcome good = run_line("ledger verify" + where);
  EXPECT_EQ(good.exit, 0) << good.errors;
  EXPECT_TRUE(has(good.output, "Everything is right"));
  const Outcome lines = run_line("ledger export" + where);
  EXPECT_EQ(lines.exit, 0) << lines.errors;
  EXPECT_TRUE(has(lines.output, R"("act":"organization.created")"));
  EXPECT_TRUE(has(lines.output, R"("kind":"credit")"));
  EXPECT_FALSE(has(lines.output, t.key));
  const int64_t entries = office->book().health().durable_seq;
  EXPECT_EQ(std::count(lines.output.begin(), lines.output.end(), '\n'), entries);
  const Outcome csv = run_line("ledger export --format csv" + where);
  EXPECT_EQ(std::count(csv.output.begin(), csv.output.end(), '\n'), entries + 1);
  expect_failure(run_line("ledger verify --ledger /nowhere/ledger.db"), 1, "/nowhere");
  expect_failure(run_line("ledger verify --ledger " + file("text.db", "hello")), 1, "text.db");
  close();
  ledger::sqlite_change(folder / "ledger.db",
                        "UPDATE entry SET amount = amount + 1 WHERE kind = 2");
  const Outcome bad = run_line("ledger verify" + where);
  EXPECT_EQ(bad.exit, 1);
  EXPECT_TRUE(has(bad.errors, "wrong")) << bad.errors;
  open();
}

TEST(JournalLinesTest, ASpreadsheetSeesNoFormula) {
  ledger::Entry entry = ledger::credit(1'500'000'000);
  entry.body = "=HYPERLINK(\"x\"),\"y\"";
  entry.actor = "@SUM(1)";
  JournalLines lines;
  const std::string line = JournalLines::csv(lines.next(entry));
  EXPECT_NE(line.find("\"'=HYPERLINK(\"\"x\"\"),\"\"y\"\"\""), std::string::npos) << line;
  EXPECT_NE(line.find(",'@SUM(1),"), std::string::npos) << line;
  entry.amount = -1'500'000'000;
  EXPECT_NE(JournalLines::csv(lines.next(entry)).find(",-1.5,"), std::string::npos);
  const std::string head = JournalLines::csv_head();
  EXPECT_EQ(std::count(head.begin(), head.end(), ','), 31);
}

TEST(PriceFileTest, PlainValuesStayTheTextTheyAre) {
  const auto document = parse_yaml(
      "models: [{id: 1e3, context_tokens: 5, prices: [{rates: "
      "{input: 0.150, output: true}}]}]\nnote: ~\n",
      "x");
  const auto book = price_book_json(*document, "x");
  ASSERT_TRUE(book.has_value()) << book.error().message;
  EXPECT_EQ(json::serialize(*book),
            R"({"models":[{"id":"1e3","context_tokens":5,"prices":[{"rates":{"input":"0.150",)"
            R"("output":"true"}}]}],"note":null})");
}

TEST(PriceFileTest, PathsAreFoundAsFarAsTheyGo) {
  const auto document = parse_yaml(kPrices, "x");
  EXPECT_EQ(line_of_path(*document, "models[0].prices[0].rates.output"), 7);
  EXPECT_EQ(line_of_path(*document, "models[0].prices[0].tiers[0].factor"), 9);
  EXPECT_EQ(line_of_path(*document, "models[0].context_tokens"), 4);
  EXPECT_EQ(line_of_path(*document, "models[0].none.at.all"), 3);
  EXPECT_EQ(line_of_path(*document, "models[7]"), 3);
  EXPECT_EQ(line_of_path(*document, "none"), 1);
  EXPECT_EQ(line_of_path(*document, "[[..]"), 1);
}

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  const json::array items =
      json::parse(R"([{"a":"é","n":5},{"a":"long","n":null,"x_at":0},7])").as_array();
  EXPECT_EQ(table(items, {{"A", "a"}, {"N", "n", true}, {"AT", "x_at"}}),
            "A     N  AT\né     5  -\nlong  -  1970-01-01T00:00:00Z\n-     -  -\n");
}

}  // namespace
}  // namespace mill::app
