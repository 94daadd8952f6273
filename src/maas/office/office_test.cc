#include "maas/office/office.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>

#include "base/check.h"
#include "ledger/ledger_for_test.h"
#include "ledger/verify.h"
#include "maas/catalog/book_for_test.h"
#include "maas/catalog/draft_codec.h"
#include "maas/metering/costs.h"
#include "maas/metering/usage.h"

namespace mill::maas {
namespace {

using ledger::kUsd;
using ledger::Nano;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kNoon = 20'001 * kDay + kDay / 2;  // 2024-10-05

class OfficeTest : public testing::Test {
 protected:
  OfficeTest() { open(); }
  void open() {
    office.reset();
    auto journal = ledger::open_sqlite_journal(folder / "ledger.db");
    MILL_CHECK(journal.has_value());
    const auto clock = [this] { return wall.load(); };
    auto opened = Office::open(
        std::move(*journal),
        {.book = {.unix_ns = clock}, .keyring = {.unix_ns = clock}, .till = {.unix_ns = clock}});
    MILL_CHECK(opened.has_value());
    office = std::move(*opened);
  }
  uint64_t must(const Act& act) {
    const auto done = office->administer(act, "cli", kNever);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return done ? done->serial : 0;
  }
  Error refused(const Act& act) {
    const auto done = office->administer(act, "cli", kNever);
    EXPECT_FALSE(done.has_value());
    return done ? Error{} : done.error();
  }
  static Act prices(std::string from = "2024-01-01", std::string output = "0.60") {
    BookDraft draft = book_for_test();
    draft.effective_from = std::move(from);
    draft.models[0].prices[0].rates.output = std::move(output);
    return SetPriceBook{encode(draft)};
  }
  // An organization with a project, a key and money.
  std::string tenant(Nano credit = 1'000'000'000) {
    must(prices(""));
    org = must(CreateOrganization{.name = "Ada", .currency = kUsd});
    project = must(CreateProject{.org = org, .name = "one"});
    EXPECT_TRUE(office->pay({.org = org, .amount = credit}, "cli", kNever).has_value());
    const auto key = office->create_key({.project = project, .name = "k"}, "cli", kNever);
    EXPECT_TRUE(key.has_value());
    key_serial = key->done.serial;
    return key->secret;
  }
  tl::expected<Permit, Denial> ask(const std::string& secret, std::string model = "flash") {
    const auto caller = office->keyring().identify(secret, "127.0.0.1");
    MILL_CHECK(caller.has_value());
    return office->till().admit(
        Office::patron(*caller),
        {.model = std::move(model), .prompt_tokens = 1000, .output_tokens = 1000});
  }

  // What a request cost that ended well.
  ledger::HoldId charge(const std::string& secret, const std::string& model, Tier tier = {}) {
    const auto caller = office->keyring().identify(secret, "127.0.0.1");
    MILL_CHECK(caller.has_value());
    Patron patron = Office::patron(*caller);
    patron.tier = tier;
    auto permit = office->till().admit(
        patron, {.model = model, .prompt_tokens = 1000, .output_tokens = 1000, .stream = true});
    MILL_CHECK(permit.has_value());
    MILL_CHECK(permit->settle({.usage = work::Usage{.prompt_tokens = 1000}}, Outcome::kDone));
    return permit->id();
  }
  ledger::Entry last_entry() {
    ledger::Entry last;
    const int64_t seq = office->book().health().durable_seq;
    EXPECT_TRUE(
        office->book().scan({.from_seq = seq, .to_seq = seq}, [&](const ledger::Entry& entry) {
          last = entry;
          return Status{};
        }));
    return last;
  }
  // "MODEL/TIER", and "/batch" where it is one: what is charged for it today.
  std::map<std::string, Nano> charged() {
    const UsageQuery query{
        .from_ns = wall, .to_ns = wall + 1, .groups = {.model = true, .tier = true, .batch = true}};
    auto table = UsageTable::open(query);
    EXPECT_TRUE(table.has_value());
    EXPECT_TRUE(office->book().scan({}, [&](const auto& entry) { return table->add(entry); }));
    std::map<std::string, Nano> charged;
    for (const UsageBucket& day : table->buckets())
      for (const UsageRow& row : day.rows)
        charged[row.key.model + "/" + std::to_string(row.key.tier) +
                (row.key.batch ? "/batch" : "")] += Nano(row.sums.charge);
    return charged;
  }
  // What is given back today, in nano-units by line item.
  std::map<std::string, Nano> given_back() {
    const StatementScope scope{.from_ns = wall, .to_ns = wall + 1};
    Statement statement(scope, [this](int64_t number) { return office->till().prices(number); });
    EXPECT_TRUE(office->book().scan({}, [&](const auto& entry) { return statement.add(entry); }));
    const auto days = costs(scope, statement.lines(), {}, {.line_item = true});
    EXPECT_TRUE(days.has_value());
    std::map<std::string, Nano> back;
    for (const CostRow& row : days->front().rows)
      if (row.line_item.ends_with("reversal"))
        back[row.line_item] += Nano(row.amount / kFemtoPerNano);
    return back;
  }

