#include "maas/metering/invoice.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "maas/metering/month_for_test.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;

const Month kNovember = *parse_month("2026-11", "month");
const Seller kSeller{.name = "Mill & Co.",
                     .address = "1 Mill Lane\n00100 Wheatfield",
                     .note = "Payable from credit.\nNo tax is included."};

InvoiceBuilder builder_of(uint64_t project = 0) {
  InvoiceBuilder builder(
      {.org = 1, .project = project, .month = kNovember, .currency = "USD"_currency},
      prices_for_test());
  for (const ledger::Entry& entry : month_for_test()) EXPECT_TRUE(builder.add(entry));
  return builder;
}

ledger::Entry entry(int64_t seq, const char* at, ledger::Kind kind, ledger::Nano amount,
                    uint8_t id) {
  ledger::Entry made;
  made.seq = seq;
  made.at_ns = *parse_instant(at, "at");
  made.kind = kind;
  made.hold = ledger::ulid(made.at_ns / 1'000'000, std::array<uint8_t, 10>{id});
  made.payer = {1, 11, 101};
  made.currency = "USD"_currency;
  made.amount = amount;
  return made;
}

// The golden files were looked at by a person and checked by tests/oracle/invoice.py --check. When
// the form changes on purpose, copy what the failure wrote.
void expect_golden(const std::string& ours, const std::string& name) {
  if (ours == metering_file(name)) return;
  const auto there = std::filesystem::temp_directory_path() / ("mill_" + name);
  std::ofstream(there, std::ios::binary) << ours;
  ADD_FAILURE() << "testdata/metering/" << name << " is another than ours, which is in " << there;
}

TEST(Invoice, AMonthIsTheSameByteForByte) {
  const Invoice invoice = builder_of().finish(NamesForTest(), kSeller, kNovember.end_ns);
  EXPECT_EQ(invoice_html(invoice),
            invoice_html(builder_of().finish(NamesForTest(), kSeller, kNovember.end_ns + 5)));
  expect_golden(invoice_html(invoice), "invoice.html");
  expect_golden(invoice_csv(invoice), "invoice.csv");
}

TEST(Invoice, ItIsPreliminaryUntilTheJournalHasAnEntryOfALaterMonth) {
  const InvoiceBuilder builder = builder_of();
  const Invoice early = builder.finish(NamesForTest(), kSeller, kNovember.end_ns - 1);
  const Invoice final = builder.finish(NamesForTest(), kSeller, kNovember.end_ns);
  EXPECT_TRUE(early.preliminary);
  EXPECT_FALSE(final.preliminary);
  EXPECT_NE(invoice_html(early).find("Preliminary"), std::string::npos);
  EXPECT_EQ(invoice_html(final).find("reliminary:"), std::string::npos);
  EXPECT_NE(invoice_csv(early).find(",preliminary,"), std::string::npos);
  EXPECT_EQ(early.total, final.total);
}

TEST(Invoice, TheTotalIsTheSumOfTheJournalsAmounts) {
  Femto booked = 0;
  for (const ledger::Entry& of : month_for_test()) {
    if (of.payer.org != 1 || of.at_ns < kNovember.begin_ns || of.at_ns >= kNovember.end_ns)
      continue;
    if (of.kind == ledger::Kind::kSettle) booked += Femto(of.amount) * kFemtoPerNano;
    if (of.kind == ledger::Kind::kReversal) booked -= Femto(of.amount) * kFemtoPerNano;
  }
  const Invoice invoice = builder_of().finish(NamesForTest(), kSeller, kNovember.end_ns);
  EXPECT_TRUE(invoice.total == booked);
  Femto of_projects = 0;
  for (const uint64_t project : {11, 12})
    of_projects += builder_of(project).finish(NamesForTest(), kSeller, 0).total;
  ASSERT_EQ(invoice.projects.front().serial, 0u);
  EXPECT_TRUE(of_projects + invoice.projects.front().subtotal == booked);
}

