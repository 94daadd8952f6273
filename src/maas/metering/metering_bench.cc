// How fast a journal becomes usage, costs and an invoice, and how much memory a row takes.
//
//   mill_metering_bench [ENTRIES]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "maas/catalog/book_for_test.h"
#include "maas/metering/invoice.h"
#include "maas/metering/usage.h"

namespace mill::maas {
namespace {

using ledger::operator""_currency;

int64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6);
  return 0;
}

std::vector<ledger::Entry> make(size_t count, const Month& month) {
  std::mt19937_64 random(1);
  std::vector<ledger::Entry> entries(count);
  for (size_t i = 0; i < count; ++i) {
    ledger::Entry& entry = entries[i];
    entry.seq = int64_t(i + 1);
    entry.at_ns = month.begin_ns + int64_t(ledger::Wide(month.end_ns - month.begin_ns) * i / count);
    entry.kind = ledger::Kind::kSettle;
    entry.hold = ledger::ulid(entry.at_ns / 1'000'000, std::array<uint8_t, 10>{});
    entry.payer = {1 + random() % 10, 1 + random() % 100, 1 + random() % 1000};
    entry.currency = "USD"_currency;
    entry.tokens = {.input_uncached = int64_t(random() % 2000),
                    .input_cache_read = int64_t(random() % 2000),
                    .output_text = int64_t(random() % 500)};
    entry.model = random() % 4 ? "flash" : "pro";
    entry.price_version = 1;
    entry.amount = 0;
  }
  return entries;
}

template <class Work>
void time(const char* what, const std::vector<ledger::Entry>& entries, const Work& work) {
  const int64_t before = resident_kib();
  const Instant start = now();
  const size_t rows = work();
  const double seconds = std::chrono::duration<double>(now() - start).count();
  fmt::print("{:<28} {:>12.0f} entries/s {:>9} rows {:>8} KiB more\n", what,
             double(entries.size()) / seconds, rows, resident_kib() - before);
}

int run(size_t count) {
  const Month month = *parse_month("2026-11", "month");
  BookDraft draft = book_for_test();
  draft.effective_from = "2026-01-01";
  const auto version = *PriceVersion::check(draft, 1, 0);
  const Prices prices = [&version](int64_t) { return version; };
  std::vector<ledger::Entry> entries = make(count, month);
  for (ledger::Entry& entry : entries) {
    const auto pin = version->pin(
        {.model = entry.model, .currency = entry.currency, .accepted_ns = accepted_at(entry.hold)});
    entry.amount = charge(*pin, entry.tokens)->amount;
  }
  fmt::print("{} settles of one month, 10 organizations, 1000 keys, 2 models\n", count);
  time("usage by minute and model", entries, [&] {
    auto table = UsageTable::open({.from_ns = month.begin_ns,
                                   .to_ns = month.end_ns,
                                   .width = Width::kMinute,
                                   .groups = {.model = true}});
    for (const ledger::Entry& entry : entries) MILL_CHECK(table->add(entry).has_value());
    return table->buckets().size();
  });
  time("costs by day and key", entries, [&] {
    Statement statement({.from_ns = month.begin_ns, .to_ns = month.end_ns, .org = 1}, prices);
    for (const ledger::Entry& entry : entries) MILL_CHECK(statement.add(entry).has_value());
    return statement.lines().size();
  });
  time("costs of everybody by day", entries, [&] {
    Statement statement({.from_ns = month.begin_ns, .to_ns = month.end_ns, .by_key = false},
                        prices);
    for (const ledger::Entry& entry : entries) MILL_CHECK(statement.add(entry).has_value());
    return statement.lines().size();
  });
  time("an organization's invoice", entries, [&] {
    InvoiceBuilder builder({.org = 1, .month = month, .currency = "USD"_currency}, prices);
    for (const ledger::Entry& entry : entries) MILL_CHECK(builder.add(entry).has_value());
    return builder.statement().lines().size();
  });
  return 0;
}

}  // namespace
}  // namespace mill::maas

int main(int argc, char** argv) {
  return mill::maas::run(argc > 1 ? size_t(std::atoll(argv[1])) : 1'000'000);
}
