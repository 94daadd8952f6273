// The whole way: requests through a till and a book on a real journal, and their invoice, costs and
// usage from a scan of it.
#include <gtest/gtest.h>

#include <atomic>
#include <random>

#include "ledger/ledger_for_test.h"
#include "maas/catalog/book_for_test.h"
#include "maas/metering/costs.h"
#include "maas/metering/invoice.h"
#include "maas/metering/month_for_test.h"
#include "maas/metering/usage.h"
#include "maas/till/till.h"

namespace mill::maas {
namespace {

const Month kOctober = *parse_month("2024-10", "month");

class TillInvoiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = ledger::open_book(folder_ / "j", {.unix_ns = [this] { return wall_.load(); }});
    ASSERT_TRUE(opened);
    book_ = std::move(*opened);
    till_ = std::make_unique<Till>(
        *book_,
        Till::Options{
            .progress_every = Duration{},
            .unix_ns = [this] { return wall_.load(); },
            .monotonic = [this] { return Instant{} + std::chrono::nanoseconds(++ticks_); }});
    BookDraft draft = book_for_test();
    draft.effective_from = "2024-01-01";
    const int64_t january = *parse_instant("2023-12-31", "at");
    ASSERT_TRUE(till_->set_prices(draft, january));
    ASSERT_TRUE(prices_.add(draft, january));
    ASSERT_TRUE(book_->post(ledger::credit(1'000'000'000'000)));
  }

  // A request that ends in one of all ways.
  void request(std::mt19937_64& random) {
    const auto prompt = int64_t(random() % 5000);
    const Ask ask{.model = random() % 2 ? "flash-latest" : "pro",
                  .prompt_tokens = prompt,
                  .output_tokens = 1 + int64_t(random() % 5000),
                  .stream = random() % 2 == 0};
    auto permit = till_->admit({.payer = ledger::kPayer, .currency = ledger::kUsd}, ask);
    ASSERT_TRUE(permit);
    wall_ += int64_t(random() % 90) * kNanosPerSecond;
    const auto made = int64_t(random() % uint64_t(ask.output_tokens + 20));
    permit->progress(made / 2, made);
    if (random() % 10 == 0) return;  // dropped: voided
    const Took took{.usage = work::Usage{.prompt_tokens = prompt,
                                         .cached_tokens = int64_t(random() % uint64_t(prompt + 1)),
                                         .completion_tokens = made},
                    .delivered_tokens = made,
                    .delivered_bytes = 4 * made};
    const auto bill = permit->settle(took, Outcome(random() % 7));
    ASSERT_TRUE(bill);
    if (bill->charge > 1 && random() % 8 == 0) give_back(permit->id(), 1 + bill->charge / 3);
  }

  void give_back(const ledger::HoldId& id, ledger::Nano amount) {
    ledger::Entry back;
    back.kind = ledger::Kind::kReversal;
    back.hold = id;
    back.amount = amount;
    ASSERT_TRUE(book_->post(back));
  }

  Prices prices() {
    return [this](int64_t number) { return prices_.number(number); };
  }

  ledger::Folder folder_;
  std::atomic<int64_t> wall_{*parse_instant("2024-10-07T00:30:00Z", "at")};  // before a peak
  std::atomic<int64_t> ticks_{0};
  std::unique_ptr<ledger::Book> book_;
  std::unique_ptr<Till> till_;
  PriceBook prices_;
};

TEST_F(TillInvoiceTest, EveryChargeOfTheTillIsExplainedToTheLastNano) {
  const uint64_t seed = seed_for_test();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 500; ++i) request(random);
  ledger::Entry last = ledger::credit(1);
  ASSERT_TRUE(book_->durable_blocking(*book_->post(last)));

  InvoiceBuilder builder({.org = 1, .month = kOctober, .currency = ledger::kUsd}, prices());
  const ledger::Range range{.from_ns = kOctober.begin_ns,
                            .to_ns = kOctober.end_ns,
                            .kinds = {ledger::Kind::kSettle, ledger::Kind::kReversal,
                                      ledger::Kind::kCredit, ledger::Kind::kWriteOff}};
  auto table = UsageTable::open({.from_ns = kOctober.begin_ns, .to_ns = kOctober.end_ns});
  ASSERT_TRUE(table);
  ASSERT_TRUE(book_->scan(range, [&](const ledger::Entry& entry) -> Status {
    MILL_TRY_DO(table->add(entry));
    return builder.add(entry);
  }));
  const Invoice invoice = builder.finish(NamesForTest(), {}, wall_);
  const ledger::Nano charged = book_->balance(1, ledger::kUsd).charged;
  EXPECT_GT(charged, 0);
  EXPECT_TRUE(invoice.total == Femto(charged) * kFemtoPerNano);
  EXPECT_EQ(invoice.payments.size(), 2u);
  ASSERT_EQ(invoice.projects.size(), 1u);
  for (const InvoiceExtra& extra : invoice.projects[0].extras)
    EXPECT_NE(extra.kind, LineKind::kOther) << "the till charges by the price book";
  EXPECT_GT(invoice.reversals.size(), 0u);

  ledger::Wide used = 0;
  for (const UsageBucket& day : table->buckets())
    for (const UsageRow& row : day.rows) used += row.sums.charge;
  EXPECT_TRUE(used == charged);
}

TEST_F(TillInvoiceTest, WhatRecoveryChargedIsExplainedToo) {
  auto permit = till_->admit({.payer = ledger::kPayer, .currency = ledger::kUsd},
                             {.model = "flash", .prompt_tokens = 7, .output_tokens = 1000});
  ASSERT_TRUE(permit);
  permit->progress(333, 1);
  wall_ += kNanosPerHour;
  ticks_ += 1000 * kNanosPerHour;
  ASSERT_TRUE(permit->settle({.delivered_tokens = 333}, Outcome::kClientGone));
  // The same as recovery books it: the charge of the last progress, without its residue.
  Statement statement({.from_ns = kOctober.begin_ns, .to_ns = kOctober.end_ns}, prices());
  ledger::Entry last = ledger::credit(1);
  ASSERT_TRUE(book_->durable_blocking(*book_->post(last)));
  ASSERT_TRUE(book_->scan({.kinds = {ledger::Kind::kSettle}}, [&](const ledger::Entry& entry) {
    ledger::Entry recovered = entry;
    recovered.residue = 0;
    recovered.flags |= ledger::kFlagRecovered;
    return statement.add(recovered);
  }));
  for (const Line& line : statement.lines()) EXPECT_NE(line.kind, LineKind::kOther);
  EXPECT_EQ(statement.requests(), 1);
}

}  // namespace
}  // namespace mill::maas
