// The simulated month of tests/oracle/invoice.py: its entries from testdata/metering/entries.csv,
// and the same price book, written again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/entry.h"
#include "maas/catalog/price_book.h"
#include "maas/metering/explain.h"
#include "maas/metering/names.h"

namespace mill::maas {

std::vector<std::string> split_for_test(std::string_view line, char at);

// All entries of the file, in its order.
std::vector<ledger::Entry> month_for_test();
// Versions 1 and 2.
Prices prices_for_test();
std::string metering_file(const std::string& name);  // in testdata/metering

// Of random tests: MILL_TEST_SEED, or another one each time.
uint64_t seed_for_test();

// Names that try to break what they are printed in.
class NamesForTest : public Names {
 public:
  Named organization(uint64_t serial) const override;
  Named project(uint64_t serial) const override;
  Named key(uint64_t serial) const override;
};

}  // namespace mill::maas
