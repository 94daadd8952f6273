#include "maas/till/till.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/check.h"
#include "ledger/ledger_for_test.h"
#include "maas/catalog/book_for_test.h"

namespace mill::maas {
namespace {

using namespace ledger;

// 2024-10-05, a Saturday noon: outside of every peak. flash costs 0.15 in, 0.003 cached, 0.60 out
// per million.
constexpr int64_t kSaturday =
    int64_t{20'001} * 86'400 * 1'000'000'000 + int64_t{43'200} * 1'000'000'000;

class TillTest : public testing::Test {
 protected:
  TillTest() { open(); }
  void open() {
    till.reset();
    book.reset();
    auto opened = open_book(folder / "j", {.unix_ns = [this] { return wall.load(); }});
    MILL_CHECK(opened.has_value());
    book = std::move(*opened);
    till = std::make_unique<Till>(*book, options);
    BookDraft draft = book_for_test();
    draft.effective_from = "2024-01-01";
    MILL_CHECK(
        till->set_prices(draft, kSaturday - int64_t{400} * 86'400 * 1'000'000'000).has_value());
  }
  void pay(Nano amount) { MILL_CHECK(book->post(credit(amount)).has_value()); }
  Permit admitted() {
    auto permit = till->admit(patron, ask_of());
    MILL_CHECK(permit.has_value());
    return std::move(*permit);
  }
  static Ask ask_of(int64_t prompt = 1000, int64_t output = 1000) {
    return {.model = "flash", .prompt_tokens = prompt, .output_tokens = output};
  }
  static Took took(int64_t output, int64_t cached = 0, int64_t prompt = 1000) {
    return {.usage =
                work::Usage{
                    .prompt_tokens = prompt, .cached_tokens = cached, .completion_tokens = output},
            .delivered_tokens = output};
  }
  Balance balance() const { return book->balance(1, kUsd); }

