// Charges against Python's fractions, decimal and zoneinfo: testdata/prices/charges.csv, made by
// tests/oracle/charges.py.
#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <string>
#include <vector>

#include "maas/catalog/price_version.h"

namespace mill::maas {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',')
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

int64_t number(const std::string& text) {
  int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  EXPECT_EQ(read.ptr, text.data() + text.size()) << text;
  return value;
}

Femto wide(const std::string& text) {
  Femto value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value;
}

std::shared_ptr<const PriceVersion> version_of(const std::vector<std::string>& p) {
  BookDraft book;
  book.bands = {{.name = "peak",
                 .zone = p[1],
                 .days = {"mon", "tue", "wed", "thu", "fri"},
                 .hours = {{"01:00", "04:00"}, {"06:00", "10:00"}}}};
  book.models = {{.id = "m"}};
  book.models[0].prices = {{.currency = "USD",
                            .rates = {p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9]},
                            .bands = {{.band = "peak", .factor = p[10]}},
                            .tiers = {{.tier = "priority", .factor = p[11]}},
                            .batch_factor = p[12]}};
  const auto checked = PriceVersion::check(book, 1, 0);
  EXPECT_TRUE(checked) << checked.error().message;
  return *checked;
}

TEST(PriceOracle, TenThousandChargesAsPythonComputesThem) {
  std::ifstream file(MILL_SOURCE_DIR "/testdata/prices/charges.csv");
  ASSERT_TRUE(file) << "testdata/prices/charges.csv is missing";
  std::shared_ptr<const PriceVersion> version;
  int compared = 0;
  for (std::string line; std::getline(file, line);) {
    const auto cells = split(line);
    if (cells[0] == "P") {
      ASSERT_EQ(cells.size(), 13u);
      version = version_of(cells);
      continue;
    }
    ASSERT_EQ(cells.size(), 15u);
    const auto pin = version->pin({.model = "m",
                                   .currency = *ledger::parse_currency("USD"),
                                   .tier = *parse_tier(cells[1], "tier"),
                                   .batch = cells[2] == "1",
                                   .accepted_ns = number(cells[3])});
    ASSERT_TRUE(pin) << pin.error().message;
    ledger::Buckets tokens{number(cells[4]), number(cells[5]), number(cells[6]), number(cells[7]),
                           number(cells[8]), number(cells[9]), number(cells[10])};
    const auto bill = charge(*pin, tokens);
    ASSERT_TRUE(bill) << line;
    ASSERT_EQ(pin->band, cells[11]) << line;
    ASSERT_TRUE(bill->exact == wide(cells[12])) << line;
    ASSERT_EQ(bill->amount, number(cells[13])) << line;
    ASSERT_EQ(bill->residue, number(cells[14])) << line;
    ++compared;
  }
  EXPECT_EQ(compared, 10'000);
}

}  // namespace
}  // namespace mill::maas
