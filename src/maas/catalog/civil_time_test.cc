#include "maas/catalog/civil_time.h"

#include <gtest/gtest.h>

namespace mill::maas {
namespace {

TEST(CivilTime, ReadsInstants) {
  EXPECT_EQ(*parse_instant("1970-01-01", "f"), 0);
  EXPECT_EQ(*parse_instant("2026-12-01T00:00:00Z", "f"), 1'796'083'200 * kNanosPerSecond);
  EXPECT_EQ(*parse_instant("2026-12-01T08:00:00+08:00", "f"), 1'796'083'200 * kNanosPerSecond);
  EXPECT_EQ(*parse_instant("2026-11-30T19:30:00.000000001-04:30", "f"),
            1'796'083'200 * kNanosPerSecond + 1);
  EXPECT_EQ(*parse_instant("1969-12-31T23:59:59.5Z", "f"), -kNanosPerSecond / 2);
  EXPECT_EQ(*parse_instant("2000-02-29", "f"), 951'782'400 * kNanosPerSecond);
}

TEST(CivilTime, RefusesWhatIsNoInstant) {
  for (const char* bad :
       {"", "2026", "2026-13-01", "2026-02-29", "2026-12-01T", "2026-12-01T24:00:00Z",
        "2026-12-01T00:00:00", "2026-12-01T00:00:00Zx", "2026-12-01T00:60:00Z",
        "2026-12-01T00:00:00+24:00", "2026-12-01T00:00:00.Z", "2026-12-01T00:00:00.0000000001Z",
        "0001-01-01", "9999-01-01", "-2026-12-01", "2026-12-01T00:00:00+0800"}) {
    const auto at = parse_instant(bad, "effective_from");
    ASSERT_FALSE(at) << bad;
    EXPECT_EQ(at.error().code, Code::kInvalid);
    EXPECT_EQ(at.error().param, "effective_from");
  }
}

TEST(CivilTime, WritesWhatItReads) {
  for (const char* text : {"2026-12-01T00:00:00Z", "1969-12-31T23:59:59.500000000Z",
                           "2261-12-31T23:59:59Z", "1678-01-01T00:00:00Z"})
    EXPECT_EQ(format_instant(*parse_instant(text, "f")), text);
  EXPECT_EQ(format_date(-1), "1969-12-31");
}

TEST(CivilTime, MonthsEndWhereTheNextBegins) {
  const Month december = *parse_month("2026-12", "month");
  EXPECT_EQ(format_instant(december.begin_ns), "2026-12-01T00:00:00Z");
  EXPECT_EQ(format_instant(december.end_ns), "2027-01-01T00:00:00Z");
  EXPECT_EQ(parse_month("2028-02", "m")->end_ns - parse_month("2028-02", "m")->begin_ns,
            29 * kNanosPerDay);
  EXPECT_FALSE(parse_month("2026-12-01", "m"));
  EXPECT_FALSE(parse_month("2026-00", "m"));
}

}  // namespace
}  // namespace mill::maas
