#include "maas/catalog/civil_time.h"

#include <fmt/format.h>

#include <optional>

namespace mill::maas {
namespace {

using std::chrono::day;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr int kFirstYear = 1678;  // int64 nanoseconds hold whole years from here
constexpr int kLastYear = 2261;   // to here

// Exactly `digits` decimal digits from the front of `text`.
std::optional<int> take_number(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<sys_days> take_date(std::string_view& text) {
  const auto y = take_number(text, 4);
  if (!y || !take(text, '-')) return std::nullopt;
  const auto m = take_number(text, 2);
  if (!m || !take(text, '-')) return std::nullopt;
  const auto d = take_number(text, 2);
  if (!d || *y < kFirstYear || *y > kLastYear) return std::nullopt;
  const year_month_day date{year(*y), month(unsigned(*m)), day(unsigned(*d))};
  if (!date.ok()) return std::nullopt;
  return sys_days(date);
}

std::optional<int64_t> take_fraction(std::string_view& text) {
  int64_t nanos = 0;
  size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    if (++digits > 9) return std::nullopt;
    nanos = nanos * 10 + (text.front() - '0');
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 9; ++digits) nanos *= 10;
  return nanos;
}

// "Z" or "+hh:mm", in nanoseconds east of UTC, and nothing behind it.
std::optional<int64_t> take_offset(std::string_view& text) {
  if (text == "Z" || text == "z") return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!west && (text.empty() || text.front() != '+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ':')) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  const int64_t east = *hours * kNanosPerHour + *minutes * kNanosPerMinute;
  return west ? -east : east;
}

std::optional<int64_t> instant_of(std::string_view text) {
  const auto date = take_date(text);
  if (!date) return std::nullopt;
  const int64_t midnight = int64_t(date->time_since_epoch().count()) * kNanosPerDay;
  if (text.empty()) return midnight;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const auto h = take_number(text, 2);
  if (!h || !take(text, ':')) return std::nullopt;
  const auto m = take_number(text, 2);
  if (!m || !take(text, ':')) return std::nullopt;
  const auto s = take_number(text, 2);
  if (!s || *h > 23 || *m > 59 || *s > 59) return std::nullopt;
  int64_t nanos = 0;
  if (take(text, '.')) {
    const auto fraction = take_fraction(text);
    if (!fraction) return std::nullopt;
    nanos = *fraction;
  }
  const auto east = take_offset(text);
  if (!east) return std::nullopt;
  return midnight + *h * kNanosPerHour + *m * kNanosPerMinute + *s * kNanosPerSecond + nanos -
         *east;
}

year_month_day date_of(int64_t at_ns) {
  const auto days = floor_to(at_ns, kNanosPerDay) / kNanosPerDay;
  return year_month_day(sys_days(std::chrono::days(days)));
}

}  // namespace

Result<int64_t> parse_instant(std::string_view text, std::string_view field) {
  if (const auto at = instant_of(text)) return *at;
  return fail(Code::kInvalid,
              fmt::format("{}: '{}' is not an instant such as 2026-12-01T00:00:00Z", field, text),
              std::string(field));
}

Result<sys_days> parse_date(std::string_view text, std::string_view field) {
  std::string_view rest = text;
  const auto date = take_date(rest);
  if (date && rest.empty()) return *date;
  return fail(Code::kInvalid, fmt::format("{}: '{}' is not a date such as 2026-10-01", field, text),
              std::string(field));
}

Result<Month> parse_month(std::string_view text, std::string_view field) {
  std::string first(text);
  first += "-01";
  std::string_view rest = first;
  const auto date = take_date(rest);
  if (!date || !rest.empty())
    return fail(Code::kInvalid, fmt::format("{}: '{}' is not a month such as 2026-12", field, text),
                std::string(field));
  const auto next = year_month_day(*date) + std::chrono::months(1);
  return Month{.begin_ns = int64_t(date->time_since_epoch().count()) * kNanosPerDay,
               .end_ns = int64_t(sys_days(next).time_since_epoch().count()) * kNanosPerDay,
               .name = std::string(text)};
}

std::string format_instant(int64_t at_ns) {
  const int64_t midnight = floor_to(at_ns, kNanosPerDay);
  const int64_t seconds = (at_ns - midnight) / kNanosPerSecond;
  const int64_t nanos = (at_ns - midnight) % kNanosPerSecond;
  std::string text = fmt::format("{}T{:02}:{:02}:{:02}", format_date(at_ns), seconds / 3600,
                                 seconds / 60 % 60, seconds % 60);
  if (nanos != 0) text += fmt::format(".{:09}", nanos);
  return text + "Z";
}

std::string format_date(int64_t at_ns) {
  const year_month_day date = date_of(at_ns);
  return fmt::format("{:04}-{:02}-{:02}", int(date.year()), unsigned(date.month()),
                     unsigned(date.day()));
}

}  // namespace mill::maas
