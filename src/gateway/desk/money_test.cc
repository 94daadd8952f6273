// Limits, budgets, money, prices and the audit log over HTTP.
#include "gateway/desk/desk_for_test.h"
#include "gateway/desk/price_json.h"

namespace mill::gateway::desk {
namespace {

class MoneyTest : public DeskTest {
 protected:
  static std::string prices(std::string from = "", std::string output = "0.60") {
    maas::BookDraft draft = maas::book_for_test();
    draft.effective_from = std::move(from);
    draft.note = "first";
    draft.models[0].prices[0].rates.output = std::move(output);
    return json::serialize(show_book(draft));
  }
  // A request that was charged; its id.
  std::string charge(const Tenant& t) {
    const auto caller = office->keyring().identify(t.key, "127.0.0.1");
    auto permit =
        office->till().admit(maas::Office::patron(*caller),
                             {.model = "flash", .prompt_tokens = 1000, .output_tokens = 1000});
    EXPECT_TRUE(permit.has_value());
    const std::string id = ledger::to_string(permit->id());
    EXPECT_TRUE(
        permit->settle({.usage = work::Usage{.prompt_tokens = 1000}}, maas::Outcome::kDone));
    return id;
  }
};
#define MONEY(name) TEST_F(MoneyTest, name)

MONEY(CreditIsPaidOnceHoweverOftenItsIdComes) {
  const Tenant t = tenant("Ada");
  const std::string path = "/v1/organizations/" + t.org;
  const Reply balance = must(get(path + "/balance"));
  EXPECT_EQ(balance.str("object"), "organization.balance");
  EXPECT_EQ(balance.str("credit"), "10.00");
  EXPECT_EQ(balance.str("available"), "10.00");
  EXPECT_EQ(balance.str("held"), "0.00");
  const std::string body = R"({"amount":"2.5","id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","note":"wire 17"})";
  const Reply paid = must(post(path + "/credit", body));
  EXPECT_EQ(paid.str("credit"), "12.50");
  EXPECT_EQ(paid.str("existed"), "false");
  const Reply again = must(post(path + "/credit", body));
  EXPECT_EQ(again.str("credit"), "12.50");
  EXPECT_EQ(again.str("existed"), "true");
  EXPECT_EQ(must(post(path + "/credit", R"({"amount":"-2.50"})")).str("credit"), "10.00");
  EXPECT_EQ(must(post(path + "/credit_limit", R"({"amount":"5"})")).str("available"), "15.00");
}

MONEY(WhatIsOwedIsWrittenOff) {
  const Tenant t = tenant("Ada");
  must(post("/v1/price_books", prices()));
  const std::string path = "/v1/organizations/" + t.org;
  must(post(path + "/credit", R"({"amount":"-9.9999"})"));
  must(post(path + "/credit_limit", R"({"amount":"1"})"));
  charge(t);
  const std::string owed = must(get(path + "/balance")).str("credit");
  ASSERT_TRUE(owed.starts_with("-0.")) << owed;
  expect_error(post(path + "/write_off", R"({"amount":"5"})"), 400, "amount");
  EXPECT_EQ(
      must(post(path + "/write_off", R"({"amount":")" + owed.substr(1) + R"("})")).str("credit"),
      "0.00");
}

MONEY(BadMoneyIsRefused) {
  const Tenant t = tenant("Ada");
  const std::string path = "/v1/organizations/" + t.org + "/credit";
  const int64_t before = office->book().health().booked_seq;
  for (const char* amount : {"10", "1.5", "true", "[]", "\"\"", "\"NaN\"", "\"1e3\"", "\"0\"",
                             "\"+1\"", "\" 1\"", "\"1.0000000001\"", "null", "\"inf\"", "\"0x10\""})
    expect_error(post(path, std::string(R"({"amount":)") + amount + "}"), 400, "amount");
  EXPECT_EQ(post(path, R"({"amount":"99999999999999999999"})").status, 413);
  expect_error(post(path, R"({"amount":"1","id":"invoice-17"})"), 400, "id");
  // An id of the future would take the ids of all requests with it.
  expect_error(post(path, R"({"amount":"1","id":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"})"), 400, "id");
  expect_error(post(path, R"({"amount":"-11"})"), 403, "credit");
  EXPECT_EQ(office->book().health().booked_seq, before);
}

MONEY(AChargeIsGivenBack) {
  const Tenant t = tenant("Ada");
  must(post("/v1/price_books", prices()));
  const std::string path = "/v1/organizations/" + t.org, id = charge(t);
  EXPECT_NE(must(get(path + "/balance")).str("credit"), "10.00");
  expect_error(post(path + "/reversals", R"({"request_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"})"), 404,
               "id");
  expect_error(post(path + "/reversals", R"({"amount":"1"})"), 400, "request_id");
  const Reply back =
      must(post(path + "/reversals", R"({"request_id":")" + id + R"(","note":"sorry"})"));
  EXPECT_EQ(back.str("credit"), "10.00");
  EXPECT_EQ(back.str("charged"), "0.00");
}

MONEY(RateLimitsOfAProjectItsModelsAKeyAndTheOrganization) {
  const Tenant t = tenant("Ada");
  must(post("/v1/price_books", prices()));
  const Reply whole = must(
      post(in(t, "/rate_limits"), R"({"max_requests_per_1_minute":60,"concurrent_requests":4})"));
  EXPECT_EQ(whole.str("object"), "project.rate_limit");
  EXPECT_EQ(whole.str("id"), "rl-*");
  EXPECT_EQ(whole.str("requests_per_minute"), "60");
  EXPECT_EQ(whole.str("concurrent_requests"), "4");
  const Reply model =
      must(post(in(t, "/rate_limits/rl-org%2Ftiny"), R"({"max_tokens_per_1_minute":1000})"));
  EXPECT_EQ(model.str("model"), "org/tiny");
  EXPECT_EQ(model.str("input_tokens_per_minute"), "1000");
  EXPECT_EQ(model.str("output_tokens_per_minute"), "1000");
  const Reply list = must(get(in(t, "/rate_limits")));
  std::vector<std::string> models;
  for (const json::value& row : list.data()) models.emplace_back(row.at("model").as_string());
  EXPECT_EQ(models, (std::vector<std::string>{"*", "flash", "house", "org/tiny", "pro"}));
  const Reply first = must(get(in(t, "/rate_limits?limit=2")));
  EXPECT_EQ(first.str("has_more"), "true");
  EXPECT_EQ(must(get(in(t, "/rate_limits?limit=2&after=" + first.str("last_id")))).str("first_id"),
            "rl-house");
  const std::string key = in(t, "/api_keys/" + t.key_id + "/rate_limits");
  EXPECT_EQ(must(post(key, R"({"requests_per_day":5})")).str("max_requests_per_1_day"), "5");
  EXPECT_EQ(must(get(key)).data()[0].at("requests_per_day"), 5);
  const std::string org = "/v1/organization/rate_limits";
  EXPECT_EQ(must(post(org, R"({"uncached_tokens_per_minute":9})")).str("object"),
            "organization.rate_limit");
  EXPECT_EQ(must(get(org)).data()[0].at("uncached_tokens_per_minute"), 9);
  restart();
  EXPECT_EQ(must(get(in(t, "/rate_limits"))).text, list.text);
  // null takes a limit away, also one that isn't there.
  EXPECT_EQ(must(post(key, R"({"requests_per_day":null,"requests_per_minute":null})"))
                .str("requests_per_day"),
            "null");
  EXPECT_EQ(must(get(key)).data()[0].at("max_requests_per_1_day"), maas::kMostLimit);
  uint64_t serial = 0;
  office->keyring().read([&](const maas::Directory& d) {
    serial = d.find(maas::IdKind::kProject, t.project).value();
  });
  EXPECT_EQ(office->till().limits({maas::Level::kProject, serial, {}}).requests_per_minute, 60);
}

MONEY(BadLimitsAreRefusedByName) {
  const Tenant t = tenant("Ada");
  const std::string path = in(t, "/rate_limits");
  expect_error(post(path, R"({"requests_per_hour":1})"), 400, "requests_per_hour");
  expect_error(post(path, R"({"requests_per_minute":-1})"), 400, "requests_per_minute");
  expect_error(post(path, R"({"requests_per_minute":1.5})"), 400, "requests_per_minute");
  expect_error(post(path, R"({"requests_per_minute":"1"})"), 400, "requests_per_minute");
  expect_error(post(path, R"({"requests_per_minute":1e300})"), 400, "requests_per_minute");
  expect_error(post(path, R"({"requests_per_minute":1,"max_requests_per_1_minute":2})"), 400,
               "max_requests_per_1_minute");
  expect_error(post(path, "{}"), 400, "");
  EXPECT_EQ(post(path + "/flash", R"({"requests_per_minute":1})").status, 404);
  expect_error(get(path + "?after=rl-nobody"), 400, "after");
}

MONEY(SpendLimitsOfTheOrganizationAndAProject) {
  const Tenant t = tenant("Ada");
  must(post("/v1/price_books", prices()));
  for (const std::string& path : {std::string("/v1/organization"), in(t)}) {
    const std::string limits = path + "/spend_limits";
    EXPECT_EQ(must(get(limits)).data().size(), 0u);
    const Reply day = must(post(limits, R"({"interval":"day","amount":"1.25"})"));
    EXPECT_EQ(day.str("amount"), "1.25");
    EXPECT_EQ(day.str("threshold_amount"), "125");
    EXPECT_EQ(day.str("currency"), "USD");
    must(post(limits, R"({"interval":"month","amount":"30.000000001","currency":"USD"})"));
    const Reply list = must(get(limits));
    ASSERT_EQ(list.data().size(), 2u);
    EXPECT_EQ(list.data()[1].at("amount"), "30.000000001");
    EXPECT_EQ(list.data()[1].at("threshold_amount"), 3000);
    EXPECT_EQ(must(get(path + "/spend_limit")).str("interval"), "month");
    EXPECT_EQ(must(post(path + "/spend_limit",
                        R"({"threshold_amount":5000,"currency":"USD","interval":"month"})"))
                  .str("amount"),
              "50.00");
    EXPECT_EQ(must(erase(path + "/spend_limit")).str("deleted"), "true");
    EXPECT_EQ(get(path + "/spend_limit").status, 404);
    EXPECT_EQ(erase(path + "/spend_limit").status, 404);
    EXPECT_EQ(must(erase(limits + "?interval=day")).str("id"), "day");
    EXPECT_EQ(must(get(limits)).data().size(), 0u);
    expect_error(post(limits, R"({"interval":"year","amount":"1"})"), 400, "interval");
    expect_error(post(limits, R"({"interval":"day","amount":"-1"})"), 400, "amount");
    expect_error(post(limits, R"({"interval":"day","amount":"1","currency":"CNY"})"), 400,
                 "currency");
    expect_error(erase(limits), 400, "interval");
  }
  must(post("/v1/organization/spend_limits", R"({"interval":"day","amount":"5"})"));
  charge(t);
  EXPECT_NE(must(get("/v1/organization/spend_limits")).data()[0].at("spent"), "0.00");
}

MONEY(SpendAlertsOfTheOrganizationAndAProject) {
  const Tenant t = tenant("Ada");
  for (const std::string& path : {std::string("/v1/organization"), in(t)}) {
    const std::string alerts = path + "/spend_alerts";
    const Reply hook =
        must(post(alerts, R"({"amount":"7.5","interval":"day","notify":"https://x.example/h"})"));
    EXPECT_EQ(hook.str("id"), "alert-day-7.5");
    EXPECT_EQ(hook.str("notification_channel/type"), "webhook");
    const Reply mail = must(post(alerts, R"({"threshold_amount":1000,"currency":"USD",
        "interval":"month","notification_channel":{"type":"email","recipients":["a@b","c@d"]}})"));
    EXPECT_EQ(mail.str("amount"), "10.00");
    EXPECT_EQ(mail.str("threshold_amount"), "1000");
    EXPECT_EQ(mail.str("notification_channel/recipients"), R"(["a@b","c@d"])");
    EXPECT_EQ(must(get(alerts)).data().size(), 2u);
    EXPECT_EQ(must(get(alerts + "?limit=1&order=desc")).str("first_id"), mail.str("id"));
    EXPECT_EQ(
        must(post(alerts + "/" + hook.str("id"), R"({"amount":"8","notify":"a@b"})")).str("id"),
        "alert-month-8");
    EXPECT_EQ(must(get(alerts)).data().size(), 2u);
    EXPECT_EQ(must(get(alerts + "/" + mail.str("id"))).str("notify"), "a@b,c@d");
    EXPECT_EQ(must(erase(alerts + "/" + mail.str("id"))).str("deleted"), "true");
    EXPECT_EQ(get(alerts + "/" + mail.str("id")).status, 404);
    EXPECT_EQ(erase(alerts + "/alert-day-07.5").status, 404);
    expect_error(post(alerts, R"({"amount":"1"})"), 400, "notify");
    expect_error(post(alerts, R"({"amount":"1","threshold_amount":2,"notify":"a@b"})"), 400,
                 "amount");
    expect_error(post(alerts, R"({"amount":"0","notify":"a@b"})"), 400, "amount");
    expect_error(post(alerts, R"({"amount":"1","notification_channel":{"recipients":[1]}})"), 400,
                 "notification_channel.recipients");
  }
}

MONEY(PriceBooksAreSetShownAndWithdrawn) {
  const std::string dry = prices().substr(0, prices().size() - 1) + R"(,"dry_run":true})";
  EXPECT_EQ(must(post("/v1/price_books", dry)).str("number"), "null");
  EXPECT_EQ(must(get("/v1/price_books")).data().size(), 0u);
  const Reply first = must(post("/v1/price_books", prices()));
  EXPECT_EQ(first.str("number"), "1");
  EXPECT_EQ(first.str("status"), "in_effect");
  const Reply later = must(post("/v1/price_books", prices("2100-01-01", "6")));
  EXPECT_EQ(later.str("number"), "2");
  EXPECT_EQ(later.str("status"), "scheduled");
  EXPECT_EQ(later.str("effective_from"), "2100-01-01T00:00:00Z");
  EXPECT_EQ(json::serialize(must(get("/v1/price_books/2")).at("book")), prices("2100-01-01", "6"));
  EXPECT_EQ(must(get("/v1/price_books")).data().size(), 2u);
  expect_error(erase("/v1/price_books/1"), 403, "number");
  EXPECT_EQ(must(erase("/v1/price_books/2")).str("object"), "price_book.deleted");
  EXPECT_EQ(get("/v1/price_books/2").status, 404);
  EXPECT_EQ(must(get("/v1/price_books")).data().size(), 1u);
}

MONEY(BadPriceBooksNameTheFieldAndChangeNothing) {
  const auto set = [&](const std::string& body) { return post("/v1/price_books", body); };
  expect_error(set(prices("", "NaN")), 400, "models[0].prices[0].rates.output");
  expect_error(set(prices("", "-1")), 400, "models[0].prices[0].rates.output");
  expect_error(set(prices("2020-01-01")), 400, "effective_from");
  expect_error(set(R"({"modles":[]})"), 400, "modles");
  expect_error(
      set(R"({"models":[{"id":"m","prices":[{"currency":"USD","rates":{"input":0.15}}]}]})"), 400,
      "models[0].prices[0].rates.input");
  expect_error(
      set(R"({"models":[{"id":"m","prices":[{"currency":"USD","rates":{"inptu":"1"}}]}]})"), 400,
      "models[0].prices[0].rates.inptu");
  expect_error(set(R"({"bands":[{"name":"p","hours":[{"from":"1","to":"2","too":"3"}]}]})"), 400,
               "bands[0].hours[0].too");
  expect_error(set(R"({"models":[7]})"), 400, "models[0]");
  expect_error(set(R"({"models":{}})"), 400, "models");
  EXPECT_EQ(office->till().price_versions().size(), 0u);
  // Somebody's dry run refuses the same.
  const std::string dry = prices("", "NaN").substr(0, prices("", "NaN").size() - 1);
  expect_error(set(dry + R"(,"dry_run":true})"), 400, "models[0].prices[0].rates.output");
}

MONEY(AQuoteExplainsABill) {
  const Tenant t = tenant("Ada");
  expect_error(post("/v1/price_books/quote", R"({"model":"flash"})"), 404, "");
  must(post("/v1/price_books", prices()));
  const std::string body = R"({"model":"flash","currency":"USD","tier":"priority",
      "at":"2100-01-04T05:00:00Z","input_tokens":1000000,"output_tokens":1000000})";
  const Reply quote = must(post("/v1/price_books/quote", body));
  EXPECT_EQ(quote.str("amount"), "1.3125");  // (0.15 + 0.60) x 1.75, outside of the peak
  EXPECT_EQ(quote.at("lines").as_array().size(), 2u);
  EXPECT_NE(quote.str("text").find("charged"), std::string::npos);
  // A tenant may ask too, in its own currency.
  const Reply own = send("POST", "/v1/price_books/quote",
                         R"({"model":"flash-latest","at":"2100-01-04T05:00:00Z",
                             "output_tokens":1000000})",
                         t.admin);
  EXPECT_EQ(own.str("amount"), "0.60");
  EXPECT_EQ(own.str("model"), "flash");
  expect_error(post("/v1/price_books/quote", R"({"model":"none","currency":"USD"})"), 404, "model");
  expect_error(post("/v1/price_books/quote", R"({"model":"flash","output_tokens":-1})"), 400,
               "output_tokens");
  expect_error(post("/v1/price_books/quote", R"({"model":"flash","at":"soon"})"), 400, "at");
}

