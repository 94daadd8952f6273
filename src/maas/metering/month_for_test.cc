#include "maas/metering/month_for_test.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

int64_t number(const std::string& text) {
  int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  EXPECT_EQ(read.ptr, text.data() + text.size()) << text;
  return value;
}

ledger::HoldId id_of(const std::string& hex) {
  ledger::HoldId id{};
  EXPECT_EQ(hex.size(), 32u);
  for (size_t i = 0; i < id.size(); ++i)
    id[i] = uint8_t(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return id;
}

ledger::Kind kind_of(const std::string& text) {
  for (int kind = 1; kind <= int(ledger::Kind::kLimit); ++kind)
    if (ledger::name(ledger::Kind(kind)) == text) return ledger::Kind(kind);
  ADD_FAILURE() << "no kind " << text;
  return ledger::Kind::kAct;
}

ledger::Entry entry_of(const std::vector<std::string>& cells) {
  ledger::Entry entry;
  entry.seq = number(cells[0]);
  entry.at_ns = number(cells[1]);
  entry.kind = kind_of(cells[2]);
  entry.hold = id_of(cells[3]);
  entry.payer = {uint64_t(number(cells[4])), uint64_t(number(cells[5])),
                 uint64_t(number(cells[6]))};
  entry.currency = *ledger::parse_currency(cells[7]);
  entry.amount = number(cells[8]);
  entry.tokens = {number(cells[9]),  number(cells[10]), number(cells[11]), number(cells[12]),
                  number(cells[13]), number(cells[14]), number(cells[15])};
  entry.model = cells[16];
  entry.price_version = number(cells[17]);
  entry.tier = uint8_t(number(cells[18]));
  entry.flags = uint32_t(number(cells[19]));
  entry.residue = number(cells[20]);
  entry.microjoules = number(cells[21]);
  entry.energy_cost = number(cells[22]);
  entry.co2_micrograms = number(cells[23]);
  return entry;
}

PriceDraft flash(RatesDraft rates, const std::string& peak, const std::string& priority,
                 const std::string& batch) {
  return {.currency = "USD",
          .rates = std::move(rates),
          .bands = {{.band = "peak", .factor = peak, .rates = {}},
                    {.band = "sunday", .factor = peak, .rates = {}}},
          .tiers = {{.tier = "priority", .factor = priority, .rates = {}, .bands = {}}},
          .batch_factor = batch};
}

RatesDraft plain(const std::string& input, const std::string& cache_read,
                 const std::string& output) {
  RatesDraft rates;
  rates.input = input;
  rates.cache_read = cache_read;
  rates.output = output;
  return rates;
}

ModelDraft model(const std::string& id, std::vector<PriceDraft> prices) {
  ModelDraft draft;
  draft.id = id;
  draft.prices = std::move(prices);
  return draft;
}

BookDraft book(int version) {
  const bool first = version == 1;
  BookDraft draft;
  draft.bands = {{.name = "peak",
                  .zone = "America/New_York",
                  .days = {"mon", "tue", "wed", "thu", "fri"},
                  .hours = {{"09:00", "17:00"}},
                  .except = {}},
                 {.name = "sunday",
                  .zone = "America/New_York",
                  .days = {"sun"},
                  .hours = {{"01:00", "02:00"}},
                  .except = {}}};
  RatesDraft rates = first ? plain("0.15", "0.003", "0.60") : plain("0.14", "0.0029", "0.57");
  rates.cache_write = first ? "0.1875" : "0.175";
  rates.reasoning = first ? "0.90" : "0.88";
  draft.models.push_back(model(
      "flash", {first ? flash(rates, "2", "1.75", "0.5") : flash(rates, "1.9", "1.5", "0.4")}));
  PriceDraft dollars;
  dollars.currency = "USD";
  dollars.rates = first ? plain("0.66", "0.022", "1.98") : plain("0.67", "0.023", "2.01");
  dollars.rates.request = first ? "0.0005" : "0.0004";
  dollars.batch_factor = "0.5";
  PriceDraft credits;
  credits.currency = "CREDITS";
  credits.rates = first ? plain("4.7", "0.16", "14.1") : plain("4.8", "0.17", "14.3");
  draft.models.push_back(model("pro", {dollars, credits}));
  if (!first) {
    PriceDraft nothing;
    nothing.currency = "USD";
    nothing.rates = plain("0", "0", "0");
    draft.models.push_back(model("gratis", {nothing}));
  }
  return draft;
}

}  // namespace

std::vector<std::string> split_for_test(std::string_view line, char at) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == at)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

uint64_t seed_for_test() {
  const char* given = std::getenv("MILL_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

std::string metering_file(const std::string& name) {
  const std::string path = std::string(MILL_SOURCE_DIR "/testdata/metering/") + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path << " is missing";
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<ledger::Entry> month_for_test() {
  std::vector<ledger::Entry> entries;
  for (const std::string& line : split_for_test(metering_file("entries.csv"), '\n')) {
    if (line.empty() || line[0] == '#') continue;
    const auto cells = split_for_test(line, ',');
    EXPECT_EQ(cells.size(), 24u) << line;
    if (cells.size() == 24) entries.push_back(entry_of(cells));
  }
  return entries;
}

Prices prices_for_test() {
  std::vector<std::shared_ptr<const PriceVersion>> versions;
  for (const int number : {1, 2}) {
    auto version = PriceVersion::check(book(number), number, 0);
    EXPECT_TRUE(version) << version.error().param << ": " << version.error().message;
    versions.push_back(*version);
  }
  return [versions](int64_t number) -> std::shared_ptr<const PriceVersion> {
    return number == 1 || number == 2 ? versions[size_t(number - 1)] : nullptr;
  };
}

Named NamesForTest::organization(uint64_t serial) const {
  if (serial == 1)
    return {"org-AAAAAAAAAAAAAAAAAAAAAAAA", "Mueller & Sons <script>alert(1)</script>"};
  return {"org-" + std::to_string(serial), ""};
}

Named NamesForTest::project(uint64_t serial) const {
  if (serial == 11) return {"proj_BBBBBBBBBBBBBBBBBBBBBBBB", "=cmd|' /C calc'!A0"};
  if (serial == 12) return {"proj_CCCCCCCCCCCCCCCCCCCCCCCC", "Research, \"night shift\""};
  return {"proj_" + std::to_string(serial), "plain"};
}

Named NamesForTest::key(uint64_t serial) const {
  return {"key_" + std::to_string(serial), "a key"};
}

}  // namespace mill::maas
