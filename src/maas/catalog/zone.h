// A named time zone of the IANA database ("Asia/Shanghai", "UTC"): what a clock on the wall there
// shows at an instant.
//
// Only the direction instant -> wall is offered: it always has one answer, also in the hour that a
// spring gap skips or an autumn overlap repeats. The rules come from the system's tzdata through
// Howard Hinnant's date library (ADR 2).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace date {
class time_zone;
}

namespace mill::maas {

struct Wall {
  std::chrono::local_days day;
  std::chrono::weekday weekday;
  int32_t second = 0;  // of the day, [0, 86400)
};

// A small value; it points into the process-wide table of zones, which lives as long as the
// process. Any thread.
class Zone {
 public:
  // Fails with kInvalid for a name that the database does not have; `param` is the field's name as
  // given.
  static Result<Zone> find(std::string_view name, std::string_view field);

  Wall wall(int64_t at_ns) const;
  const std::string& name() const;
  bool operator==(const Zone&) const = default;

 private:
  explicit Zone(const date::time_zone* zone) : zone_(zone) {}
  const date::time_zone* zone_;
};

}  // namespace mill::maas
