// Alerts from a real journal to a real HTTPS server that fails in every way there is.
#include "gateway/courier/courier.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "ledger/ledger_for_test.h"
#include "net/tls_server_for_test.h"
#include "net/webhook_signature.h"

namespace mill::gateway {
namespace {

using std::chrono::milliseconds;
using Exchange = net::TlsServerForTest::Exchange;

struct Received {
  std::string id, timestamp, signature, body, path;
  boost::json::value json() const { return boost::json::parse(body); }
  std::string type() const { return std::string(json().at("type").as_string()); }
};

// An endpoint: keeps what it gets, and answers the n-th request as `answer` says.
class Endpoint {
 public:
  using Answer = std::function<void(int n, Exchange& http)>;
  explicit Endpoint(Answer answer = {})
      : answer_(std::move(answer)), server_([this](Exchange& http) { serve(http); }) {}
  static Answer status(std::function<std::string(int)> of) {
    return [of = std::move(of)](int n, Exchange& http) { http.reply(of(n), "", ""); };
  }
  std::string url() const { return server_.url("/hook"); }
  const std::string& ca_file() const { return server_.ca_file(); }
  int requests() const { return server_.requests(); }
  std::vector<Received> all() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  // Waits until so many came.
  std::vector<Received> wait_for(size_t count) const {
    for (int i = 0; i < 4000 && all().size() < count; ++i)
      std::this_thread::sleep_for(milliseconds(5));
    const auto got = all();
    EXPECT_GE(got.size(), count);
    return got;
  }

 private:
  void serve(Exchange& http) {
    Received got{.id = http.header("webhook-id"),
                 .timestamp = http.header("webhook-timestamp"),
                 .signature = http.header("webhook-signature"),
                 .body = http.body(),
                 .path = http.path()};
    int n = 0;
    {
      const std::lock_guard lock(mutex_);
      n = static_cast<int>(received_.size());
      received_.push_back(std::move(got));
    }
    if (answer_)
      answer_(n, http);
    else
      http.reply("204 No Content", "", "");
  }
  Answer answer_;
  mutable std::mutex mutex_;
  std::vector<Received> received_;
  net::TlsServerForTest server_;
};

class CourierTest : public testing::Test {
 protected:
  CourierTest() {
    set_log_level(LogLevel::kError);
    options.targets.networks = {*maas::parse_cidr("127.0.0.0/8"), *maas::parse_cidr("::1/128")};
    options.retry_first = milliseconds(20);
    options.retry_longest = milliseconds(200);
    options.total_time = std::chrono::seconds(5);
    open();
    org = new_org("Ada");
  }
  ~CourierTest() override { close(); }

  void open() {
    auto journal = ledger::open_sqlite_journal(folder / "ledger.db");
    ASSERT_TRUE(journal.has_value());
    auto opened = maas::Office::open(std::move(*journal), {});
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    office = std::move(*opened);
  }
  void close() {
    courier.reset();
    office.reset();
  }
  void start() { courier = std::make_unique<Courier>(*office, options); }
  void restart() {
    close();
    open();
    start();
  }
  uint64_t act(const maas::Act& act) {
    const auto done = office->administer(act, "test", kNever);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return done ? done->serial : 0;
  }
  uint64_t new_org(const std::string& name) {
    const uint64_t made = act(maas::CreateOrganization{.name = name, .currency = ledger::kUsd});
    EXPECT_TRUE(office->pay({.org = made, .amount = 1'000'000}, "test", kNever).has_value());
    return made;
  }
  void hook(const Endpoint& endpoint, uint64_t of, char secret = 's') {
    options.ca_file = endpoint.ca_file();
    act(maas::SetWebhook{of, endpoint.url(), std::string(32, secret)});
  }
  void alert_at(ledger::Nano amount, uint64_t of) {
    act(maas::SetSpendAlert{of, 0, ledger::kUsd, maas::Period::kMonth, amount, "ops@a.example"});
  }
  // A request that was charged `amount`.
  void spend(ledger::Nano amount, uint64_t of) {
    const auto id = office->book().new_id();
    ledger::Entry hold = ledger::hold(0, amount, {.org = of, .project = 1, .key = 1});
    hold.hold = id;
    ASSERT_TRUE(office->book().post(hold).has_value());
    ledger::Entry settle = ledger::of_hold(ledger::Kind::kSettle, 0, amount);
    settle.hold = id;
    const auto ticket = office->book().post(settle);
    ASSERT_TRUE(ticket.has_value());
    ASSERT_TRUE(office->book().durable_blocking(*ticket).has_value());
  }
  // Waits until `holds`.
  void until(const std::function<bool(const Courier::Counts&)>& holds) const {
    for (int i = 0; i < 4000 && !holds(courier->counts()); ++i)
      std::this_thread::sleep_for(milliseconds(5));
    const Courier::Counts counts = courier->counts();
    EXPECT_TRUE(holds(counts)) << "delivered " << counts.delivered << " failed " << counts.failed
                               << " waiting " << counts.waiting << " dropped " << counts.dropped
                               << " given up " << counts.given_up;
  }

