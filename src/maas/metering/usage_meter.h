// Usage as it happens: hours and days in memory, built entry by entry, bounded.
//
// What is not in memory (minutes, and hours and days that had to go) is answered by a UsageTable
// over a scan of the journal; complete_from() says which it is. There is no snapshot: after a start
// the owner replays as much of the journal as it wants to have at hand, and the meter grows from
// there. Not locked: its owner guards it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "maas/metering/usage.h"

namespace mill::maas {

class UsageMeter {
 public:
  // A row is about 250 bytes: 50 MB at most by these.
  struct Options {
    int64_t hours = 8 * 24;  // kept
    int64_t days = 400;      // kept
    size_t max_rows =
        200'000;  // of both together; above it the oldest hours go, then the oldest days
  };

  // `from_ns`: the instant from which on it is given every entry.
  UsageMeter(int64_t from_ns, Options options);

  // Entries in the journal's order; those before from_ns and those that do not count pass by.
  void add(const ledger::Entry& entry);

  // From this instant on nothing is missing; INT64_MAX for minutes.
  int64_t complete_from(Width width) const;

  // Fails as UsageTable does, and with kNotFound where the query begins before complete_from: scan
  // the journal.
  Result<std::vector<UsageBucket>> query(const UsageQuery& query) const;

  size_t rows() const { return hours_.rows + days_.rows; }

 private:
  struct Place {
    uint64_t org = 0, project = 0, key = 0, currency = 0;
    uint32_t model = 0;  // in models_
    uint8_t tier = 0;
    bool batch = false;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    size_t operator()(const Place& place) const;
  };
  using Bucket = std::unordered_map<Place, UsageSums, PlaceHash>;
  struct Series {
    std::map<int64_t, Bucket> buckets;  // by first instant
    int64_t complete_from = 0;
    size_t rows = 0;
  };

  void add_to(Series& series, int64_t width_ns, int64_t at_ns, const Place& place,
              const UsageSums& sums);
  static void drop_before(Series& series, int64_t instant);
  static void drop_oldest(Series& series, int64_t width_ns);
  void make_room();

  Options options_;
  int64_t from_ns_;
  Series hours_, days_;
  std::vector<std::string> models_;
  std::unordered_map<std::string, uint32_t> model_ids_;
};

}  // namespace mill::maas