  ledger::Folder folder;
  std::atomic<int64_t> wall{kNoon};
  std::unique_ptr<Office> office;
  uint64_t org = 0, project = 0, key_serial = 0;
};
#define OFFICE(name) TEST_F(OfficeTest, name)

OFFICE(TheFirstStartMintsOneAdminKeyAndLaterOnesNone) {
  const auto first = office->first_key(kNever);
  ASSERT_TRUE(first.has_value() && first->has_value());
  const auto caller = office->keyring().identify((*first)->secret, "");
  ASSERT_TRUE(caller.has_value());
  EXPECT_TRUE(caller->admin);
  EXPECT_FALSE(caller->may_infer("flash"));
  open();
  const auto again = office->first_key(kNever);
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->has_value());
  ASSERT_TRUE(office->keyring().identify((*first)->secret, "").has_value());
}

OFFICE(FromNothingToAPaidAnswer) {
  const std::string secret = tenant();
  auto permit = ask(secret);
  ASSERT_TRUE(permit.has_value()) << permit.error().error.message;
  const auto bill =
      permit->settle({.usage = work::Usage{.prompt_tokens = 1000, .completion_tokens = 100},
                      .delivered_tokens = 100},
                     Outcome::kDone);
  ASSERT_TRUE(bill.has_value());
  EXPECT_EQ(bill->charge, 150'000 + 60'000);
  EXPECT_EQ(office->book().balance(org, kUsd).credit, 1'000'000'000 - 210'000);
}

OFFICE(ActsTogetherTakeEffectTogetherOrNotAtAll) {
  org = must(CreateOrganization{.name = "Ada", .currency = kUsd});
  const int64_t before = office->book().health().booked_seq;
  const auto projects = [&] {
    return office->keyring().read([](const Directory& d) { return d.next(IdKind::kProject) - 1; });
  };
  // The second is wrong: of the first nothing is left.
  const auto refused = office->administer_together(
      {CreateProject{.org = org, .name = "one"}, RenameProject{99, "x"}}, {}, "cli", kNever);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  EXPECT_EQ(office->book().health().booked_seq, before);
  EXPECT_EQ(projects(), 0u);
  // A later act may build on an earlier one.
  const auto made = office->administer_together(
      {CreateProject{.org = org, .name = "one"}, RenameProject{1, "two"}}, {}, "cli", kNever);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->at(0).serial, 1u);
  EXPECT_EQ(made->at(1).seq, before + 2);
  EXPECT_TRUE(office->administer_together({}, {}, "cli", kNever).has_value());
  open();
  EXPECT_EQ(office->keyring().read([](const Directory& d) { return d.project(1)->name; }), "two");
}

OFFICE(AnAccountAndItsKeyAreMadeTogether) {
  org = must(CreateOrganization{.name = "Ada", .currency = kUsd});
  project = must(CreateProject{.org = org, .name = "one"});
  const auto made =
      office->create_account({.project = project, .name = "bot"}, "key", "cli", kNever);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->key.done.seq, made->account.seq + 1);
  const auto caller = office->keyring().identify(made->key.secret, "");
  ASSERT_TRUE(caller.has_value()) << caller.error().message;
  const uint64_t account = office->keyring().read(
      [&](const Directory& d) { return d.key(made->key.done.serial)->service_account; });
  EXPECT_EQ(account, made->account.serial);
  const int64_t before = office->book().health().booked_seq;
  EXPECT_FALSE(office->create_account({.project = project, .name = ""}, "key", "cli", kNever));
  EXPECT_EQ(office->book().health().booked_seq, before);
}

OFFICE(LimitsReachTheTillAtOnceAndAfterARestart) {
  const std::string secret = tenant();
  must(SetLimit{{.key = key_serial}, "requests_per_minute", 1});
  {
    const auto first = ask(secret);  // a permit that is dropped gives back what it took
    ASSERT_TRUE(first.has_value());
    const auto second = ask(secret);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().kind, Denial::Kind::kLimit);
  }
  must(SetLimit{{.key = key_serial}, "requests_per_minute", std::nullopt});
  EXPECT_TRUE(ask(secret).has_value());
  must(SetLimit{{.project = project, .model = "flash"}, "requests_per_day", 0});
  open();
  EXPECT_EQ(ask(secret).error().kind, Denial::Kind::kLimit);
}

