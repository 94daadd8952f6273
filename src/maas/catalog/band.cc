#include "maas/catalog/band.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

constexpr int32_t kDaySeconds = 86'400;
constexpr int32_t kWeekMinutes = 7 * 24 * 60;
constexpr std::array<std::string_view, 7> kDayNames = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};

// "01:30" in seconds of the day; 24:00 is allowed.
std::optional<int32_t> clock_seconds(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const size_t i : {0, 1, 3, 4})
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
  const int32_t hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int32_t minute = (text[3] - '0') * 10 + (text[4] - '0');
  if (minute > 59 || hour > 24 || (hour == 24 && minute != 0)) return std::nullopt;
  return hour * 3600 + minute * 60;
}

Result<int32_t> parse_clock(std::string_view text, const std::string& field) {
  if (const auto seconds = clock_seconds(text)) return *seconds;
  return fail(Code::kInvalid,
              fmt::format("{}: '{}' is not a time of day from 00:00 to 24:00", field, text), field);
}

}  // namespace

Result<Band> Band::check(const BandDraft& draft, const std::string& field) {
  if (draft.name.empty() || draft.name == "base")
    return fail(Code::kInvalid,
                fmt::format("{}.name: a band needs a name other than 'base'", field),
                field + ".name");
  MILL_TRY(const Zone zone, Zone::find(draft.zone, field + ".zone"));
  Band band(draft.name, zone);
  if (draft.days.empty()) band.days_.fill(true);
  for (size_t i = 0; i < draft.days.size(); ++i) {
    const auto found = std::find(kDayNames.begin(), kDayNames.end(), draft.days[i]);
    const std::string at = fmt::format("{}.days[{}]", field, i);
    if (found == kDayNames.end())
      return fail(Code::kInvalid,
                  fmt::format("{}: '{}' is not one of mon … sun", at, draft.days[i]), at);
    bool& on = band.days_[size_t(found - kDayNames.begin())];
    if (on) return fail(Code::kInvalid, fmt::format("{}: '{}' twice", at, draft.days[i]), at);
    on = true;
  }
  if (draft.hours.empty())
    return fail(Code::kInvalid, fmt::format("{}.hours: a band needs at least one span", field),
                field + ".hours");
  for (size_t i = 0; i < draft.hours.size(); ++i) {
    const std::string at = fmt::format("{}.hours[{}]", field, i);
    MILL_TRY(const int32_t from, parse_clock(draft.hours[i].from, at + ".from"));
    MILL_TRY(const int32_t to, parse_clock(draft.hours[i].to, at + ".to"));
    if (from == to || from == kDaySeconds || to == 0)
      return fail(Code::kInvalid,
                  fmt::format("{}: {} to {} is not a span (the whole day is 00:00 to 24:00)", at,
                              draft.hours[i].from, draft.hours[i].to),
                  at);
    band.spans_.push_back({from, to < from ? to + kDaySeconds : to});
    if (band.overlaps_itself())
      return fail(Code::kInvalid, fmt::format("{}: overlaps another span of this band", at), at);
  }
  for (size_t i = 0; i < draft.except.size(); ++i) {
    MILL_TRY(const auto day, parse_date(draft.except[i], fmt::format("{}.except[{}]", field, i)));
    band.except_.push_back(std::chrono::local_days(day.time_since_epoch()));
  }
  std::sort(band.except_.begin(), band.except_.end());
  return band;
}

bool Band::begins_on(std::chrono::local_days day) const {
  return days_[std::chrono::weekday(day).c_encoding()] &&
         !std::binary_search(except_.begin(), except_.end(), day);
}

bool Band::contains(int64_t at_ns) const {
  const Wall wall = zone_.wall(at_ns);
  for (const Span& span : spans_) {
    if (wall.second >= span.from && wall.second < span.to && begins_on(wall.day)) return true;
    const bool in_the_tail = wall.second + kDaySeconds < span.to;
    if (in_the_tail && begins_on(wall.day - std::chrono::days(1))) return true;
  }
  return false;
}

std::vector<std::pair<int32_t, int32_t>> Band::week() const {
  std::vector<std::pair<int32_t, int32_t>> minutes;
  for (int32_t day = 0; day < 7; ++day) {
    if (!days_[size_t(day + 1) % 7]) continue;  // 0 is Monday here, Sunday there
    for (const Span& span : spans_) {
      const int32_t from = day * 1440 + span.from / 60;
      const int32_t to = day * 1440 + span.to / 60;
      minutes.emplace_back(from, std::min(to, kWeekMinutes));
      if (to > kWeekMinutes) minutes.emplace_back(0, to - kWeekMinutes);
    }
  }
  std::sort(minutes.begin(), minutes.end());
  return minutes;
}

bool Band::overlaps_itself() const {
  const auto mine = week();
  for (size_t i = 1; i < mine.size(); ++i)
    if (mine[i].first < mine[i - 1].second) return true;
  return false;
}

bool Band::overlaps(const Band& other) const {
  for (const auto& [from, to] : week())
    for (const auto& [other_from, other_to] : other.week())
      if (from < other_to && other_from < to) return true;
  return false;
}

int32_t band_at(std::span<const Band> bands, int64_t at_ns) {
  for (size_t i = 0; i < bands.size(); ++i)
    if (bands[i].contains(at_ns)) return int32_t(i);
  return -1;
}

}  // namespace mill::maas
