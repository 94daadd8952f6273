#include "maas/metering/text.h"

#include <gtest/gtest.h>

#include "maas/metering/csv.h"
#include "maas/metering/iso_4217.h"

namespace mill::maas {
namespace {

std::string row(std::initializer_list<std::string_view> cells) {
  std::string out;
  CsvWriter csv(out);
  for (const std::string_view cell : cells) csv.text(cell);
  csv.end_row();
  return out;
}

TEST(Csv, CellsAreQuotedAsRfc4180Says) {
  EXPECT_EQ(row({"a", "b c", ""}), "a,b c,\n");
  EXPECT_EQ(row({"a,b", "say \"no\"", "two\nlines"}),
            "\"a,b\",\"say \"\"no\"\"\",\"two\nlines\"\n");
  EXPECT_EQ(row({" edge", "edge "}), "\" edge\",\"edge \"\n");
  EXPECT_EQ(row({"Müller"}), "Müller\n");
}

TEST(Csv, NoCellIsAFormula) {
  for (const char* evil :
       {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"}) {
    const std::string cell = row({evil});
    const size_t quoted = cell[0] == '"' ? 1 : 0;
    EXPECT_EQ(cell[quoted], '\'') << evil;
    EXPECT_EQ(without_formula(evil), std::string("'") + evil);
  }
  EXPECT_EQ(row({"=a,b"}), "\"'=a,b\"\n") << "quoted as well";
  EXPECT_EQ(without_formula("a=b"), "a=b");
}

TEST(Text, Counts) {
  EXPECT_EQ(print_count(0), "0");
  EXPECT_EQ(print_count(-12), "-12");
  EXPECT_EQ(print_count(ledger::Wide(INT64_MAX) * 1000), "9223372036854775807000");
  EXPECT_EQ(print_grouped(999), "999");
  EXPECT_EQ(print_grouped(1000), "1,000");
  EXPECT_EQ(print_grouped(-100000), "-100,000");
  EXPECT_EQ(print_grouped(1234567), "1,234,567");
  EXPECT_EQ(tier_name(1), "priority");
  EXPECT_EQ(tier_name(9), "tier 9");
}

TEST(Text, Html) {
  EXPECT_EQ(html("<a href=\"x\" b='y'>&</a>"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;&lt;/a&gt;");
  EXPECT_EQ(html("a\nb"), "a\nb");
  EXPECT_EQ(html(std::string_view("\0\x1B\x7F", 3)), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(html("Müller 水车"), "Müller 水车");
}

TEST(Iso4217, MoneyOfStatesAndOther) {
  for (const char* code : {"USD", "CNY", "EUR", "JPY", "AED", "ZWL"})
    EXPECT_TRUE(is_national(*ledger::parse_currency(code))) << code;
  for (const char* code : {"CREDITS", "TOK", "XAU", "XTS", "XXX", "USDT"})
    EXPECT_FALSE(is_national(*ledger::parse_currency(code))) << code;
  EXPECT_FALSE(is_national({}));
}

}  // namespace
}  // namespace mill::maas
