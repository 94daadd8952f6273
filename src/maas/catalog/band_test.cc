#include "maas/catalog/band.h"

#include <gtest/gtest.h>

#include "maas/catalog/book_for_test.h"
#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

int64_t at(const char* instant) {
  return *parse_instant(instant, "at");
}
Band band(const BandDraft& draft) {
  return *Band::check(draft, "band");
}

// How long the band lasts within [from, to), minute by minute.
int64_t minutes_in(const Band& of, const char* from, const char* to) {
  int64_t minutes = 0;
  for (int64_t t = at(from); t < at(to); t += kNanosPerMinute) minutes += of.contains(t) ? 1 : 0;
  return minutes;
}

TEST(Band, DeepSeeksPeakHours) {
  const Band peak = band(deepseek_peak());
  // 2026-11-27 is a Friday.
  EXPECT_FALSE(peak.contains(at("2026-11-27T00:59:59.999999999Z")));
  EXPECT_TRUE(peak.contains(at("2026-11-27T01:00:00Z")));
  EXPECT_TRUE(peak.contains(at("2026-11-27T03:59:59.999999999Z")));
  EXPECT_FALSE(peak.contains(at("2026-11-27T04:00:00Z")));
  EXPECT_TRUE(peak.contains(at("2026-11-27T06:00:00Z")));
  EXPECT_FALSE(peak.contains(at("2026-11-27T10:00:00Z")));
  EXPECT_FALSE(peak.contains(at("2026-11-28T02:00:00Z"))) << "Saturday";
  EXPECT_FALSE(peak.contains(at("2026-10-01T02:00:00Z"))) << "a holiday, Thursday";
  EXPECT_EQ(minutes_in(peak, "2026-11-23", "2026-11-30"), 5 * 7 * 60);
}

