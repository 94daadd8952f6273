#include "maas/alerts/alerts.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

using ledger::Kind;
using ledger::Nano;
using ledger::operator""_currency;

constexpr ledger::Currency kUsd = "USD"_currency;
// The first instant of a month.
constexpr int64_t kStart = int64_t{1'801'440'000} * kNanosPerSecond;  // 2027-02-01T00:00:00Z

// Writes a journal, entry by entry, and hears what is told.
class Journal {
 public:
  std::vector<Alert> add(ledger::Entry entry) {
    entry.seq = ++seq;
    entry.at_ns = at_ns;
    entry.hash = ledger::sha256(std::to_string(salt) + std::to_string(seq));
    entries.push_back(entry);
    return alerts.apply(entry);
  }
  std::vector<Alert> act(const Act& act) { return add({.kind = Kind::kAct, .body = encode(act)}); }
  std::vector<Alert> money(Kind kind, Nano amount, uint64_t project = 0, uint64_t org = 1) {
    return add({.kind = kind,
                .payer = {.org = org, .project = project},
                .currency = kUsd,
                .amount = amount});
  }
  std::vector<Alert> hook(uint64_t org = 1) {
    return act(SetWebhook{org, "https://a.example/", std::string(32, 's')});
  }

  Alerts alerts;
  std::vector<ledger::Entry> entries;
  int64_t seq = 0, at_ns = kStart;
  int salt = 0;
};

SetSpendAlert spend_alert(Nano amount, Period period = Period::kMonth, uint64_t project = 0) {
  return {1, project, kUsd, period, amount, "ops@a.example"};
}

TEST(Alerts, SpendingThatReachesAnAlertIsToldOnceInItsMonth) {
  Journal j;
  j.hook();
  EXPECT_TRUE(j.act(spend_alert(100)).empty());
  EXPECT_TRUE(j.money(Kind::kSettle, 99, 1).empty());
  const auto told = j.money(Kind::kSettle, 1, 1);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, AlertKind::kSpend);
  EXPECT_EQ(told[0].threshold, 100);
  EXPECT_EQ(told[0].value, 100);
  EXPECT_EQ(told[0].period, Period::kMonth);
  EXPECT_EQ(told[0].notify, "ops@a.example");
  EXPECT_EQ(told[0].seq, j.seq);
  EXPECT_TRUE(told[0].id.starts_with("msg_"));
  EXPECT_EQ(told[0].id.size(), 36u);
  EXPECT_TRUE(j.money(Kind::kSettle, 500, 1).empty());
  EXPECT_TRUE(j.money(Kind::kReversal, 550, 1).empty());
  EXPECT_TRUE(j.money(Kind::kSettle, 550, 1).empty());  // once is once
  j.at_ns += 31 * kNanosPerDay;
  EXPECT_TRUE(j.money(Kind::kSettle, 99, 1).empty());
  const auto next = j.money(Kind::kSettle, 1, 1);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_NE(next[0].id, told[0].id);
}

TEST(Alerts, ADayIsAUtcDayAndAProjectIsItself) {
  Journal j;
  j.hook();
  j.act(spend_alert(10, Period::kDay, 7));
  j.act(spend_alert(25, Period::kDay));
  EXPECT_TRUE(j.money(Kind::kSettle, 10, 8).empty());  // another project
  const auto project = j.money(Kind::kSettle, 10, 7);
  ASSERT_EQ(project.size(), 1u);
  EXPECT_EQ(project[0].project, 7u);
  EXPECT_EQ(project[0].value, 10);
  j.at_ns = kStart + kNanosPerDay - 1;
  const auto org = j.money(Kind::kSettle, 5, 8);
  ASSERT_EQ(org.size(), 1u);
  EXPECT_EQ(org[0].project, 0u);
  EXPECT_EQ(org[0].value, 25);
  j.at_ns += 1;
  EXPECT_TRUE(j.money(Kind::kSettle, 9, 7).empty());
  EXPECT_EQ(j.money(Kind::kSettle, 1, 7).size(), 1u);
}

