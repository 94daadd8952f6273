// What was charged between two instants, line by line: the sums behind costs, invoices and exports.
//
// A line is one thing at one price on one UTC day: so many tokens of a model's bucket at a rate, by
// a key in a project. What a rate does not explain (rounding, what was above a hold, reversals) are
// lines of their own kind, so that the lines add up to the journal's amounts, always. An entry
// counts on the day it was booked, also when its request began before. Not locked; plain data comes
// out.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "maas/catalog/rates.h"
#include "maas/metering/explain.h"

namespace mill::maas {

enum class LineKind : uint8_t {
  kItem,          // quantity x rate
  kRounding,      // of requests to whole nano-units
  kCapped,        // above the hold: not charged
  kOther,         // charged, and the price book does not say for what
  kReversal,      // given back
  kLateReversal,  // given back, of a charge before the statement's first instant
};
// The stable names in exports: "item", "rounding", "capped", "other", "reversal", "late_reversal".
std::string_view name(LineKind kind);

struct Line {
  int64_t day_ns = 0;
  uint64_t org = 0, project = 0, key = 0;
  std::string model;  // empty for a reversal that names none (of older journals)
  int64_t price_version = 0;
  uint8_t tier = 0;  // a Tier, or what else the entry has
  bool batch = false;
  std::string band;  // empty where no rate applies
  LineKind kind = LineKind::kItem;
  Item item{};       // of kItem
  int64_t rate = 0;  // of kItem: nano-units per 1,000,000
  ledger::Currency currency;
  ledger::Wide quantity = 0;  // of kItem: tokens or requests
  int64_t entries = 0;        // that have a part in it
  Femto amount = 0;           // of kItem: quantity x rate
};

// Which entries count: those booked in [from_ns, to_ns).
struct StatementScope {
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  uint64_t org = 0;      // 0: all
  uint64_t project = 0;  // 0: all
  // What lines are kept apart by; without, `day_ns` is the scope's first day, and `key` 0.
  bool by_day = true;
  bool by_key = true;
};

class Statement {
 public:
  static constexpr size_t kMaxLines = 500'000;  // about 200 MB, with what lines() gives out

  Statement(StatementScope scope, Prices prices, size_t max_lines = kMaxLines)
      : scope_(scope), prices_(std::move(prices)), max_lines_(max_lines) {}

  // Entries in the journal's order; those outside the scope and those that charge nothing pass by.
  // kTooLarge, and nothing of it is added, where there would be more lines than allowed.
  Status add(const ledger::Entry& entry);

  // In a stable order: organization, project, key, day, currency, then what it is.
  std::vector<Line> lines() const;

  // Of the entries that count; 0 without any.
  int64_t first_seq() const { return first_seq_; }
  int64_t last_seq() const { return last_seq_; }
  int64_t requests() const { return requests_; }  // settled
  const StatementScope& scope() const { return scope_; }

 private:
  struct Place {
    int64_t day = 0;
    uint64_t org = 0, project = 0, key = 0;
    uint64_t currency = 0;
    int64_t price_version = 0, rate = 0;
    uint32_t model = 0, band = 0;  // in words_
    uint8_t tier = 0, kind = 0, item = 0;
    bool batch = false;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    size_t operator()(const Place& place) const;
  };
  struct Sum {
    ledger::Wide quantity = 0;
    int64_t entries = 0;
    Femto amount = 0;
  };

  bool counts(const ledger::Entry& entry) const;
  uint32_t word(const std::string& text);
  Place place_of(const ledger::Entry& entry, const std::string& band);
  Status add_settle(const ledger::Entry& entry);
  Status add_reversal(const ledger::Entry& entry);
  Status make_room(size_t lines) const;
  void put(Place place, LineKind kind, const Sum& sum);

  StatementScope scope_;
  Prices prices_;
  size_t max_lines_;
  std::unordered_map<Place, Sum, PlaceHash> sums_;
  std::vector<std::string> words_;
  std::unordered_map<std::string, uint32_t> word_ids_;
  // Settled inside the scope though their ids are older: their reversals are not late.
  std::unordered_set<ledger::HoldId> carried_over_;
  int64_t first_seq_ = 0, last_seq_ = 0;
  int64_t requests_ = 0;
};

}  // namespace mill::maas