  Folder folder;
  std::atomic<int64_t> wall{kSaturday};
  std::atomic<int64_t> ticks{0};
  Till::Options options{
      .progress_every = Duration{},
      .unix_ns = [this] { return wall.load(); },
      .monotonic = [this] { return Instant{} + std::chrono::nanoseconds(++ticks); }};
  std::unique_ptr<Book> book;
  std::unique_ptr<Till> till;
  Patron patron{.payer = kPayer, .currency = kUsd};
};
#define TILL(name) TEST_F(TillTest, name)

// 1000 x 0.15 + 1000 x 0.60 per million = 0.00075.
constexpr Nano kHold = 750'000;

TILL(AnAnswerIsChargedByThePriceOfItsAcceptance) {
  pay(kHold);
  Permit permit = admitted();
  EXPECT_EQ(permit.hold(), kHold);
  EXPECT_EQ(balance().available(), 0);
  BookDraft dearer = book_for_test();
  dearer.models[0].prices[0].rates.output = "60";
  dearer.effective_from = "2024-10-05T12:00:01Z";
  ASSERT_TRUE(till->set_prices(dearer, wall));
  wall += int64_t{3600} * 1'000'000'000;
  const auto bill = permit.settle(took(100, 600), Outcome::kDone);
  ASSERT_TRUE(bill.has_value());
  // 400 x 0.15 + 600 x 0.003 + 100 x 0.60
  EXPECT_EQ(bill->charge, 60'000 + 1'800 + 60'000);
  EXPECT_EQ(balance(), (Balance{.credit = kHold - 121'800, .charged = 121'800}));
  ASSERT_TRUE(book->durable_blocking(bill->ticket));
}

TILL(WhoLeavesPaysForWhatWasMilled) {
  pay(kHold);
  Permit permit = admitted();
  EXPECT_EQ(permit.settle(took(10), Outcome::kClientGone)->charge, 150'000 + 6'000);
}

TILL(WhoLeavesTheLineBeforeItsTurnPaysNothing) {
  pay(kHold);
  const auto leave = [&](Duration busy) {
    Permit permit = admitted();
    Took none = took(0);
    none.delivered_tokens = 0;
    none.usage->busy = busy;
    return *permit.settle(none, Outcome::kClientGone);
  };
  EXPECT_EQ(leave({}).charge, 0);
  EXPECT_EQ(leave({}).reason, Reason::kClientGone);
  EXPECT_EQ(leave(std::chrono::nanoseconds(1)).charge, 150'000) << "its prompt was begun";
}

TILL(OurFaultBeforeTheFirstTokenIsFree) {
  pay(kHold);
  Permit permit = admitted();
  Took none = took(5);
  none.delivered_tokens = 0;
  const auto bill = permit.settle(none, Outcome::kFault);
  EXPECT_EQ(bill->charge, 0);
  EXPECT_EQ(bill->reason, Reason::kFaultBeforeFirstToken);
  EXPECT_EQ(balance(), (Balance{.credit = kHold}));
}

TILL(OurFaultLaterCostsWhatWasDelivered) {
  pay(kHold);
  Permit permit = admitted();
  Took part = took(50);
  part.delivered_tokens = 20;
  EXPECT_EQ(permit.settle(part, Outcome::kFault)->charge, 150'000 + 12'000);
}

TILL(WaitingInVainIsFree) {
  pay(kHold);
  Permit permit = admitted();
  const auto bill = permit.settle(took(0), Outcome::kDeadline);
  EXPECT_EQ(bill->charge, 0);
  EXPECT_EQ(bill->reason, Reason::kQueueTimeout);
}

TILL(ADeadlineInTheMiddleCostsWhatWasMilled) {
  pay(kHold);
  Permit permit = admitted();
  const auto bill = permit.settle(took(30), Outcome::kDeadline);
  EXPECT_EQ(bill->charge, 150'000 + 18'000);
  EXPECT_EQ(bill->reason, Reason::kDeadline);
}

TILL(AFilteredAnswerCostsItsInput) {
  pay(kHold);
  Permit permit = admitted();
  EXPECT_EQ(permit.settle(took(30), Outcome::kFilter)->charge, 150'000);
}

TILL(CountsThatCannotBeTrueAreCorrected) {
  struct Case {
    std::optional<work::Usage> usage;
    Nano charge;
  };
  const Case cases[] = {
      {work::Usage{.prompt_tokens = 1000, .completion_tokens = int64_t{1} << 60}, kHold},
      // What the gateway sent was milled, whatever the worker says; a cache is believed.
      {work::Usage{.prompt_tokens = -5, .cached_tokens = -7, .completion_tokens = -9}, 152'400},
      {work::Usage{}, 152'400},
      {work::Usage{.prompt_tokens = 1000, .cached_tokens = 5000, .completion_tokens = 4}, 5'400},
      {work::Usage{.prompt_tokens = 1000, .completion_tokens = 3}, 152'400},
      {work::Usage{.prompt_tokens = 9000, .completion_tokens = 4}, 152'400},
      {std::nullopt, 150'000 + 4 * 600},
  };
  for (const Case& each : cases) {
    pay(kHold);
    Permit permit = admitted();
    Took odd{.usage = each.usage, .delivered_tokens = 4};
    const auto bill = permit.settle(odd, Outcome::kDone);
    ASSERT_TRUE(bill.has_value()) << bill.error().message;
    EXPECT_EQ(bill->charge, each.charge);
    EXPECT_TRUE(bill->corrected);
  }
}

// A house of 100 W when it works, 20 W when not, where a joule costs 100 nano-dollars and is 50
// micrograms of CO2.
class MeteredTillTest : public TillTest {
 protected:
  MeteredTillTest() {
    TariffDraft tariff;
    tariff.currency = "USD";
    tariff.price_per_kwh = "0.36";
    tariff.grams_co2_per_kwh = "180";
    EnergyMeter::Options house;
    house.model = *PowerModel::check({.idle_watts = "20", .active_watts = "100"}, "power");
    house.tariff = *Tariff::check(tariff, "tariff");
    house.read = [this] { return HouseReading{.step_ns = steps.count(), .microjoules = {}}; };
    house.clock = [this] { return clock; };
    options.meter = std::make_shared<EnergyMeter>(std::move(house));
    open();
    pay(100 * kHold);
  }
  static Took busy(std::chrono::nanoseconds time, int64_t delivered = 30) {
    Took took_ = took(30);
    took_.usage->busy = time;
    took_.delivered_tokens = delivered;
    return took_;
  }
  std::vector<Entry> entries(Kind kind) {
    std::vector<Entry> found;
    MILL_CHECK(book->durable_blocking({.seq = book->health().booked_seq}).has_value());
    MILL_CHECK(book->scan({.kinds = {kind}},
                          [&](const Entry& entry) -> Status {
                            found.push_back(entry);
                            return {};
                          })
                   .has_value());
    return found;
  }
  std::chrono::nanoseconds steps{};
  Instant clock{};
};

TEST_F(MeteredTillTest, ASettleSaysWhatElectricityItTook) {
  ASSERT_TRUE(admitted().settle(busy(std::chrono::milliseconds(250)), Outcome::kDone));
  const auto settles = entries(Kind::kSettle);
  ASSERT_EQ(settles.size(), 1u);
  EXPECT_EQ(settles[0].microjoules, 25'000'000);
  EXPECT_EQ(settles[0].energy_cost, 2'500);
  EXPECT_EQ(settles[0].co2_micrograms, 1'250);
  EXPECT_EQ(settles[0].flags, kEnergyModel | kEnergyPriced);
  EXPECT_EQ(settles[0].amount, 150'000 + 18'000) << "the customer pays for tokens";
}

TEST_F(MeteredTillTest, WhatNobodyPaysForIsOverhead) {
  clock += std::chrono::seconds(10);
  steps = std::chrono::seconds(3);
  ASSERT_TRUE(admitted().settle(busy(std::chrono::seconds(1)), Outcome::kDone));
  ASSERT_TRUE(admitted().settle(busy(std::chrono::seconds(2), 0), Outcome::kFault));
  for (const Entry& voided : entries(Kind::kVoid)) EXPECT_EQ(voided.microjoules, 0);
  ASSERT_TRUE(till->book_overhead());
  const auto overhead = entries(Kind::kOverhead);
  ASSERT_EQ(overhead.size(), 1u);
  EXPECT_EQ(overhead[0].microjoules, (2 * 100 + 7 * 20) * 1'000'000);
  EXPECT_EQ(overhead[0].energy_cost, 34'000);
  EXPECT_EQ(overhead[0].currency, kUsd);
  EXPECT_EQ(overhead[0].flags, kEnergyModel | kEnergyPriced);
  open();  // the journal with it is read as any other
  EXPECT_EQ(entries(Kind::kOverhead).size(), 1u);
}

TEST_F(MeteredTillTest, ATimeThatCannotBeIsNotBelieved) {
  ASSERT_TRUE(admitted().settle(busy(std::chrono::seconds(-1)), Outcome::kDone));
  Took lost = took(30);
  lost.usage.reset();
  ASSERT_TRUE(admitted().settle(lost, Outcome::kDone));
  const auto settles = entries(Kind::kSettle);
  ASSERT_EQ(settles.size(), 2u);
  EXPECT_FALSE(source_of(settles[0])) << "nobody knows";
  EXPECT_FALSE(source_of(settles[1])) << "the worker lost count";
}

TILL(WithoutAMeterEntriesDoNotSay) {
  pay(kHold);
  ASSERT_TRUE(admitted().settle(took(30), Outcome::kDone));
  ASSERT_TRUE(till->book_overhead());
  ASSERT_TRUE(
      book->scan({.kinds = {Kind::kSettle, Kind::kOverhead}}, [](const Entry& entry) -> Status {
        EXPECT_EQ(entry.kind, Kind::kSettle);
        EXPECT_FALSE(source_of(entry));
        return {};
      }));
}

TILL(ADroppedPermitLetsGoOfItsHold) {
  pay(kHold);
  till->set_limits({Level::kKey, 3, {}}, {.concurrent_requests = 1});
  for (int i = 0; i < 100; ++i) {
    const Permit permit = admitted();
  }
  EXPECT_EQ(balance(), (Balance{.credit = kHold}));
  EXPECT_TRUE(book->open_holds().empty());
}

TILL(WithoutCreditNothingIsTaken) {
  pay(kHold - 1);
  till->set_limits({Level::kKey, 3, {}}, {.requests_per_minute = 5});
  const auto denied = till->admit(patron, ask_of());
  ASSERT_FALSE(denied.has_value());
  EXPECT_EQ(denied.error().kind, Denial::Kind::kCredit);
  EXPECT_EQ(till->rates(patron, "flash").requests->remaining, 5);
  EXPECT_EQ(balance(), (Balance{.credit = kHold - 1}));
}

TILL(ALimitRefusesBeforeAnythingIsHeld) {
  pay(10 * kHold);
  till->set_limits({Level::kProject, 2, {}}, {.budget_currency = kUsd, .daily_budget = kHold + 1});
  Permit permit = admitted();
  const auto denied = till->admit(patron, ask_of());
  ASSERT_FALSE(denied.has_value());
  ASSERT_TRUE(denied.error().limit.has_value());
  EXPECT_EQ(denied.error().limit->meter, Meter::kDailyBudget);
  EXPECT_TRUE(denied.error().limit->exhausted);
  EXPECT_EQ(balance().held, kHold);
  ASSERT_TRUE(permit.settle(took(0), Outcome::kDone).has_value());
}

TILL(AnAliasIsUnderTheLimitsOfItsModel) {
  pay(10 * kHold);
  till->set_limits({Level::kProjectModel, 2, "flash"}, {.requests_per_minute = 1});
  Ask other_name = ask_of();
  other_name.model = "flash-latest";
  const Permit permit = admitted();
  EXPECT_EQ(till->admit(patron, other_name).error().kind, Denial::Kind::kLimit);
  EXPECT_EQ(till->rates(patron, "flash-latest").requests->remaining, 0);
}

TILL(AFloodIsTurnedAwayWhileOthersGetIn) {
  pay(100 * kHold);
  ASSERT_TRUE(book->post(credit(100 * kHold, 7)).has_value());
  Patron quiet = patron;
  quiet.payer.org = 7;
  std::vector<Permit> flood;
  Ask ask = ask_of();
  ask.places = 8;
  for (int i = 0; i < 6; ++i) {
    ask.in_line = i;
    flood.push_back(std::move(till->admit(patron, ask).value()));
  }
  ask.in_line = 6;
  const Permit other = std::move(till->admit(quiet, ask).value());
  EXPECT_EQ(till->admit(patron, ask).error().kind, Denial::Kind::kBusy);
  EXPECT_TRUE(till->admit(quiet, ask).has_value());
}

TILL(WhoAsksForLessThanItsShareIsRankedAheadOfItsArrival) {
  using std::chrono::seconds;
  pay(100 * kHold);
  ASSERT_TRUE(book->post(credit(100 * kHold, 7)).has_value());
  Patron quiet = patron;
  quiet.payer.org = 7;
  const auto ranked = [&](const Patron& of, Duration most, Duration least) {
    const Instant at = Instant{} + std::chrono::nanoseconds(ticks.load());
    Permit permit = std::move(till->admit(of, ask_of()).value());
    EXPECT_GE(permit.rank(), at + least);
    EXPECT_LE(permit.rank(), at + most);
    return permit;
  };
  constexpr Duration kTick = std::chrono::microseconds(1);  // the clock's, some dozens
  {
    std::vector<Permit> flood;
    flood.push_back(ranked(patron, kTick - seconds(1), -seconds(1)));
    // Each takes the mill a second, and one token of a prompt.
    for (int i = 0; i < 9; ++i) {
      const Duration rank = i * std::chrono::milliseconds(1001) + std::chrono::milliseconds(1);
      flood.push_back(ranked(patron, rank + kTick, rank - kTick));
    }
    ranked(quiet, kTick - seconds(1), -seconds(1));
  }
  options.fair_share.head_start = {};
  open();
  ranked(quiet, kTick, {});
}

TILL(ModelsWithoutAPriceAreNotSold) {
  pay(kHold);
  Ask unknown = ask_of();
  unknown.model = "nobody";
  EXPECT_EQ(till->admit(patron, unknown).error().kind, Denial::Kind::kNoPrice);
  Patron other = patron;
  other.currency = "CNY"_currency;
  EXPECT_EQ(till->admit(other, ask_of()).error().kind, Denial::Kind::kNoPrice);
}

TILL(ALongAnswerExtendsItsHoldOrEnds) {
  pay(kHold + 600'000);
  Permit permit = admitted();
  ASSERT_TRUE(permit.extend(2000).has_value());
  EXPECT_EQ(permit.hold(), kHold + 600'000);
  const auto denied = permit.extend(2001);
  ASSERT_FALSE(denied.has_value());
  EXPECT_EQ(denied.error().kind, Denial::Kind::kCredit);
  EXPECT_EQ(permit.hold(), kHold + 600'000);
  EXPECT_EQ(permit.settle(took(2000), Outcome::kDone)->charge, kHold + 600'000);
  EXPECT_EQ(balance().credit, 0);
}

TILL(ProgressIsWhereRecoverySettles) {
  pay(kHold);
  Permit permit = admitted();
  permit.progress(10, 40);
  const auto open = book->find_open(permit.id());
  ASSERT_TRUE(open.has_value());
  EXPECT_EQ(open->progress, 3'000 + 6'000);  // as if all of the prompt had been cached
  EXPECT_EQ(open->tokens.output_text, 10);
}

TILL(ProgressIsBookedWhereItsChargeWasRounded) {
  pay(2 * kHold);
  BookDraft finer = book_for_test();
  finer.models[0].prices[0].rates.output = "0.60001";
  finer.effective_from = "2024-10-05T12:00:01Z";
  ASSERT_TRUE(till->set_prices(finer, wall));
  wall += int64_t{2} * 1'000'000'000;
  Permit permit = admitted();
  permit.progress(10, 40);
  const auto open = book->find_open(permit.id());
  ASSERT_TRUE(open.has_value());
  EXPECT_EQ(open->progress, 3'000 + 6'000);  // of 6,000.1
  EXPECT_EQ(open->tokens.output_text, 10);
}

TILL(BudgetsKnowThisMonthAfterARestart) {
  pay(10 * kHold);
  { ASSERT_TRUE(admitted().settle(took(100), Outcome::kDone).has_value()); }
  open();
  ASSERT_TRUE(till->replay_spending());
  const auto spent = till->money({Level::kKey, 3, {}}, kUsd);
  EXPECT_EQ(spent.today, 210'000);
  EXPECT_EQ(spent.this_month, 210'000);
}

TILL(ManyThreadsOnOneNearlyEmptyBudgetNeverOvershoot) {
  constexpr Nano kBudget = 40 * kHold;
  constexpr int kThreads = 64, kRequests = 100'000;
  pay(int64_t{1} << 50);
  till->set_limits({Level::kKey, 3, {}}, {.budget_currency = kUsd, .daily_budget = kBudget});
  std::atomic<Nano> charged{0};
  std::atomic<int64_t> refused{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kRequests; i += kThreads) {
        auto permit = till->admit(patron, ask_of());
        if (!permit) {
          ++refused;
          continue;
        }
        const auto bill = permit->settle(took(i % 7), Outcome::kDone);
        ASSERT_TRUE(bill.has_value()) << bill.error().message;
        charged += bill->charge;
      }
    });
  }
  threads.clear();
  EXPECT_LE(charged, kBudget);
  EXPECT_GT(charged, kBudget - kHold);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(balance().charged, charged);
  EXPECT_EQ(balance().held, 0);
  EXPECT_EQ(till->money({Level::kKey, 3, {}}, kUsd).today, charged);
}

}  // namespace
}  // namespace mill::maas