TEST(Alerts, CreditThatRunsLowIsToldAndOnlyAgainWhenItHadRisen) {
  Journal j;
  j.act(CreateOrganization{{}, "Ada", kUsd});
  j.hook();
  j.money(Kind::kCredit, 1000);
  EXPECT_TRUE(j.act(SetCreditAlert{1, 100}).empty());
  EXPECT_TRUE(j.money(Kind::kSettle, 899, 1).empty());
  const auto told = j.money(Kind::kSettle, 1, 1);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, AlertKind::kCredit);
  EXPECT_EQ(told[0].value, 100);
  EXPECT_EQ(told[0].currency, kUsd);
  // It swings around the line, and within a tenth above it.
  EXPECT_TRUE(j.money(Kind::kSettle, 50, 1).empty());
  EXPECT_TRUE(j.money(Kind::kCredit, 60).empty());
  EXPECT_TRUE(j.money(Kind::kSettle, 60, 1).empty());
  EXPECT_TRUE(j.money(Kind::kReversal, 61, 1).empty());  // 111: it has risen
  const auto again = j.money(Kind::kSettle, 11, 1);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_NE(again[0].id, told[0].id);
}

TEST(Alerts, WhatMayBeOwedCounts) {
  Journal j;
  j.hook();
  j.money(Kind::kCredit, 10);
  j.money(Kind::kLimit, 1000);
  EXPECT_TRUE(j.act(SetCreditAlert{1, 100}).empty());
  EXPECT_TRUE(j.money(Kind::kSettle, 500, 1).empty());
  const auto told = j.money(Kind::kLimit, 550);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].value, 60);
}

TEST(Alerts, AnAlertThatIsSetTooLateTellsAtOnce) {
  Journal j;
  j.hook();
  j.money(Kind::kCredit, 1000);
  j.money(Kind::kSettle, 950, 1);
  EXPECT_EQ(j.act(spend_alert(900)).size(), 1u);
  EXPECT_EQ(j.act(SetCreditAlert{1, 100}).size(), 1u);
  EXPECT_TRUE(j.act(spend_alert(951)).empty());
}

TEST(Alerts, WhatNobodyCouldBeToldIsToldWhenSomebodyCan) {
  Journal j;
  j.money(Kind::kCredit, 1000);
  j.act(spend_alert(900));
  j.act(SetCreditAlert{1, 100});
  EXPECT_TRUE(j.money(Kind::kSettle, 950, 1).empty());
  const auto told = j.hook();
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].kind, AlertKind::kWebhook);
  EXPECT_EQ(told[1].kind, AlertKind::kSpend);
  EXPECT_EQ(told[2].kind, AlertKind::kCredit);
  std::set<std::string> ids{told[0].id, told[1].id, told[2].id};
  EXPECT_EQ(ids.size(), 3u);
  // A webhook that was ended is none.
  j.act(DisableWebhook{1, "gone"});
  EXPECT_TRUE(j.act(spend_alert(500)).empty());
  j.act(SetWebhook{1, "", ""});
  EXPECT_TRUE(j.act(spend_alert(400)).empty());
}

TEST(Alerts, AnotherOrganizationsMoneyIsItsOwn) {
  Journal j;
  j.hook(1);
  j.hook(2);
  j.act(spend_alert(10));
  EXPECT_TRUE(j.money(Kind::kSettle, 100, 1, 2).empty());
  EXPECT_EQ(j.money(Kind::kSettle, 100, 1, 1).size(), 1u);
}

TEST(Alerts, TwoJournalsGiveNoIdTwice) {
  Journal one, two;
  two.salt = 1;
  EXPECT_NE(one.hook()[0].id, two.hook()[0].id);
}