OFFICE(ALimitHasOnePlaceHoweverItIsNamed) {
  tenant();
  must(SetLimit{{.key = key_serial}, "requests_per_minute", 1});
  must(SetLimit{{.org = org, .project = project, .key = key_serial}, "requests_per_minute", 7});
  const Limits limits = office->till().limits({Level::kKey, key_serial, {}});
  EXPECT_EQ(limits.requests_per_minute, 7);
  office->keyring().read([](const Directory& d) { EXPECT_EQ(d.limits().size(), 1u); });
}

OFFICE(BudgetsAreOfOrganizationsAndProjectsAndKnowTheirMonth) {
  const std::string secret = tenant();
  must(SetSpendLimit{org, project, kUsd, Period::kMonth, 750'000});
  {
    auto permit = ask(secret);
    ASSERT_TRUE(permit.has_value());
    ASSERT_TRUE(permit->settle({.usage = work::Usage{.prompt_tokens = 1000}}, Outcome::kDone));
  }
  EXPECT_EQ(ask(secret).error().limit->meter, Meter::kMonthlyBudget);
  open();
  EXPECT_EQ(ask(secret).error().limit->meter, Meter::kMonthlyBudget);
  wall += 31 * kDay;
  EXPECT_TRUE(ask(secret).has_value());
}

OFFICE(PricesOfALaterDayBeginThenAndCanBeWithdrawnBefore) {
  const std::string secret = tenant();
  must(prices("2024-10-07", "6"));
  must(prices("2024-10-08", "60"));
  must(WithdrawPriceBook{3});
  EXPECT_EQ(ask(secret)->hold(), 750'000);
  open();
  EXPECT_EQ(ask(secret)->hold(), 750'000);
  wall += 4 * kDay;
  EXPECT_EQ(ask(secret)->hold(), 150'000 + 6'000'000);
  EXPECT_EQ(refused(WithdrawPriceBook{2}).code, Code::kPermission);
}

OFFICE(BadActsAreRefusedAndNothingIsJournaled) {
  tenant();
  const int64_t before = office->book().health().booked_seq;
  EXPECT_EQ(refused(SetLimit{{.org = org}, "cups_of_tea", 1}).param, "limit");
  EXPECT_EQ(refused(SetLimit{{}, "requests_per_minute", 1}).param, "scope");
  EXPECT_EQ(refused(SetLimit{{.project = 99}, "requests_per_minute", 1}).param, "project");
  EXPECT_EQ(refused(SetLimit{{.key = 99}, "requests_per_minute", 1}).param, "key");
  EXPECT_EQ(
      refused(SetSpendLimit{org, 0, ledger::parse_currency("CNY").value(), Period::kDay, 1}).param,
      "currency");
  EXPECT_EQ(refused(prices("", "NaN")).param, "models[0].prices[0].rates.output");
  EXPECT_EQ(refused(prices("2020-01-01")).param, "effective_from");
  EXPECT_EQ(refused(SetPriceBook{"PBx"}).code, Code::kUnsupported);
  EXPECT_EQ(office->pay({.org = 99, .amount = 1}, "cli", kNever).error().param, "organization");
  EXPECT_EQ(office->pay({.org = org, .amount = 0}, "cli", kNever).error().param, "amount");
  EXPECT_EQ(office->pay({.org = org, .amount = -2'000'000'000}, "cli", kNever).error().code,
            Code::kPermission);
  EXPECT_EQ(office->book().health().booked_seq, before);
}

OFFICE(APaymentWithAnIdIsBookedOnce) {
  tenant(0 + 5);
  const MoneyOrder order{.org = org, .amount = 100, .id = office->book().new_id(), .note = "wire"};
  ASSERT_TRUE(office->pay(order, "cli", kNever).has_value());
  EXPECT_TRUE(office->pay(order, "cli", kNever)->existed);
  EXPECT_EQ(office->book().balance(org, kUsd).credit, 105);
}

OFFICE(AReversalGivesBackTheChargeAndTheBudget) {
  const std::string secret = tenant();
  must(SetSpendLimit{org, 0, kUsd, Period::kDay, 800'000});
  auto permit = ask(secret);
  const auto id = permit->id();
  ASSERT_TRUE(permit->settle({.usage = work::Usage{.prompt_tokens = 1000}}, Outcome::kDone));
  EXPECT_EQ(ask(secret).error().kind, Denial::Kind::kLimit);
  EXPECT_EQ(office->reverse({.org = org + 1, .id = id}, "cli", kNever).error().code,
            Code::kNotFound);
  ASSERT_TRUE(office->reverse({.org = org, .id = id, .note = "sorry"}, "cli", kNever).has_value());
  EXPECT_TRUE(ask(secret).has_value());
  EXPECT_EQ(office->book().balance(org, kUsd).credit, 1'000'000'000);
  EXPECT_EQ(office->reverse({.org = org, .id = id}, "cli", kNever).error().param, "amount");
}

OFFICE(AReversalIsTakenOffTheModelAndTierThatWereCharged) {
  using Sums = std::map<std::string, Nano>;
  const std::string secret = tenant();
  const auto dear = charge(secret, "flash", Tier::kPriority);
  const auto other = charge(secret, "pro");
  charge(secret, "flash-latest");
  // All three may still be on their way to the disk.
  ASSERT_TRUE(office->reverse({.org = org, .amount = 62'500, .id = dear}, "cli", kNever));
  const ledger::Entry back = last_entry();
  EXPECT_EQ(back.kind, ledger::Kind::kReversal);
  EXPECT_EQ(back.model, "flash");
  EXPECT_EQ(back.price_version, 1);
  EXPECT_EQ(back.tier, uint8_t(Tier::kPriority));
  EXPECT_EQ(back.flags, 0u) << "how it was sent is no part of what it cost";
  EXPECT_EQ(back.tokens, ledger::Buckets{}) << "they were used";
  EXPECT_EQ(charged(), (Sums{{"flash/0", 150'000}, {"flash/1", 200'000}, {"pro/0", 660'000}}));
  EXPECT_EQ(given_back(), (Sums{{"flash, reversal", -62'500}}));
  open();
  ASSERT_TRUE(office->reverse({.org = org, .id = dear}, "cli", kNever));
  ASSERT_TRUE(office->reverse({.org = org, .id = other}, "cli", kNever));
  EXPECT_EQ(office->reverse({.org = org, .id = other}, "cli", kNever).error().param, "amount");
  EXPECT_EQ(charged(), (Sums{{"flash/0", 150'000}, {"flash/1", 0}, {"pro/0", 0}}));
  EXPECT_EQ(given_back(), (Sums{{"flash, reversal", -262'500}, {"pro, reversal", -660'000}}));
}

OFFICE(AReversalOfABatchIsOneOfABatch) {
  tenant();
  ledger::Entry hold;
  hold.kind = ledger::Kind::kHold;
  hold.hold = office->book().new_id();
  hold.payer = {.org = org, .project = project, .key = key_serial};
  hold.currency = kUsd;
  hold.amount = 500;
  hold.model = "flash";
  hold.price_version = 1;
  hold.flags = ledger::kBatch | ledger::kStream;
  ASSERT_TRUE(office->book().post(hold));
  ledger::Entry settle;
  settle.kind = ledger::Kind::kSettle;
  settle.hold = hold.hold;
  settle.amount = 400;
  EXPECT_EQ(office->reverse({.org = org, .id = hold.hold}, "cli", kNever).error().code,
            Code::kNotFound)
      << "it is not charged yet";
  ASSERT_TRUE(office->book().post(settle));
  ASSERT_TRUE(office->reverse({.org = org, .amount = 100, .id = hold.hold}, "cli", kNever));
  EXPECT_EQ(last_entry().flags, ledger::kBatch);
  EXPECT_EQ(charged(), (std::map<std::string, Nano>{{"flash/0/batch", 300}}));
}

// Journals of before have such.
OFFICE(AReversalWithoutAModelIsGoodAndOfNone) {
  using Sums = std::map<std::string, Nano>;
  const auto id = charge(tenant(), "flash");
  ledger::Entry back;
  back.kind = ledger::Kind::kReversal;
  back.hold = id;
  back.amount = 50'000;
  ASSERT_TRUE(office->book().post(back));
  ASSERT_TRUE(office->reverse({.org = org, .id = id}, "cli", kNever));
  EXPECT_EQ(charged(), (Sums{{"/0", -50'000}, {"flash/0", 50'000}}));
  EXPECT_EQ(given_back(), (Sums{{"flash, reversal", -100'000}, {"reversal", -50'000}}));
  office.reset();
  const auto journal = ledger::open_sqlite_journal(folder / "ledger.db");
  ASSERT_TRUE(journal.has_value());
  const auto verified = ledger::verify(**journal);
  ASSERT_TRUE(verified.has_value());
  EXPECT_TRUE(verified->ok()) << verified->wrong;
}

OFFICE(PostPaidMayOweUpToItsLimit) {
  const std::string secret = tenant(1);
  EXPECT_EQ(ask(secret).error().kind, Denial::Kind::kCredit);
  ASSERT_TRUE(office->set_credit_limit({.org = org, .amount = 750'000}, "cli", kNever).has_value());
  EXPECT_TRUE(ask(secret).has_value());
}

OFFICE(ActsOfManyThreadsAreAllInEffect) {
  tenant();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(office->administer(
            SetLimit{{.project = project, .model = "m" + std::to_string(t)}, "requests_per_day", i},
            "cli", kNever));
        ASSERT_EQ(office->till()
                      .limits({Level::kProjectModel, project, "m" + std::to_string(t)})
                      .requests_per_day,
                  i);
      }
    });
  }
}

}  // namespace
}  // namespace mill::maas
