// A time band: named hours of the week in a named zone, such as DeepSeek's peak hours or a
// utility's night tariff.
//
// A band is a set of instants. An instant belongs to it when the wall clock of the zone shows a
// time inside one of its spans, so in the hour that autumn repeats both passes belong, and a span
// inside the hour that spring skips has no instants that day. Pure and immutable.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "maas/catalog/zone.h"

namespace mill::maas {

// Hours as an operator writes them; "24:00" is the end of the day. `from` after `to` runs past
// midnight into the next day.
struct SpanDraft {
  std::string from;  // "01:00"
  std::string to;    // "04:00", not itself inside
  bool operator==(const SpanDraft&) const = default;
};

struct BandDraft {
  std::string name;               // "peak"
  std::string zone = "UTC";       // IANA name
  std::vector<std::string> days;  // "mon" … "sun"; empty: every day. Those on which a span begins
  std::vector<SpanDraft> hours;   // at least one
  std::vector<std::string>
      except;  // dates on which no span begins, such as public holidays: "2026-10-01"
  bool operator==(const BandDraft&) const = default;
};

class Band {
 public:
  // Fails with kInvalid; `param` is `field` and the part at fault, such as "bands[0].hours[1].to".
  static Result<Band> check(const BandDraft& draft, const std::string& field);

  bool contains(int64_t at_ns) const;
  const std::string& name() const { return name_; }
  const Zone& zone() const { return zone_; }

  // Whether some wall-clock minute of a week without exceptions lies in both.  Requires: the same
  // zone.
  bool overlaps(const Band& other) const;

 private:
  struct Span {
    int32_t from = 0;  // second of the day
    int32_t to = 0;    // past 86400: runs into the next day
  };
  Band(std::string name, Zone zone) : name_(std::move(name)), zone_(zone) {}
  bool begins_on(std::chrono::local_days day) const;
  // The spans of a week as [from, to) in minutes since Monday 00:00, those past Sunday's end
  // wrapped.
  std::vector<std::pair<int32_t, int32_t>> week() const;
  bool overlaps_itself() const;

  std::string name_;
  Zone zone_;
  std::array<bool, 7> days_{};  // by std::chrono::weekday::c_encoding, Sunday is 0
  std::vector<Span> spans_;
  std::vector<std::chrono::local_days> except_;  // sorted
};

// The first of `bands` that has the instant; -1 for none, which is the base price.
int32_t band_at(std::span<const Band> bands, int64_t at_ns);

}  // namespace mill::maas