TEST(Alerts, ARemovedAlertIsSilent) {
  Journal j;
  j.hook();
  j.act(spend_alert(10));
  SetSpendAlert away = spend_alert(10);
  away.notify.clear();
  j.act(away);
  j.act(SetCreditAlert{1, 10});
  j.act(SetCreditAlert{1, std::nullopt});
  EXPECT_TRUE(j.money(Kind::kSettle, 100, 1).empty());
}

TEST(Alerts, BrokenSnapshotsAreRefused) {
  Journal j;
  j.hook();
  j.act(spend_alert(10));
  j.act(SetCreditAlert{1, 10});
  j.money(Kind::kSettle, 100, 1);
  const std::string whole = j.alerts.snapshot();
  ASSERT_TRUE(Alerts::restore(whole).has_value());
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(Alerts::restore(std::string_view(whole).substr(0, size)).has_value()) << size;
  EXPECT_FALSE(Alerts::restore(whole + '\0').has_value());
}

// Any journal, read by a reader that is stopped and begun again anywhere, tells the same; and what
// it tells is what sums over the entries say.
TEST(AlertsRandom, ARestartNeitherLosesNorRepeatsAndSumsAgree) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<int64_t>(random() % n); };
    Journal j;
    std::vector<Alert> live;
    const auto hear = [&](const std::vector<Alert>& told) {
      live.insert(live.end(), told.begin(), told.end());
    };
    hear(j.hook());
    const Nano day_line = 50 + below(200), month_line = 300 + below(800), low = 100 + below(100);
    hear(j.money(Kind::kCredit, 5000));
    hear(j.act(spend_alert(day_line, Period::kDay, 3)));
    hear(j.act(spend_alert(month_line)));
    hear(j.act(SetCreditAlert{1, low}));
    Nano left = 5000;
    std::map<int64_t, Nano> days, months;  // by window
    std::set<int64_t> days_told, months_told;
    bool low_told = false;
    size_t expected = live.size();
    for (int i = 0; i < 400; ++i) {
      j.at_ns += below(3) * 3 * kNanosPerHour;
      const int64_t day = (j.at_ns - kStart) / kNanosPerDay;
      // February, March and April of 2027, and what comes after.
      const int64_t month = day < 28 ? 2 : day < 59 ? 3 : day < 89 ? 4 : day < 120 ? 5 : 6;
      const Nano amount = 1 + below(60);
      const int64_t what = below(10);
      const uint64_t project = 3 + static_cast<uint64_t>(below(2));
      if (what == 0) {
        left += 300;
        hear(j.money(Kind::kCredit, 300));
      } else {
        const Nano spent = what == 1 ? -amount : amount;
        left -= spent;
        months[month] += spent;
        if (project == 3) days[day] += spent;
        hear(j.money(what == 1 ? Kind::kReversal : Kind::kSettle, amount, project));
        if (what != 1) {
          if (days[day] >= day_line && days_told.insert(day).second) ++expected;
          if (months[month] >= month_line && months_told.insert(month).second) ++expected;
        }
      }
      if (low_told && left - low > low / 10) low_told = false;
      if (!low_told && left <= low) low_told = true, ++expected;
      ASSERT_EQ(live.size(), expected) << "entry " << j.seq;
    }
    std::optional<Alerts> reader(std::in_place);
    std::vector<Alert> again;
    for (const ledger::Entry& entry : j.entries) {
      if (below(10) == 0) {
        auto restored = Alerts::restore(reader->snapshot());
        ASSERT_TRUE(restored.has_value());
        reader = std::move(*restored);
        // What was heard before is heard again after a restart, and changes nothing.
        if (reader->seq() > 0) {
          const auto old = static_cast<size_t>(below(static_cast<uint32_t>(reader->seq())));
          EXPECT_TRUE(reader->apply(j.entries[old]).empty());
        }
      }
      const auto told = reader->apply(entry);
      again.insert(again.end(), told.begin(), told.end());
    }
    EXPECT_EQ(again, live);
    EXPECT_EQ(reader->snapshot(), j.alerts.snapshot());
  }
}

}  // namespace
}  // namespace mill::maas