  ledger::Folder folder;
  std::unique_ptr<maas::Office> office;
  Courier::Options options;
  std::unique_ptr<Courier> courier;
  uint64_t org = 0;
};
#define COURIER(name) TEST_F(CourierTest, name)

COURIER(WhatIsReachedIsToldAndSigned) {
  Endpoint endpoint;
  hook(endpoint, org);
  alert_at(1000, org);
  act(maas::SetCreditAlert{org, 999'000});
  start();
  spend(999, org);
  spend(1, org);
  const auto got = endpoint.wait_for(3);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].type(), "webhook.updated");
  EXPECT_EQ(got[1].type(), "spend_alert.reached");
  EXPECT_EQ(got[2].type(), "credit.low");
  const auto event = got[1].json();
  EXPECT_EQ(event.at("id"), boost::json::string(got[1].id));
  EXPECT_EQ(event.at("object"), "event");
  EXPECT_EQ(event.at("data").at("spent"), "0.000001");
  EXPECT_EQ(event.at("data").at("threshold"), "0.000001");
  EXPECT_EQ(event.at("data").at("interval"), "month");
  EXPECT_EQ(event.at("data").at("notify"), "ops@a.example");
  EXPECT_TRUE(event.at("data").at("organization_id").as_string().starts_with("org-"));
  EXPECT_EQ(got[2].json().at("data").at("left"), "0.000999");
  for (const Received& one : got) {
    const std::vector<std::string> secrets{std::string(32, 's')};
    EXPECT_EQ(one.signature,
              net::webhook_signature(secrets, one.id, std::stoll(one.timestamp), one.body));
    EXPECT_EQ(one.path, "/hook");
    EXPECT_NEAR(static_cast<double>(std::stoll(one.timestamp)), static_cast<double>(unix_seconds()),
                60);
  }
  until([](const auto& c) { return c.delivered == 3 && c.waiting == 0; });
}

COURIER(AnEndpointThatFailsIsTriedAgainWithTheSameId) {
  Endpoint endpoint(Endpoint::status([](int n) {
    return n == 0   ? "500 Internal Server Error"
           : n == 1 ? "302 Found"
           : n == 2 ? "404 Not Found"
                    : "200 OK";
  }));
  hook(endpoint, org);
  start();
  const auto got = endpoint.wait_for(4);
  for (const Received& one : got) {
    EXPECT_EQ(one.id, got[0].id);
    EXPECT_EQ(one.body, got[0].body);
  }
  until([](const auto& c) { return c.delivered == 1 && c.failed == 3 && c.waiting == 0; });
  EXPECT_EQ(endpoint.requests(), 4);
}

COURIER(AnEndpointThatIsDownIsWaitedFor) {
  auto endpoint = std::make_unique<Endpoint>();
  act(maas::SetWebhook{org, "http://127.0.0.1:1/", std::string(32, 's')});
  start();
  until([](const auto& c) { return c.failed >= 2; });
  EXPECT_EQ(courier->counts().waiting, 1);
  courier.reset();
  hook(*endpoint, org);  // where it is now; the first alert goes there too
  start();
  EXPECT_EQ(endpoint->wait_for(2)[0].type(), "webhook.updated");
}

COURIER(AnEndpointThatDoesNotAnswerIsLeft) {
  Endpoint endpoint([](int n, Exchange& http) {
    if (n == 0)
      http.stall();
    else
      http.reply("200 OK", "", "");
  });
  options.total_time = milliseconds(100);
  hook(endpoint, org);
  start();
  EXPECT_EQ(endpoint.wait_for(2).size(), 2u);
  until([](const auto& c) { return c.delivered == 1 && c.failed == 1; });
}

COURIER(RetryAfterIsHeeded) {
  Endpoint endpoint([](int n, Exchange& http) {
    if (n == 0)
      http.reply("429 Too Many Requests", "Retry-After: 1\r\n", "");
    else
      http.reply("200 OK", "", "");
  });
  options.retry_longest = std::chrono::seconds(10);
  hook(endpoint, org);
  const Instant before = now();
  start();
  endpoint.wait_for(2);
  EXPECT_GE(now() - before, std::chrono::seconds(1));
}

COURIER(AnEndpointThatIsGoneIsEndedByAnActOfTheJournal) {
  Endpoint endpoint(Endpoint::status([](int) { return "410 Gone"; }));
  hook(endpoint, org);
  alert_at(10, org);
  start();
  until([](const auto& c) { return c.disabled == 1 && c.dropped >= 1 && c.waiting == 0; });
  spend(100, org);
  const auto page = office->keyring().audit({.types = {"webhook.disabled"}}, 10);
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->events.size(), 1u);
  EXPECT_EQ(page->events[0].actor, "system");
  EXPECT_EQ(endpoint.requests(), 1);
  // Set again it is told what still holds.
  Endpoint other;
  courier.reset();
  hook(other, org, 't');
  start();
  const auto got = other.wait_for(2);
  EXPECT_EQ(got[0].type(), "webhook.updated");
  EXPECT_EQ(got[1].type(), "spend_alert.reached");
}

COURIER(ARestartBetweenTheCrossingAndItsDeliveryLosesNothing) {
  std::atomic<bool> up{false};
  Endpoint endpoint(Endpoint::status([&](int) { return up ? "200 OK" : "503 Not Now"; }));
  hook(endpoint, org);
  alert_at(1000, org);
  start();
  spend(1000, org);
  until([](const auto& c) { return c.alerts == 2 && c.failed >= 1; });
  const std::string first = endpoint.all()[0].id;
  restart();
  until([](const auto& c) { return c.failed >= 1; });
  EXPECT_EQ(courier->counts().waiting, 2);
  up = true;
  until([](const auto& c) { return c.delivered == 2; });
  auto got = endpoint.all();
  EXPECT_EQ(got[got.size() - 2].id, first);
  EXPECT_EQ(got.back().type(), "spend_alert.reached");
  // And what was delivered stays delivered.
  restart();
  spend(1, org);
  until([&](const auto& c) { return c.heard_seq == office->book().health().durable_seq; });
  EXPECT_EQ(courier->counts().waiting, 0);
  EXPECT_EQ(endpoint.all().size(), got.size());
}

COURIER(ALostCheckpointRepeatsWithTheSameIds) {
  Endpoint endpoint;
  hook(endpoint, org);
  alert_at(1000, org);
  spend(1000, org);  // nobody listens yet: the journal knows
  start();
  const auto first = endpoint.wait_for(2);
  courier.reset();
  ASSERT_TRUE(office->book().save_projection("alerts", 1, "these bytes are none").has_value());
  start();
  const auto again = endpoint.wait_for(4);
  EXPECT_EQ(again[2].id, first[0].id);
  EXPECT_EQ(again[3].id, first[1].id);
  EXPECT_EQ(again[3].body, first[1].body);
}

COURIER(WhatIsTooOldIsGivenUp) {
  Endpoint endpoint(Endpoint::status([](int) { return "500 No"; }));
  options.keep = milliseconds(300);
  hook(endpoint, org);
  start();
  until([](const auto& c) { return c.given_up == 1 && c.waiting == 0; });
  EXPECT_GE(courier->counts().failed, 2);
}

COURIER(ADeadEndpointHoldsUpNobodyElse) {
  Endpoint alive;
  const uint64_t other = new_org("Bob");
  act(maas::SetWebhook{org, "http://127.0.0.1:1/", std::string(32, 's')});
  hook(alive, other);
  alert_at(10, other);
  start();
  spend(10, other);
  EXPECT_EQ(alive.wait_for(2)[1].type(), "spend_alert.reached");
  until([](const auto& c) { return c.waiting == 1; });
}

COURIER(NothingIsSentWhereItMayNot) {
  Endpoint endpoint;
  options.targets.networks.clear();
  hook(endpoint, org);
  start();
  until([](const auto& c) { return c.failed >= 2; });
  EXPECT_EQ(endpoint.requests(), 0);
}

COURIER(BothSecretsSignWhileOneReplacesTheOther) {
  Endpoint endpoint;
  hook(endpoint, org, 'o');
  act(maas::SetWebhook{org, endpoint.url(), std::string(32, 'n'),
                       unix_nanoseconds() + 3'600'000'000'000});
  start();
  const auto got = endpoint.wait_for(2);
  const std::vector<std::string> secrets{std::string(32, 'n'), std::string(32, 'o')};
  EXPECT_EQ(got[1].signature,
            net::webhook_signature(secrets, got[1].id, std::stoll(got[1].timestamp), got[1].body));
  act(maas::SetWebhook{org, endpoint.url(), std::string(32, 'm'), 0});  // at once
  const auto last = endpoint.wait_for(3).back();
  const std::vector<std::string> one{std::string(32, 'm')};
  EXPECT_EQ(last.signature,
            net::webhook_signature(one, last.id, std::stoll(last.timestamp), last.body));
}

COURIER(AWebhookThatIsTakenAwayDropsWhatWaited) {
  Endpoint endpoint(Endpoint::status([](int) { return "500 No"; }));
  hook(endpoint, org);
  start();
  until([](const auto& c) { return c.failed >= 1; });
  act(maas::SetWebhook{org, "", ""});
  until([](const auto& c) { return c.dropped == 1 && c.waiting == 0; });
}

COURIER(TooManyThatWaitPushTheOldestOut) {
  Endpoint endpoint(Endpoint::status([](int) { return "500 No"; }));
  options.most_waiting = 5;
  hook(endpoint, org);
  start();
  for (int i = 0; i < 20; ++i) act(maas::SetWebhook{org, endpoint.url(), std::string(32, 's')});
  until([&](const auto& c) { return c.heard_seq == office->book().health().durable_seq; });
  const auto counts = courier->counts();
  EXPECT_EQ(counts.waiting, 5);
  EXPECT_EQ(counts.given_up, 16);
}

COURIER(ItsNumbersAreShown) {
  Endpoint endpoint;
  hook(endpoint, org);
  start();
  until([](const auto& c) { return c.delivered == 1; });
  std::string text;
  append_webhook_metrics(text, *courier);
  EXPECT_NE(text.find("tokenmill_webhook_deliveries_total{outcome=\"delivered\"} 1\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("tokenmill_webhook_alerts_waiting 0\n"), std::string::npos);
}

}  // namespace
}  // namespace mill::gateway
