// How much was used: tokens, requests, money and energy by minute, hour or day, and by whom.
//
// A settle counts in the bucket it was booked in; voided and expired holds used nothing that is
// charged and do not count. A reversal takes its amount off the charge of the bucket it is booked
// in, in the row of the model, tier and batch that it names, and no tokens. Electricity that no
// request answers for is shown apart. Buckets of tokens are disjoint, as in the ledger: the door
// makes each wire's own convention of them. Not locked; plain data comes out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"

namespace mill::maas {

enum class Width : uint8_t { kMinute, kHour, kDay };
// "1m", "1h", "1d". Fails with kInvalid; `param` is the field's name as given.
Result<Width> parse_width(std::string_view text, std::string_view field);
std::string_view name(Width width);
int64_t nanos(Width width);

// Counts saturate at the end of their type; money is as wide as it gets.
struct UsageSums {
  ledger::Buckets tokens;
  int64_t requests = 0;
  ledger::Wide charge = 0;  // nano-units; below zero where more was reversed than charged
  int64_t microjoules = 0;
  ledger::Wide energy_cost = 0;  // nano-units of the tariff's currency
  int64_t co2_micrograms = 0;
  // Of the requests (of overhead: of its entries), those whose joules are known; of these, those
  // measured by the machine's counters and not by a model, and those that a tariff priced.
  int64_t metered = 0, measured = 0, priced = 0;
  int64_t metered_tokens = 0;  // input and output of the metered ones

  void add(const UsageSums& other);
  int64_t input_tokens() const;   // all four
  int64_t output_tokens() const;  // all three
};

// Who and what a row is of. What a query does not group by is zero or empty.
struct UsageKey {
  uint64_t org = 0, project = 0, key = 0;
  std::string model;
  uint8_t tier = 0;  // a Tier, or what else the entry has
  bool batch = false;
  ledger::Currency currency;  // always: amounts in two currencies are two rows
  auto operator<=>(const UsageKey&) const = default;
};

// Nothing for an entry that does not count.
struct UsageOf {
  UsageKey key;
  UsageSums sums;
};
std::optional<UsageOf> usage_of(const ledger::Entry& entry);
// The energy of an entry, with nothing else.
UsageSums energy_of(const ledger::Entry& entry);

struct UsageGroups {
  bool org = false, project = false, key = false, model = false, tier = false, batch = false;
};

// Empty lists filter nothing: who is asked for names that nobody has must not query with none.
struct UsageFilter {
  uint64_t org = 0;  // 0: all, for the mill's own accounts. A tenant's query names its own
  std::vector<uint64_t> projects, keys;
  std::vector<std::string> models;
  std::vector<uint8_t> tiers;
  std::optional<bool> batch;
  bool passes(const UsageKey& key) const;
};

// [from_ns, to_ns) grows to whole buckets of `width`, which start at whole minutes, hours, days of
// UTC.
struct UsageQuery {
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  Width width = Width::kDay;
  UsageFilter filter;
  UsageGroups groups;
};
inline constexpr int64_t kMaxUsageBuckets = int64_t{31} * 24 * 60;

// The query with whole buckets. kInvalid where it ends before it begins, kTooLarge for more than
// kMaxUsageBuckets buckets.
Result<UsageQuery> whole_buckets(UsageQuery query);

// A page of a query: `limit` buckets from `cursor` on, and where the next page begins. A cursor is
// the first instant of a bucket, so pages stay what they are while entries arrive.
struct UsagePage {
  UsageQuery query;
  std::optional<int64_t> next;
};
// Fails as whole_buckets does, and with kInvalid (`param` "page") for a cursor outside of the
// query.  Requires: limit > 0.
Result<UsagePage> page_of(const UsageQuery& query, std::optional<int64_t> cursor, int64_t limit);

struct UsageRow {
  UsageKey key;
  UsageSums sums;
};
struct UsageBucket {
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  std::vector<UsageRow> rows;  // in the order of UsageKey; none where nothing was used
  UsageSums overhead;          // of the whole machine, whatever the query's filter
};

// Answers one query from the entries it is given: a scan of the journal over the query's time.
class UsageTable {
 public:
  static constexpr size_t kMaxRows = 200'000;

  // Fails as whole_buckets does.
  static Result<UsageTable> open(const UsageQuery& query, size_t max_rows = kMaxRows);

  // What the query does not ask for passes by. kTooLarge where the answer would have too many rows.
  Status add(const ledger::Entry& entry);
  Status add(int64_t at_ns, const UsageKey& key, const UsageSums& sums);

  // Every bucket of the query, in order of time.
  std::vector<UsageBucket> buckets() const;
  // What the last overhead that it was given cost is in; none: there was none with a price.
  ledger::Currency tariff() const { return tariff_; }
  // With whole buckets: what to scan.
  const UsageQuery& query() const { return query_; }

 private:
  UsageTable(UsageQuery query, size_t max_rows) : query_(std::move(query)), max_rows_(max_rows) {}

  UsageQuery query_;
  size_t max_rows_;
  size_t rows_ = 0;
  std::map<int64_t, std::map<UsageKey, UsageSums>> sums_;  // by the bucket's first instant
  std::map<int64_t, UsageSums> overhead_;                  // likewise
  ledger::Currency tariff_;
};

}  // namespace mill::maas