TEST(Invoice, TextFromOutsideRunsNowhere) {
  const Invoice invoice = builder_of().finish(NamesForTest(), kSeller, kNovember.end_ns);
  const std::string page = invoice_html(invoice);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)"), std::string::npos);
  EXPECT_NE(page.find("Mill &amp; Co."), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos) << "it needs nothing else";
  EXPECT_NE(invoice_csv(invoice).find(",'=cmd|"), std::string::npos);
  EXPECT_NE(invoice_csv(invoice).find(R"("Research, ""night shift""")"), std::string::npos);
}

TEST(Invoice, AProjectHasItsOwn) {
  const Invoice invoice = builder_of(12).finish(NamesForTest(), kSeller, kNovember.end_ns);
  EXPECT_EQ(invoice.id, "INV-proj_CCCCCCCCCCCCCCCCCCCCCCCC-2026-11-USD");
  ASSERT_EQ(invoice.projects.size(), 1u);
  EXPECT_TRUE(invoice.payments.empty()) << "payments are the organization's";
  for (const InvoiceReversal& reversal : invoice.reversals) EXPECT_EQ(reversal.project, 12u);
}

TEST(Invoice, WhatIsGivenBackLaterIsOnTheLaterInvoice) {
  const auto charge = entry(1, "2026-10-31T23:59:59Z", ledger::Kind::kSettle, 500, 1);
  auto across = entry(2, "2026-10-31T23:59:59.5Z", ledger::Kind::kSettle, 700, 2);
  across.at_ns = kNovember.begin_ns;  // begun in October, booked in November
  auto back = charge;
  back.seq = 3;
  back.kind = ledger::Kind::kReversal;
  back.amount = 200;
  back.at_ns = kNovember.begin_ns + 1;
  auto back_across = across;
  back_across.seq = 4;
  back_across.kind = ledger::Kind::kReversal;
  back_across.at_ns = kNovember.begin_ns + 2;
  InvoiceBuilder november({.org = 1, .month = kNovember, .currency = "USD"_currency},
                          prices_for_test());
  for (const auto& of : {charge, across, back, back_across}) ASSERT_TRUE(november.add(of));
  const Invoice invoice = november.finish(NamesForTest(), kSeller, kNovember.end_ns);
  EXPECT_TRUE(invoice.total == -Femto(200) * kFemtoPerNano);
  ASSERT_EQ(invoice.projects.size(), 1u);
  const auto& extras = invoice.projects[0].extras;
  ASSERT_EQ(extras.size(), 3u);
  EXPECT_EQ(extras[0].kind, LineKind::kOther);
  EXPECT_EQ(extras[1].kind, LineKind::kReversal) << "of what November charged";
  EXPECT_TRUE(extras[1].amount == -Femto(700) * kFemtoPerNano);
  EXPECT_EQ(extras[2].kind, LineKind::kLateReversal);
}

TEST(Invoice, AnEmptyMonth) {
  InvoiceBuilder builder({.org = 9, .month = kNovember, .currency = "EUR"_currency},
                         prices_for_test());
  for (const ledger::Entry& of : month_for_test()) ASSERT_TRUE(builder.add(of));
  const Invoice invoice = builder.finish(NamesForTest(), kSeller, kNovember.end_ns);
  EXPECT_TRUE(invoice.total == 0);
  EXPECT_EQ(invoice.last_seq, 0);
  EXPECT_NE(invoice_html(invoice).find("Nothing was charged"), std::string::npos);
  EXPECT_NE(invoice_csv(invoice).find("total"), std::string::npos);
}

TEST(Invoice, PaymentsAreListedAndNotCharged) {
  InvoiceBuilder builder({.org = 1, .month = kNovember, .currency = "USD"_currency},
                         prices_for_test());
  auto paid = entry(1, "2026-11-02", ledger::Kind::kCredit, 50'000'000'000, 1);
  auto other = paid;
  other.currency = "CNY"_currency;
  auto lost = entry(2, "2026-11-03", ledger::Kind::kWriteOff, 5, 0);
  lost.hold = {};
  for (const auto& of : {paid, other, lost}) ASSERT_TRUE(builder.add(of));
  const Invoice invoice = builder.finish(NamesForTest(), kSeller, kNovember.end_ns);
  ASSERT_EQ(invoice.payments.size(), 2u);
  EXPECT_EQ(invoice.payments[1].id, "");
  EXPECT_TRUE(invoice.total == 0);
  EXPECT_NE(invoice_html(invoice).find("<td class=\"n\">50.00</td>"), std::string::npos);
}

}  // namespace
}  // namespace mill::maas