TEST(Band, SpringSkipsAnHour) {
  // Berlin, 2026-03-29: 01:59:59 CET is followed by 03:00:00 CEST, at 01:00 UTC.
  const Band gap = band({.name = "b", .zone = "Europe/Berlin", .hours = {{"02:00", "03:00"}}});
  EXPECT_EQ(minutes_in(gap, "2026-03-29", "2026-03-30"), 0);
  EXPECT_EQ(minutes_in(gap, "2026-03-30", "2026-03-31"), 60);
  const Band around = band({.name = "b", .zone = "Europe/Berlin", .hours = {{"01:00", "04:00"}}});
  EXPECT_EQ(minutes_in(around, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"), 120);
  EXPECT_TRUE(around.contains(at("2026-03-29T00:59:59Z")));
  EXPECT_TRUE(around.contains(at("2026-03-29T01:00:00Z"))) << "03:00 on the wall";
  EXPECT_FALSE(around.contains(at("2026-03-29T02:00:00Z"))) << "04:00 on the wall";
}

TEST(Band, AutumnRepeatsAnHourAndBothCount) {
  // Berlin, 2026-10-25: 02:00-03:00 is shown twice, from 00:00 UTC and from 01:00 UTC.
  const Band twice = band({.name = "b", .zone = "Europe/Berlin", .hours = {{"02:00", "03:00"}}});
  EXPECT_EQ(minutes_in(twice, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"), 120);
  EXPECT_TRUE(twice.contains(at("2026-10-25T00:30:00Z")));
  EXPECT_TRUE(twice.contains(at("2026-10-25T01:30:00Z")));
  EXPECT_FALSE(twice.contains(at("2026-10-25T02:00:00Z")));
}

TEST(Band, AShiftOfThirtyMinutes) {
  // Lord Howe Island moves by half an hour: +10:30 to +11:00 on 2026-10-04, at 2:00 on the wall.
  const Band gap =
      band({.name = "b", .zone = "Australia/Lord_Howe", .hours = {{"02:00", "02:30"}}});
  EXPECT_EQ(minutes_in(gap, "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z"), 0);
  EXPECT_EQ(minutes_in(gap, "2026-10-04T12:00:00Z", "2026-10-05T12:00:00Z"), 30);
  const Band overlap =
      band({.name = "b", .zone = "Australia/Lord_Howe", .hours = {{"01:30", "02:00"}}});
  EXPECT_EQ(minutes_in(overlap, "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z"), 60);
}

TEST(Band, AZoneOfThirtyMinutes) {
  const Band kolkata = band({.name = "b", .zone = "Asia/Kolkata", .hours = {{"09:00", "17:00"}}});
  EXPECT_FALSE(kolkata.contains(at("2026-06-01T03:29:59Z")));
  EXPECT_TRUE(kolkata.contains(at("2026-06-01T03:30:00Z")));
  EXPECT_FALSE(kolkata.contains(at("2026-06-01T11:30:00Z")));
}

TEST(Band, ASpanPastMidnightBelongsToTheDayItBeginsOn) {
  const Band night = band({.name = "night",
                           .zone = "UTC",
                           .days = {"sun"},
                           .hours = {{"22:00", "06:00"}},
                           .except = {"2026-11-22"}});
  EXPECT_TRUE(night.contains(at("2026-11-29T22:00:00Z")));
  EXPECT_TRUE(night.contains(at("2026-11-30T05:59:59Z"))) << "Monday morning, begun on Sunday";
  EXPECT_FALSE(night.contains(at("2026-11-29T05:00:00Z"))) << "begun on Saturday";
  EXPECT_FALSE(night.contains(at("2026-11-30T22:00:00Z")));
  EXPECT_FALSE(night.contains(at("2026-11-22T23:00:00Z"))) << "excepted";
  EXPECT_FALSE(night.contains(at("2026-11-23T01:00:00Z"))) << "the tail of an excepted night";
}

TEST(Band, TheWholeDayAndInstantsBefore1970) {
  const Band all = band({.name = "all", .hours = {{"00:00", "24:00"}}});
  EXPECT_EQ(minutes_in(all, "2026-11-28", "2026-11-30"), 2 * 1440);
  EXPECT_TRUE(all.contains(-1));
}

TEST(Band, OverlapsAreSeenAcrossMidnightAndTheWeeksEnd) {
  const Band late_sunday = band({.name = "a", .days = {"sun"}, .hours = {{"23:00", "02:00"}}});
  const Band monday = band({.name = "b", .days = {"mon"}, .hours = {{"01:00", "03:00"}}});
  const Band tuesday = band({.name = "c", .days = {"tue"}, .hours = {{"01:00", "03:00"}}});
  const Band touching = band({.name = "d", .days = {"mon"}, .hours = {{"02:00", "03:00"}}});
  EXPECT_TRUE(late_sunday.overlaps(monday));
  EXPECT_TRUE(monday.overlaps(late_sunday));
  EXPECT_FALSE(late_sunday.overlaps(tuesday));
  EXPECT_FALSE(late_sunday.overlaps(touching));
}

TEST(Band, WrongFieldsAreNamed) {
  const auto param = [](BandDraft draft) {
    const auto band = Band::check(draft, "bands[2]");
    EXPECT_FALSE(band);
    return band ? std::string() : band.error().param;
  };
  const BandDraft good = deepseek_peak();
  BandDraft bad = good;
  bad.name = "";
  EXPECT_EQ(param(bad), "bands[2].name");
  for (const char* zone : {"", "Mars/Olympus", "/etc/passwd", "../UTC", "utc\n", "Europe"}) {
    bad = good;
    bad.zone = zone;
    EXPECT_EQ(param(bad), "bands[2].zone") << zone;
  }
  bad = good;
  bad.days = {"mon", "Tuesday"};
  EXPECT_EQ(param(bad), "bands[2].days[1]");
  bad.days = {"mon", "mon"};
  EXPECT_EQ(param(bad), "bands[2].days[1]");
  bad = good;
  bad.hours = {};
  EXPECT_EQ(param(bad), "bands[2].hours");
  bad.hours = {{"1:00", "04:00"}};
  EXPECT_EQ(param(bad), "bands[2].hours[0].from");
  bad.hours = {{"01:00", "24:01"}};
  EXPECT_EQ(param(bad), "bands[2].hours[0].to");
  bad.hours = {{"01:00", "01:00"}};
  EXPECT_EQ(param(bad), "bands[2].hours[0]");
  bad.hours = {{"01:00", "04:00"}, {"03:59", "05:00"}};
  EXPECT_EQ(param(bad), "bands[2].hours[1]");
  bad.hours = {{"20:00", "04:00"}, {"03:00", "05:00"}};  // Monday's tail and Tuesday's second span
  EXPECT_EQ(param(bad), "bands[2].hours[1]");
  bad = good;
  bad.except = {"2026-02-30"};
  EXPECT_EQ(param(bad), "bands[2].except[0]");
}

}  // namespace
}  // namespace mill::maas