MONEY(TheAuditLogSaysWhoDidWhat) {
  const Tenant t = tenant("Ada");
  must(send("POST", in(t), R"({"name":"renamed"})", t.admin));
  const Reply all = must(get("/v1/organization/audit_logs"));
  ASSERT_EQ(all.data().size(), 6u);  // two admin keys, organization, project, key, and its name
  const json::object& newest = all.data()[0].as_object();
  EXPECT_EQ(newest.at("type"), "project.updated");
  EXPECT_EQ(newest.at("project.updated").at("changes_requested").at("name"), "renamed");
  EXPECT_EQ(newest.at("actor").at("type"), "api_key");
  EXPECT_EQ(newest.at("project").at("id"), json::value(t.project));
  const std::string admin(newest.at("actor").at("api_key").at("id").as_string());
  EXPECT_EQ(must(get("/v1/organization/audit_logs?actor_ids[]=" + admin)).data().size(), 1u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?actor_ids%5B%5D=" + admin)).data().size(), 1u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?event_types[]=api_key.created&event_types[]="
                     "project.created"))
                .data()
                .size(),
            2u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?project_ids[]=" + t.project)).data().size(), 3u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?resource_ids[]=" + t.key_id)).data().size(), 1u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?actor_emails[]=nobody@x")).data().size(), 0u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?effective_at[lt]=1000")).data().size(), 0u);
  EXPECT_EQ(must(get("/v1/organization/audit_logs?effective_at[gte]=1000")).data().size(), 6u);
}

MONEY(TheAuditLogIsPagedBothWays) {
  const Tenant t = tenant("Ada");
  const Reply all = must(get("/v1/organization/audit_logs"));
  const std::string path = "/v1/organization/audit_logs?limit=2";
  const Reply one = must(get(path));
  EXPECT_EQ(one.str("has_more"), "true");
  const Reply two = must(get(path + "&after=" + one.str("last_id")));
  EXPECT_EQ(two.data()[0], all.data()[2]);
  const Reply back = must(get(path + "&before=" + two.str("first_id")));
  EXPECT_EQ(back.text, one.text.substr(0, one.text.size() - 5) + "false}");
  const Reply middle = must(get(path + "&before=" + all.data()[4].at("id").as_string().c_str()));
  EXPECT_EQ(middle.data()[0], all.data()[2]);
  EXPECT_EQ(middle.str("has_more"), "true");
  expect_error(get(path + "&after=audit_log-1&before=audit_log-2"), 400, "before");
}

}  // namespace
}  // namespace mill::gateway::desk
