#include "maas/catalog/zone.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <exception>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

// What a name of the database may look like. The library opens a file of that name, so a path must
// not reach it.
bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '/') return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '/' && c != '_' && c != '-' && c != '+')
      return false;
  }
  return true;
}

}  // namespace

Result<Zone> Zone::find(std::string_view name, std::string_view field) {
  if (is_zone_name(name)) {
    try {
      return Zone(date::locate_zone(name));
    } catch (const std::exception&) {  // how the library says that there is none
    }
  }
  return fail(Code::kInvalid,
              fmt::format("{}: there is no time zone '{}' (names are those of the IANA database, "
                          "such as Asia/Shanghai or UTC)",
                          field, name),
              std::string(field));
}

Wall Zone::wall(int64_t at_ns) const {
  const std::chrono::seconds since(floor_to(at_ns, kNanosPerSecond) / kNanosPerSecond);
  const date::sys_seconds at(since);
  const auto local = since + zone_->get_info(at).offset;
  const auto day = std::chrono::floor<std::chrono::days>(local);
  return {.day = std::chrono::local_days(day),
          .weekday = std::chrono::weekday(std::chrono::local_days(day)),
          .second = int32_t((local - day).count())};
}

const std::string& Zone::name() const {
  return zone_->name();
}

}  // namespace mill::maas
