// Columns and rules of FOCUS 1.2; the whole is checked by focus-validator (tests/oracle/focus.py).
#include "maas/metering/focus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "maas/metering/month_for_test.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;

const Month kNovember = *parse_month("2026-11", "month");
const FocusProvider kProvider{.provider = "Mill & Co.",
                              .publisher = "Mill & Co.",
                              .invoice_issuer = "Mill & Co.",
                              .service = "tokenmill inference"};

std::vector<Line> lines_of_november() {
  Statement statement({.from_ns = kNovember.begin_ns, .to_ns = kNovember.end_ns},
                      prices_for_test());
  for (const ledger::Entry& entry : month_for_test()) EXPECT_TRUE(statement.add(entry));
  return statement.lines();
}

TEST(Focus, AMonthIsTheSameByteForByte) {
  const auto csv = focus_csv({.org = 1, .month = kNovember, .currency = "USD"_currency},
                             lines_of_november(), NamesForTest(), kProvider);
  ASSERT_TRUE(csv);
  if (*csv == metering_file("focus.csv")) return;
  const auto there = std::filesystem::temp_directory_path() / "mill_focus.csv";
  std::ofstream(there, std::ios::binary) << *csv;
  ADD_FAILURE() << "testdata/metering/focus.csv is another than ours, which is in " << there;
}

TEST(Focus, CreditsAreNoBillingCurrency) {
  const auto csv = focus_csv({.org = 2, .month = kNovember, .currency = "CREDITS"_currency},
                             lines_of_november(), NamesForTest(), kProvider);
  ASSERT_FALSE(csv);
  EXPECT_EQ(csv.error().code, Code::kUnsupported);
  EXPECT_EQ(csv.error().param, "currency");
  EXPECT_NE(csv.error().message.find("CREDITS"), std::string::npos);
  EXPECT_FALSE(focus_csv({.org = 2, .month = kNovember, .currency = "XAU"_currency}, {},
                         NamesForTest(), kProvider));
}

TEST(Focus, EveryRowHasEveryColumnAndOthersRowsPassBy) {
  const auto csv = focus_csv({.org = 3, .month = kNovember, .currency = "USD"_currency},
                             lines_of_november(), NamesForTest(), kProvider);
  ASSERT_TRUE(csv);
  const auto rows = split_for_test(*csv, '\n');
  const size_t columns = split_for_test(rows[0], ',').size();
  EXPECT_EQ(columns, 46u);
  ASSERT_GT(rows.size(), 10u);
  for (size_t i = 1; i + 1 < rows.size(); ++i) {
    EXPECT_EQ(split_for_test(rows[i], ',').size(), columns) << rows[i];
    EXPECT_NE(rows[i].find("org-3"), std::string::npos);
  }
}

TEST(Focus, WithoutChargesThereAreColumnsAlone) {
  const auto csv = focus_csv({.org = 7, .month = kNovember, .currency = "EUR"_currency},
                             lines_of_november(), NamesForTest(), kProvider);
  ASSERT_TRUE(csv);
  EXPECT_EQ(split_for_test(*csv, '\n').size(), 2u);
}

}  // namespace
}  // namespace mill::maas
